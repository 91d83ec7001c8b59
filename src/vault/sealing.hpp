// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <mutex>
#include <vector>

#include "base/sealed_key.hpp"
#include "pkcs11/pool.hpp"
#include "vault/key_name.hpp"
#include "vault/template_cache.hpp"

/// The sealed vault: keys rest outside of the token, each wrapped under the storage key of its
/// class and bound by a MAC to device, role, generation and id. RFC 3394 authenticates the key's
/// bits alone, so that without the MAC a blob that was swapped between devices or roles would open.
namespace smets1kms::vault {

/// A storage key, or the MAC key, by its CKA_ID.
struct StorageKey {
  ObjectPurpose which;
  KeyId id;
};
/// Returns "storage key of KEKs", for messages.
[[nodiscard]] std::string_view purpose_of(ObjectPurpose storage);

/// Makes, in the officer's session, a storage key that the officer marks trusted: a session object
/// until `persist_storage_key`.
[[nodiscard]] pkcs11::Handle admit_storage_key(pkcs11::Session& session, ObjectPurpose which,
                                               const TokenProfile& token_profile);
/// Copies, in the user's session, what the officer admitted to rest, private, under this id; reads
/// the copy back and compares.
void persist_storage_key(pkcs11::Session& session, pkcs11::Handle admitted, const StorageKey& key,
                         const TokenProfile& token_profile);
/// Makes a storage key where it rests: under plain enrolment, and the MAC key under any.
void make_storage_key(pkcs11::Session& session, const StorageKey& key,
                      const TokenProfile& token_profile);

/// Service that seals keys and opens them. Safe to use from many threads.
class Sealing {
 public:
  Sealing(pkcs11::Pool& pool, const TokenProfile& token_profile);
  ~Sealing();
  /// Finds the keys, each by its id with every attribute of the table asserted; of two of one
  /// class, new keys go under the first. Throws pkcs11::TokenUnavailable naming one that is
  /// missing, or not as it must be.
  void use(std::vector<StorageKey> keys);
  /// True if there is one key of each class.
  [[nodiscard]] bool is_ready() const;

  /// Generates a session object of this role. `trusted_kek`: under a KEK that asks for
  /// WRAP_WITH_TRUSTED. Refuses a token that granted something else than asked.
  pkcs11::Handle generate(pkcs11::Session& session, const KeyName& key, bool trusted_kek);
  [[nodiscard]] std::string granted(pkcs11::Session& session, const KeyName& key,
                                    pkcs11::Handle handle, bool trusted_kek);
  /// Wraps a session object and makes the MAC.
  SealedKey seal(pkcs11::Session& session, const KeyName& key, pkcs11::Handle handle);
  /// Returns a session object, the caller's to destroy. Verifies the MAC first: a blob that was not
  /// sealed as this very key is not unwrapped (C_Verify: CKR_SIGNATURE_INVALID).
  pkcs11::Handle open(pkcs11::Session& session, const KeyName& key, const SealedKey& sealed);
  /// Wraps the same key under the storage key that new keys go under, under the officer's enrolment
  /// only. The key is extractable meanwhile, but WRAP_WITH_TRUSTED lets it out under the officer's
  /// own keys alone.
  SealedKey seal_again(pkcs11::Session& session, const KeyName& key, const SealedKey& sealed);

 private:
  struct Found;
  /// Templates of a fresh key: as the token must say of it, and in the form in which they go to the
  /// token.
  struct SessionTemplates {
    SessionTemplates(KeyRole role, SecuritySuite suite, const TokenProfile& token_profile);
    pkcs11::Template trusted, untrusted;
    pkcs11::RawTemplate fresh_trusted, fresh_untrusted, opened;
  };
  [[nodiscard]] std::shared_ptr<const Found> keys(pkcs11::Session& session);
  [[nodiscard]] pkcs11::Handle verified(pkcs11::Session& session, const Found& found,
                                        const KeyName& key, const SealedKey& sealed) const;
  [[nodiscard]] const SessionTemplates& templates(const KeyName& key) const {
    return templates_.of(key.role, key.suite);
  }

  pkcs11::Pool& pool_;
  const TokenProfile& token_profile_;
  TemplateCache<SessionTemplates> templates_;
  mutable std::mutex mutex_;
  std::vector<StorageKey> ids_;
  std::shared_ptr<const Found> found_;
};

}  // namespace smets1kms::vault
