#pragma once
#include <optional>
#include <string>

#include "vault/token_vault.hpp"

namespace smets1kms::vault {

/// How KEKs come into the token: transport keys under the token's RSA key, KEKs under a transport key,
/// each unwrapped in the token. Apart from the vault: the service that rotates keys needs none of it.
class Enrolment {
 public:
  explicit Enrolment(pkcs11::Pool& pool) : pool_(pool) {}

  /// An RSA key pair of 3072 bits with this id; the private half never leaves. Returns the public half, PEM.
  std::string make_import_key(const KeyId& id);
  /// The public half of the pair with this id, PEM. Throws pkcs11::Error if it is not there.
  std::string import_key_pem(const KeyId& id);

  /// One import: a session whose transport keys vanish with it.
  class Ceremony {
   public:
    Ceremony(pkcs11::Pool& pool, const KeyId& import_key);
    /// AES-256, RSA-OAEP (SHA-1 with MGF1-SHA-1: the one that SoftHSM has) under the import key.
    /// Throws pkcs11::Error about the transport key.
    void open_transport_key(const std::string& name, ByteView encrypted);
    [[nodiscard]] bool has_transport_key(const std::string& name) const { return transport_keys_.contains({name, SecuritySuite::suite_0}); }
    /// Unwraps and forgets: is this blob a key under that transport key?
    void check(const KeyName& kek, const std::string& transport_key, ByteView wrapped);
    /// Unwraps a device's KEK to rest. Returns its attributes as granted, for the record.
    std::string admit(const KeyName& kek, const std::string& transport_key, ByteView wrapped);

   private:
    pkcs11::Handle unwrap(const KeyName& kek, const std::string& transport_key, ByteView wrapped, bool to_rest);
    pkcs11::Pool::Lease session_;
    pkcs11::Handle import_key_;
    std::map<std::pair<std::string, SecuritySuite>, pkcs11::Handle> transport_keys_;
  };

 private:
  pkcs11::Pool& pool_;
};

}  // namespace smets1kms::vault
