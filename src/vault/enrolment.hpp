// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>

#include "vault/vault.hpp"

/// Enrolment of KEKs: transport keys under the token's RSA key, KEKs under a transport key, each
/// unwrapped in the token. Apart from the vault: the service that rotates keys needs none of it.
namespace smets1kms::vault {

/// Makes an RSA key pair of 3072 bits with this id; the private half never leaves. Returns the
/// public half, PEM. Under the officer's enrolment `session` is his.
std::string make_import_key(pkcs11::Session& session, const KeyId& id,
                            const TokenProfile& token_profile);
/// Returns the public half of the pair with this id, PEM, as the private half has it: anybody can
/// have made the public object. Throws pkcs11::Error if the private half is not there, or not as it
/// was generated here.
std::string import_key_pem(pkcs11::Session& session, const KeyId& id,
                           const TokenProfile& token_profile);
/// Makes the key under which KEKs that a rotation made wait for the officer. `session` is his.
void make_enrolment_key(pkcs11::Session& session, const KeyId& id,
                        const TokenProfile& token_profile);

/// Result of Ceremony::persist.
struct PersistedKek {
  std::string attributes{};  ///< as granted, for the record
  std::optional<SealedKey> sealed{};
};

/// One ceremony, in one session. Plain enrolment: the session is the user's, and KEKs are unwrapped
/// straight to rest. Officer's: while he is logged in KEKs are unwrapped as trusted session
/// objects; after he has logged out and the user has logged in they are copied to rest, so that no
/// public object with a key in it is ever stored.
class Ceremony {
 public:
  /// Begins a ceremony. `keep`: where the KEKs go.
  Ceremony(pkcs11::Session& session, const TokenProfile& token_profile,
           VaultKind keep = VaultKind::token)
      : session_(session), token_profile_(token_profile), keep_(keep) {}
  /// Finds the import key. Throws as import_key_pem, and returns the same.
  std::string use_import_key(const KeyId& id);
  /// Unwraps a transport key, AES-256, by RSA-OAEP (SHA-1 with MGF1-SHA-1: the one that SoftHSM
  /// has) under the import key. Throws pkcs11::Error about the transport key.
  void open_transport_key(const std::string& name, ByteView encrypted);
  [[nodiscard]] bool has_transport_key(const std::string& name) const {
    return transport_keys_.contains(name);
  }
  void use_enrolment_key(const KeyId& id);
  /// Checks that a KEK unwraps under a transport key. Plain enrolment then forgets it, the
  /// officer's keeps it for `persist`.
  void unwrap_sent(const KeyName& kek, const std::string& transport_key, ByteView wrapped);
  /// Unwraps, under the officer's enrolment, a KEK that a rotation made and that waits under the
  /// enrolment key.
  void unwrap_waiting(const KeyName& kek, ByteView sealed);
  /// Persists a KEK, reads it back and compares. Plain enrolment unwraps it once more, to rest; the
  /// officer's copies what `unwrap_…` kept. To be sealed: `sealing` wraps what was unwrapped, which
  /// is then destroyed.
  PersistedKek persist(const KeyName& kek, const std::string& transport_key, ByteView wrapped,
                       Sealing* sealing = nullptr);

 private:
  [[nodiscard]] ObjectPurpose unwrapped_as() const;
  pkcs11::Handle unwrap(const KeyName& kek, pkcs11::Handle under, ByteView wrapped,
                        const pkcs11::Template& attributes);

  pkcs11::Session& session_;
  const TokenProfile& token_profile_;
  VaultKind keep_;
  pkcs11::Handle import_key_{}, enrolment_key_{};
  std::map<std::string, pkcs11::Handle> transport_keys_;
  std::map<KeyId, pkcs11::Handle> admitted_;
};

}  // namespace smets1kms::vault
