// SPDX-License-Identifier: Apache-2.0
#include "vault/vault.hpp"

#include <openssl/sha.h>

#include <algorithm>

#include "vault/objects.hpp"

namespace smets1kms::vault {

using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::RawTemplate;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

std::string KeyName::label() const {
  return "smets1-kms/" + std::string(smets1kms::to_string(role)) + "/" + device.to_string() + "/" +
         std::to_string(generation);
}

std::string KeyName::to_string() const {
  return "key " + id.to_string() + " (" + std::string(smets1kms::to_string(role)) + " " +
         std::to_string(generation) + " of " + device.to_string() + ")";
}

Vault::Vault(pkcs11::Pool& pool, TokenProfile token_profile)
    : pool_(pool),
      token_profile_(std::move(token_profile)),
      templates_(token_profile_),
      sealing_(pool_, token_profile_),
      targets_(pool_, token_profile_) {
  const std::pair<CK_MECHANISM_TYPE, CK_FLAGS> needed[] = {
      {token_profile_.profile.key_wrap, CKF_WRAP | CKF_UNWRAP},
      {CKM_AES_KEY_GEN, CKF_GENERATE},
      {CKM_AES_GCM, CKF_ENCRYPT},
      {CKM_AES_CMAC, CKF_SIGN},
      {CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR},
      {CKM_RSA_PKCS_OAEP, CKF_UNWRAP}};
  for (const auto& [mechanism, flags] : needed)
    pool.module().require(pool.token(), mechanism, flags);
}

void Vault::remember(const KeyName& key, Handle handle) {
  const std::lock_guard lock(mutex_);
  if (index_epoch_ != pool_.epoch()) return;
  const auto [first, last] = index_.equal_range(key.id);  // others may have looked meanwhile
  if (std::none_of(first, last, [&](const auto& each) { return each.second.handle == handle; }))
    index_.emplace(key.id, Known{handle, key.to_string()});
}

void Vault::remove_orphans(Session& session, const KeyId& id) {
  vault::remove_orphans(session, id);
  const std::lock_guard lock(mutex_);
  index_.erase(id);
}

/// One enumeration instead of a search for each key: SoftHSM's search by CKA_ID is linear.
void Vault::load_index(Session& session) {
  index_.clear();
  const auto epoch = pool_.epoch();
  for (const Handle handle : session.find_objects(
           Template().add(attr::object_class, CKO_SECRET_KEY).add(attr::token, true)))
    if (const auto id = id_of(session, handle)) index_.emplace(*id, Known{handle, {}});
  index_epoch_ = epoch;
}

Handle Vault::find(Session& session, const KeyId& id, const std::string& who,
                   const std::function<Template()>& expected) {
  std::unique_lock lock(mutex_);
  if (index_epoch_ != pool_.epoch()) load_index(session);
  const auto [first, last] = index_.equal_range(id);
  const auto matches = std::distance(first, last);
  // KEY_HANDLE_INVALID would send the pool to resolve again; this is final.
  if (matches == 0) {
    require_answers(pool_);
    throw pkcs11::Error("C_FindObjects", CKR_KEY_NEEDED, who + " is not in the token");
  }
  if (matches > 1)
    throw pkcs11::Error(
        "C_FindObjects", CKR_KEY_NOT_NEEDED,
        who + ": " + std::to_string(matches) + " objects have this id, one of them is not ours");
  const Handle handle = first->second.handle;
  if (first->second.asserted_as == who) return handle;
  const auto epoch = index_epoch_;
  lock.unlock();  // meanwhile the token is asked, and other threads find theirs
  // The label is asserted too: the registry may now call the object by another name.
  require_same(session, handle, who, expected());
  lock.lock();
  if (index_epoch_ == epoch)
    if (const auto still = index_.find(id); still != index_.end() && still->second.handle == handle)
      still->second.asserted_as = who;
  return handle;
}

Handle Vault::resolve(Session& session, const KeyName& key) {
  return find(session, key.id, key.to_string(), [&] {
    const auto& templates = templates_.of(key.role, key.suite);
    Template expected =
        key.from_outside(token_profile_.mode) ? templates.from_outside : templates.resting;
    return expected.add(attr::label, key.label());
  });
}

Handle Vault::acquire(Session& session, const KeyAtRest& key, std::optional<ScopedObject>& scope) {
  if (!key.sealed) return resolve(session, key.name);
  return scope.emplace(session, sealing_.open(session, key.name, *key.sealed)).handle();
}

MadeKey Vault::make_one(Session& session, const KeyName& key, Handle kek, bool kek_is_sealed,
                        bool& may_have_left_one) {
  const Mechanism key_wrap(token_profile_.profile.key_wrap);
  // A KEK made under a sealed one has no WRAP_WITH_TRUSTED, so it can't wait for the officer under
  // his key.
  const bool sealed =
      keep_ == VaultKind::sealed || (kek_is_sealed && key.from_outside(token_profile_.mode));
  const auto& templates = templates_.of(key.role, key.suite);
  const auto generate = [&] {
    if (sealed) return sealing_.generate(session, key, !kek_is_sealed);
    return session.generate_key(
        Mechanism(CKM_AES_KEY_GEN),
        RawTemplate(named(key.id, key.label(), {}),
                    kek_is_sealed ? templates.fresh_under_sealed : templates.fresh));
  };
  const ScopedObject fresh_key(session, generate());
  MadeKey made{.wrapped = session.wrap_key(key_wrap, kek, fresh_key.handle())};
  if (made.wrapped.size() != wrapped_length(key.suite))
    throw pkcs11::Error("C_WrapKey", CKR_WRAPPED_KEY_LEN_RANGE,
                        std::to_string(made.wrapped.size()) + " bytes");
  made.handovers = targets_.wrap(session, fresh_key.handle(), key.role);
  if (sealed) {
    made.attributes = sealing_.granted(session, key, fresh_key.handle(), !kek_is_sealed);
    made.sealed = sealing_.seal(session, key, fresh_key.handle());
    return made;
  }
  if (key.from_outside(token_profile_.mode)) {  // the officer must admit this KEK: it is sealed for
                                                // him, and never comes to rest here
    if (!enrolment_key_)
      throw pkcs11::Error("C_WrapKey", CKR_KEY_NEEDED,
                          "there is no enrolment key; run 'smets1-kms enrol'");
    const Handle enrolment =
        find(session, *enrolment_key_, "enrolment key " + enrolment_key_->to_string(),
             [&] { return attributes(ObjectPurpose::enrolment_key, key.suite, token_profile_); });
    made.awaiting = session.wrap_key(key_wrap, enrolment, fresh_key.handle());
    made.attributes = granted_attributes(session, fresh_key.handle());
    return made;
  }
  may_have_left_one = true;
  const Handle resting = persist_key(session, fresh_key.handle(), key, templates, token_profile_);
  made.attributes =
      token_profile_.profile.keeps_local ? templates.granted : granted_attributes(session, resting);
  remember(key, resting);
  return made;
}

/// Retries each key by itself: with a token that throttles a whole device would hardly ever pass.
MadeKey Vault::make_with_retry(Session& session, const KeyName& key, Handle kek, bool kek_is_sealed,
                               bool& may_have_left_one) {
  for (int time = 1;; ++time) {
    try {
      return make_one(session, key, kek, kek_is_sealed, may_have_left_one);
    } catch (const pkcs11::Error& error) {
      if (error.reaction() != pkcs11::Reaction::back_off || time == 3) throw;
    }
    pool_.back_off(time);
    if (may_have_left_one) remove_orphans(session, key.id);
  }
}

std::vector<MadeKey> Vault::make(std::span<const KeyName> keys, const KeyAtRest& kek) {
  bool may_have_left_one = false;
  const KeyName* at = nullptr;
  const auto make_all = [&](Session& session) {
    if (may_have_left_one)  // an earlier attempt lost the answer to its copy: look for its CKA_ID
                            // first
      for (const auto& key : keys) remove_orphans(session, key.id);
    at = &kek.name;
    std::optional<ScopedObject> scope;
    const Handle kek_handle = acquire(session, kek, scope);
    std::vector<MadeKey> made;
    made.reserve(keys.size());
    for (const auto& key : keys) {
      at = &key;
      made.push_back(
          make_with_retry(session, key, kek_handle, kek.sealed.has_value(), may_have_left_one));
    }
    return made;
  };
  try {
    return pool_.run(make_all);
  } catch (const pkcs11::Error& error) {
    std::vector<KeyId> ids;
    for (const auto& key : keys) ids.push_back(key.id);
    if (may_have_left_one) destroy(ids);
    throw error.object().empty() && at != nullptr ? error.about(at->to_string()) : error;
  }
}

/// Visits the keys in the token that have one of the ids, by one search.
static void for_each_with_id(Session& session, std::span<const KeyId> ids,
                             const std::function<void(const KeyId&, Handle)>& visit) {
  if (ids.size() == 1)
    for (const Handle handle : search(session, ids.front())) visit(ids.front(), handle);
  else if (!ids.empty())
    for (const Handle handle : session.find_objects(
             Template().add(attr::token, true).add(attr::object_class, CKO_SECRET_KEY))) {
      const auto id = id_of(session, handle);
      if (id && std::ranges::find(ids, *id) != ids.end()) visit(*id, handle);
    }
}

Count Vault::destroy(std::span<const KeyId> keys) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& id : keys) index_.erase(id);
  }
  // Destroying twice is safe: the second finds nothing. One enumeration serves as the proof of
  // absence.
  return pool_.run([&](Session& session) {
    const auto all_with_id = [&] {
      std::vector<Handle> found;
      for_each_with_id(session, keys,
                       [&](const KeyId&, Handle handle) { found.push_back(handle); });
      return found;
    };
    for (const Handle object : all_with_id()) session.destroy_object(object);
    const Count left = all_with_id().size();
    if (left == 0) require_answers(pool_);
    return left;
  });
}

