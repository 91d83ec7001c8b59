// SPDX-License-Identifier: Apache-2.0
#include "vault/sealing.hpp"

#include <algorithm>

#include "vault/objects.hpp"

namespace smets1kms::vault {

using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::RawTemplate;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

namespace {

struct Purpose {
  ObjectPurpose which;
  std::string_view text;
  const char* label;
};
constexpr std::array purposes{
    Purpose{ObjectPurpose::kek_storage, "storage key of KEKs", "smets1-kms/storage/kek"},
    Purpose{ObjectPurpose::encryption_storage, "storage key of encryption keys",
            "smets1-kms/storage/encryption"},
    Purpose{ObjectPurpose::authentication_storage, "storage key of authentication keys",
            "smets1-kms/storage/authentication"},
    Purpose{ObjectPurpose::mac_key, "MAC key", "smets1-kms/storage/mac"}};

const Purpose& purpose(ObjectPurpose which) {
  return *std::ranges::find(purposes, which, &Purpose::which);
}

/// Returns the input of the MAC. Every part but the last has a fixed length, so that no two keys
/// give the same bytes.
Bytes bound(const KeyName& key, const SealedKey& sealed) {
  constexpr std::string_view prefix = "smets1-kms sealed key 1";
  Bytes bytes(prefix.begin(), prefix.end());
  const auto put = [&](std::uint64_t number, int length) {  // big-endian
    while (length-- > 0) bytes.push_back(static_cast<std::uint8_t>(number >> 8 * length));
  };
  put(key.device.number(), 8);
  put(static_cast<std::uint64_t>(key.role), 1);
  put(key.generation, 4);
  for (const ByteView part :
       {ByteView(key.id.raw()), ByteView(sealed.under.raw()), ByteView(sealed.blob)})
    bytes.insert(bytes.end(), part.begin(), part.end());
  return bytes;
}

/// Returns what the token must say of a key that it generated as asked.
Template expected(Template asked, const TokenProfile& token_profile) {
  if (token_profile.profile.shows_local())
    asked.add(attr::local, true).add(attr::always_sensitive, true);
  return asked;
}

}  // namespace

std::string_view purpose_of(ObjectPurpose storage) { return purpose(storage).text; }

Handle admit_storage_key(Session& session, ObjectPurpose which, const TokenProfile& token_profile) {
  return session.generate_key(Mechanism(CKM_AES_KEY_GEN), attributes(which, {}, token_profile));
}

void persist_storage_key(Session& session, Handle admitted, const StorageKey& key,
                         const TokenProfile& token_profile) {
  remove_orphans(session, key.id);
  const Handle resting = session.copy_object(
      admitted, named(key.id, purpose(key.which).label,
                      attributes(ObjectPurpose::admitted_kek_to_rest, {}, token_profile)));
  session.destroy_object(admitted);
  verify_attributes(session, resting, storage_at_rest(key.which, token_profile), "C_CopyObject");
}

void make_storage_key(Session& session, const StorageKey& key, const TokenProfile& token_profile) {
  remove_orphans(session, key.id);
  const Handle made = session.generate_key(
      Mechanism(CKM_AES_KEY_GEN),
      named(key.id, purpose(key.which).label, attributes(key.which, {}, token_profile)));
  verify_attributes(session, made, storage_at_rest(key.which, token_profile), "C_GenerateKey");
}

Sealing::SessionTemplates::SessionTemplates(KeyRole role, SecuritySuite suite,
                                            const TokenProfile& token_profile)
    : trusted(expected(fresh_to_seal(role, suite, token_profile, true), token_profile)),
      untrusted(expected(fresh_to_seal(role, suite, token_profile, false), token_profile)),
      fresh_trusted(fresh_to_seal(role, suite, token_profile, true)),
      fresh_untrusted(fresh_to_seal(role, suite, token_profile, false)),
      opened(unwrapping(vault::opened(role, suite, token_profile), key_length(suite),
                        token_profile)) {}

/// The handles of one login epoch.
struct Sealing::Found {
  struct Storage {
    StorageKey key;
    Handle handle;
  };
  std::uint64_t epoch;
  std::vector<Storage> all;
  /// Returns the first of its class; nullptr where there is none.
  [[nodiscard]] const Storage* newest(ObjectPurpose which) const {
    const auto found =
        std::ranges::find_if(all, [which](const Storage& each) { return each.key.which == which; });
    return found == all.end() ? nullptr : &*found;
  }
  [[nodiscard]] Handle mac() const { return newest(ObjectPurpose::mac_key)->handle; }
};

Sealing::Sealing(pkcs11::Pool& pool, const TokenProfile& token_profile)
    : pool_(pool), token_profile_(token_profile), templates_(token_profile) {}

Sealing::~Sealing() = default;

void Sealing::use(std::vector<StorageKey> keys) {
  pool_.module().require(pool_.token(), CKM_AES_CMAC, CKF_SIGN | CKF_VERIFY);
  {
    const std::lock_guard lock(mutex_);
    ids_ = std::move(keys);
    found_.reset();
  }
  pool_.run([&](Session& session) {
    try {
      (void)this->keys(session);
    } catch (const pkcs11::Error& error) {
      if (error.rv() != CKR_KEY_NEEDED && error.rv() != CKR_TEMPLATE_INCONSISTENT) throw;
      throw pkcs11::TokenUnavailable(
          "token \"" + pool_.token().label + "\" can't open the sealed vault: " + error.what() +
          ". Restore the token from its backup, and find out who has its PIN");
    }
  });
}

bool Sealing::is_ready() const {
  const std::lock_guard lock(mutex_);
  return std::ranges::all_of(purposes, [&](const Purpose& each) {
    return std::ranges::find(ids_, each.which, &StorageKey::which) != ids_.end();
  });
}

std::shared_ptr<const Sealing::Found> Sealing::keys(Session& session) {
  const std::lock_guard lock(mutex_);
  if (found_ && found_->epoch == pool_.epoch()) return found_;
  auto found = std::make_shared<Found>(Found{.epoch = pool_.epoch(), .all = {}});
  for (const auto& key : ids_) {
    const auto objects = search(session, key.id);
    if (objects.empty()) require_answers(pool_);
    const Handle object = only_one(
        session, objects, std::string(purpose_of(key.which)) + " " + key.id.to_string(),
        storage_at_rest(key.which, token_profile_).add(attr::label, purpose(key.which).label));
    found->all.push_back({key, object});
  }
  found_ = found;
  return found_;
}

Handle Sealing::generate(Session& session, const KeyName& key, bool trusted_kek) {
  const auto& prepared = templates(key);
  return session.generate_key(Mechanism(CKM_AES_KEY_GEN),
                              trusted_kek ? prepared.fresh_trusted : prepared.fresh_untrusted);
}

std::string Sealing::granted(Session& session, const KeyName& key, Handle handle,
                             bool trusted_kek) {
  return granted_as_asked(session, handle,
                          trusted_kek ? templates(key).trusted : templates(key).untrusted,
                          "C_GenerateKey");
}

SealedKey Sealing::seal(Session& session, const KeyName& key, Handle handle) {
  const auto found = keys(session);
  const auto* storage = found->newest(storage_of(key.role));
  if (storage == nullptr || found->newest(ObjectPurpose::mac_key) == nullptr)
    throw pkcs11::Error("C_WrapKey", CKR_KEY_NEEDED,
                        "the sealed vault has no storage keys yet; run 'smets1-kms init'");
  SealedKey sealed{
      .under = storage->key.id,
      .blob = session.wrap_key(Mechanism(token_profile_.profile.key_wrap), storage->handle, handle),
      .mac = {}};
  if (sealed.blob.size() != wrapped_length(key.suite))
    throw pkcs11::Error("C_WrapKey", CKR_WRAPPED_KEY_LEN_RANGE,
                        std::to_string(sealed.blob.size()) + " bytes");
  sealed.mac = session.sign(Mechanism(CKM_AES_CMAC), found->mac(), bound(key, sealed));
  return sealed;
}

Handle Sealing::verified(Session& session, const Found& found, const KeyName& key,
                         const SealedKey& sealed) const {
  const auto storage = std::ranges::find(found.all, sealed.under,
                                         [](const Found::Storage& each) { return each.key.id; });
  if (storage == found.all.end() || storage->key.which != storage_of(key.role))
    throw pkcs11::Error("C_FindObjects", CKR_KEY_NEEDED,
                        key.to_string() + ": it is sealed under " + sealed.under.to_string() +
                            ", which is no storage key of its class");
  if (sealed.blob.size() != wrapped_length(key.suite) ||
      !session.verify(Mechanism(CKM_AES_CMAC), found.mac(), bound(key, sealed), sealed.mac))
    throw pkcs11::Error(
        "C_Verify", CKR_SIGNATURE_INVALID,
        key.to_string() +
            ": what the registry keeps of it is not what was sealed as this key; it is not opened");
  return storage->handle;
}

Handle Sealing::open(Session& session, const KeyName& key, const SealedKey& sealed) {
  const auto found = keys(session);
  const Handle storage = verified(session, *found, key, sealed);
  return session.unwrap_key(Mechanism(token_profile_.profile.key_wrap), storage, sealed.blob,
                            templates(key).opened);
}

SealedKey Sealing::seal_again(Session& session, const KeyName& key, const SealedKey& sealed) {
  const auto found = keys(session);
  const Handle storage = verified(session, *found, key, sealed);
  const auto leaving =
      vault::opened(key.role, key.suite, token_profile_).set(attr::extractable, true);
  const ScopedObject opened(
      session, session.unwrap_key(Mechanism(token_profile_.profile.key_wrap), storage, sealed.blob,
                                  unwrapping(leaving, key_length(key.suite), token_profile_)));
  return seal(session, key, opened.handle());
}

}  // namespace smets1kms::vault
