#pragma once
#include <map>
#include <mutex>
#include <span>
#include <string>

#include "pkcs11/pool.hpp"
#include "smets1kms/config.hpp"
#include "smets1kms/types.hpp"
#include "vault/templates.hpp"

namespace smets1kms::vault {

/// A device key by name: what its token object is called and what its template follows from.
struct KeyName {
  KeyId id;
  DeviceId device;
  KeyRole role;
  std::uint32_t generation;
  SecuritySuite suite;
  bool sent = false;  ///< a later KEK that its manufacturer sent, in the place of those that are not usable any more
  /// "smets1-kms/guek/00-DB-…/2": binds the object to device, role and generation, for good (CKA_MODIFIABLE=F). No
  /// object is found by its label, and none is used that has another.
  [[nodiscard]] std::string label() const;
  /// A KEK that came by an unwrap: its manufacturer's, and under the officer's enrolment every one.
  [[nodiscard]] bool from_outside(EnrolmentMode mode) const { return role == KeyRole::kek && (generation == 1 || sent || mode == EnrolmentMode::officer); }
  /// "key 7f3c… (guek 2 of 00-DB-…)"
  [[nodiscard]] std::string to_string() const;
};

/// A key that the token made: only its wrapped form leaves.
struct MadeKey {
  Bytes wrapped;           ///< RFC 3394 under the device's KEK: 24 or 40 bytes
  std::string attributes;  ///< as the token granted them, for the record: "local,sensitive,…"
  Bytes awaiting;          ///< officer's enrolment, a KEK: it does not rest in the token, but wrapped under the enrolment key
};

/// Token objects with the CKA_ID of one key: 0 absent, 1 present, more: somebody made another.
using Count = std::size_t;

/// Every key is a token object. Objects are used by the handle that our own call returned, or by id
/// with every attribute of the table asserted. Safe to use from many threads.
/// Throws pkcs11::Error (about the key) and pkcs11::TokenUnavailable.
class TokenVault {
 public:
  /// Throws pkcs11::TokenUnavailable, naming the mechanism that the token lacks.
  TokenVault(pkcs11::Pool& pool, Terms terms);
  /// Under which a new KEK waits for the officer (officer's enrolment only).
  void use_enrolment_key(const KeyId& id) { enrolment_key_ = id; }

  /// Generates the key as a session object, wraps it under `kek`, puts it to rest in the token's way as one that can't be
  /// extracted, and forgets the session object. What rests is read back and compared; a token that
  /// granted something else is refused and the object destroyed.
  MadeKey make(const KeyName& key, const KeyName& kek);
  /// Destroys whatever has one of these ids, then looks for each: what is left, 0 when all are gone.
  Count destroy(std::span<const KeyId> keys);
  [[nodiscard]] Count count(const KeyId& id);
  /// Others have created objects: handles are looked up anew at the next use.
  void forget_index();
  /// 16 bytes: KeyManager::prove.
  Bytes prove(const KeyName& key, ByteView challenge);

 private:
  pkcs11::Handle resolve(pkcs11::Session& session, const KeyName& key);
  void insist_on_answers();
  void load_index(pkcs11::Session& session);
  void remember(const KeyName& key, pkcs11::Handle handle);
  MadeKey make_once(pkcs11::Session& session, const KeyName& key, const KeyName& kek, bool& may_have_left_one);
  pkcs11::Handle find(pkcs11::Session& session, const KeyId& id, const std::string& who, const pkcs11::Template& expected);

  struct Known {
    pkcs11::Handle handle;
    std::string asserted_as;  ///< the key that it was compared with in this epoch, attributes and label; empty: none
  };
  pkcs11::Pool& pool_;
  Terms terms_;
  std::optional<KeyId> enrolment_key_;
  std::mutex mutex_;
  std::multimap<KeyId, Known> index_;
  std::uint64_t index_epoch_ = 0;  ///< the login epoch that the handles belong to; 0: never loaded
};

}  // namespace smets1kms::vault