Count Vault::count(const KeyId& id) {
  return pool_.run([&](Session& session) {
    const Count found = search(session, id).size();
    if (found == 0) require_answers(pool_);
    return found;
  });
}

std::vector<KeyId> Vault::missing(std::vector<KeyId> ids) {
  return pool_.run([&](Session& session) {
    auto left = ids;
    for_each_with_id(session, ids, [&](const KeyId& id, Handle) { std::erase(left, id); });
    if (!left.empty()) require_answers(pool_);
    return left;
  });
}

Bytes Vault::prove(const KeyAtRest& key, ByteView challenge) {
  constexpr std::string_view prefix = "smets1-kms key proof 1";
  Bytes message(prefix.begin(), prefix.end());
  message.insert(message.end(), challenge.begin(), challenge.end());
  return pool_.run([&](Session& session) -> Bytes {
    std::optional<ScopedObject> scope;
    const Handle handle = acquire(session, key, scope);
    if (key.name.role == KeyRole::gak)
      return session.sign(Mechanism(CKM_AES_CMAC), handle, message);
    std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest;
    SHA256(message.data(), message.size(), digest.data());
    const Bytes sealed = session.encrypt(
        Mechanism::aes_gcm({digest.begin(), digest.begin() + 12}, {}), handle, challenge);
    return {sealed.end() - 16, sealed.end()};
  });
}

}  // namespace smets1kms::vault
