// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "pkcs11/pool.hpp"
#include "vault/templates.hpp"

/// Objects of the audit log in the token: the key that signs its heads, and the last head that it
/// signed.
namespace smets1kms::vault {

/// Makes an ECDSA P-256 key pair with this id; the private half signs and never leaves. Returns the
/// public half, PEM. `session`: the user's. Throws pkcs11::Error.
std::string make_audit_key(pkcs11::Session& session, const KeyId& id,
                           const TokenProfile& token_profile);

/// Returns the public half that a public key object of such a pair has, PEM. Throws pkcs11::Error.
[[nodiscard]] std::string audit_key_pem(pkcs11::Session& session, pkcs11::Handle public_key);

/// Signer with the pair of this id. Safe to use from many threads.
class AuditKeyObject {
 public:
  AuditKeyObject(pkcs11::Pool& pool, const KeyId& id, const TokenProfile& token_profile)
      : pool_(pool), id_(id), token_profile_(token_profile) {}
  /// Signs a digest of 32 bytes with CKM_ECDSA: r || s, 64 bytes. The object is used with every
  /// attribute of the table asserted. Throws pkcs11::Error and pkcs11::TokenUnavailable.
  [[nodiscard]] pkcs11::Bytes sign(pkcs11::ByteView digest);

 private:
  pkcs11::Pool& pool_;
  KeyId id_;
  const TokenProfile& token_profile_;
  std::mutex mutex_;
  pkcs11::Handle handle_{};
  std::uint64_t epoch_ = 0;  ///< the login epoch that the handle belongs to; 0: not looked up yet
};

/// Returns the public half of the pair with this id, PEM; nullopt: the token has no such pair.
[[nodiscard]] std::optional<std::string> audit_public_key(pkcs11::Pool& pool, const KeyId& id);

/// A CKO_DATA object with a signed head: its log's name (CKA_LABEL), the UUID of its store, and the
/// note.
struct StoredAnchor {
  std::string name, store, text;
};
/// Returns the anchors of all stores.
[[nodiscard]] std::vector<StoredAnchor> read_anchors(pkcs11::Pool& pool);
/// Writer of the one that holds the last head: the new object is there before the old ones go, so
/// that there is always one to read. (SoftHSM can't change CKA_VALUE.) Safe to use from many
/// threads.
class AnchorObject {
 public:
  AnchorObject(pkcs11::Pool& pool, std::string name, std::string store)
      : pool_(pool), name_(std::move(name)), store_(std::move(store)) {}
  /// Replaces the objects with this name. They are searched for once in a login epoch: in most
  /// tokens a search passes every object. Throws pkcs11::Error and pkcs11::TokenUnavailable.
  void replace(const std::string& text);

 private:
  pkcs11::Pool& pool_;
  std::string name_, store_;
  std::mutex mutex_;
  std::vector<pkcs11::Handle> objects_;
  std::uint64_t epoch_ = 0;  ///< the login epoch that the handles belong to; 0: not looked up
};

/// Returns how long the token takes to replace a head: an object of that length is made and
/// destroyed. One that a process left that died in between goes. Throws pkcs11::Error and
/// pkcs11::TokenUnavailable.
[[nodiscard]] std::chrono::microseconds measure_anchor(pkcs11::Pool& pool);

}  // namespace smets1kms::vault
