// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/sealed_key.hpp"
#include "pkcs11/pool.hpp"
#include "smets1kms/config.hpp"
#include "vault/key_name.hpp"
#include "vault/objects.hpp"
#include "vault/persist.hpp"
#include "vault/sealing.hpp"
#include "vault/target_keys.hpp"

namespace smets1kms::vault {

/// A key and where it rests.
struct KeyAtRest {
  KeyName name;
  std::optional<SealedKey> sealed{};  ///< nullopt: it is a token object
};

/// A key that the token made: only its wrapped form leaves.
struct MadeKey {
  Bytes wrapped;             ///< RFC 3394 under the device's KEK: 24 or 40 bytes
  std::string attributes{};  ///< as the token granted them, for the record: "local,sensitive,…"
  Bytes awaiting{};  ///< officer's enrolment, a KEK: it does not rest in the token, but wrapped
                     ///< under the enrolment key
  std::optional<SealedKey> sealed{};  ///< nullopt: it is a token object, or awaits the officer
  std::vector<WrappedForTarget> handovers{};
};

/// Token objects with the CKA_ID of one key: 0 absent, 1 present, more: somebody made another.
using Count = std::size_t;

/// Where device keys rest: as token objects, or sealed. Objects are used by the handle that our own
/// call returned, or by id with every attribute of the table asserted. Safe to use from many
/// threads. Throws pkcs11::Error (about the key) and pkcs11::TokenUnavailable.
class Vault {
 public:
  /// Makes a vault. Throws pkcs11::TokenUnavailable, naming the mechanism that the token lacks.
  Vault(pkcs11::Pool& pool, TokenProfile token_profile);
  /// Sets the key under which a new KEK waits for the officer (officer's enrolment only).
  void use_enrolment_key(const KeyId& id) { enrolment_key_ = id; }
  /// Sets where new keys go. A key that is there already rests where its KeyAtRest says.
  void keep_in(VaultKind keep) { keep_ = keep; }
  [[nodiscard]] Sealing& sealing() { return sealing_; }
  /// Returns the targets that new keys are wrapped for.
  [[nodiscard]] TargetKeys& targets() { return targets_; }

  // clang-format off
  /// Makes keys of one device, all or none. Each is generated as a session object, wrapped under
  /// `kek`, persisted in the token's way as one that can't be extracted, or sealed, and its session
  /// object forgotten. A key at rest is read back and compared; a token that granted something else
  /// is refused and the object destroyed. Safe to call from many threads, each of which leases a
  /// session. In the sealed vault these are the token's calls, and there are no others:
  ///   C_VerifyInit, C_Verify   the KEK's MAC (116 bytes at most, CKM_AES_CMAC)
  ///   C_UnwrapKey              the KEK, a session object (CKM_AES_KEY_WRAP, storage key of KEKs)
  ///   for each key:
  ///     C_GenerateKey          a session object (CKM_AES_KEY_GEN)
  ///     C_WrapKey              under the KEK, for the meter
  ///     C_WrapKey              for each handover target that takes its role (CKM_RSA_PKCS_OAEP)
  ///     C_GetAttributeValue    8 attributes at once, for the record
  ///     C_WrapKey              under the storage key of its class
  ///     C_SignInit, C_Sign     its MAC
  ///     C_DestroyObject
  ///   C_DestroyObject          the KEK
  // clang-format on
  std::vector<MadeKey> make(std::span<const KeyName> keys, const KeyAtRest& kek);
  /// Destroys every object with one of these ids, then looks for each. Returns how many are left, 0
  /// when all are gone.
  Count destroy(std::span<const KeyId> keys);
  [[nodiscard]] Count count(const KeyId& id);
  /// Returns those of the ids that no object in the token has.
  [[nodiscard]] std::vector<KeyId> missing(std::vector<KeyId> ids);
  /// Returns the 16 bytes of KeyManager::prove.
  Bytes prove(const KeyAtRest& key, ByteView challenge);

 private:
  pkcs11::Handle resolve(pkcs11::Session& session, const KeyName& key);
  void load_index(pkcs11::Session& session);
  void remember(const KeyName& key, pkcs11::Handle handle);
  /// Destroys objects left by an attempt whose reply was lost.
  void remove_orphans(pkcs11::Session& session, const KeyId& id);
  /// Returns the handle of a token object, or of a session object that goes with `scope`.
  pkcs11::Handle acquire(pkcs11::Session& session, const KeyAtRest& key,
                         std::optional<ScopedObject>& scope);
  MadeKey make_one(pkcs11::Session& session, const KeyName& key, pkcs11::Handle kek,
                   bool kek_is_sealed, bool& may_have_left_one);
  MadeKey make_with_retry(pkcs11::Session& session, const KeyName& key, pkcs11::Handle kek,
                          bool kek_is_sealed, bool& may_have_left_one);
  pkcs11::Handle find(pkcs11::Session& session, const KeyId& id, const std::string& who,
                      const std::function<pkcs11::Template()>& expected);

  struct Known {
    pkcs11::Handle handle;
    std::string asserted_as;  ///< the key that it was compared with in this epoch, attributes and
                              ///< label; empty: none
  };
  pkcs11::Pool& pool_;
  TokenProfile token_profile_;
  TemplateCache<PersistTemplates> templates_;
  Sealing sealing_;
  TargetKeys targets_;
  VaultKind keep_ = VaultKind::token;
  std::optional<KeyId> enrolment_key_;
  std::mutex mutex_;
  std::multimap<KeyId, Known> index_;
  std::uint64_t index_epoch_ = 0;  ///< the login epoch that the handles belong to; 0: never loaded
};

}  // namespace smets1kms::vault
