#include "vault/token_vault.hpp"

#include <openssl/sha.h>

#include <algorithm>

#include "vault/objects.hpp"

namespace smets1kms::vault {
namespace {

using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

constexpr std::string_view proof_prefix = "smets1-kms key proof 1";

/// A session object that goes with this scope, whatever happens.
class Temporary {
 public:
  Temporary(Session& session, Handle handle) : session_(session), handle_(handle) {}
  Temporary(const Temporary&) = delete;
  ~Temporary() {
    try {
      session_.destroy_object(handle_);
    } catch (const pkcs11::Error&) {  // the session is lost, and the object with it
    }
  }
  [[nodiscard]] Handle handle() const { return handle_; }

 private:
  Session& session_;
  Handle handle_;
};

/// PKCS#11 2.40, C_CopyObject: LOCAL and ALWAYS_SENSITIVE stay, which is evidence that the key was made in the token.
Handle rest_by_copy(Session& session, Handle fresh_key, const KeyName& key, const Terms& terms) {
  return session.copy_object(fresh_key, to_rest(key.role, key.suite, terms));
}

/// Where there is no copy. Neither the storage key nor what it wrapped outlives the call.
Handle rest_by_restore(Session& session, Handle fresh_key, const KeyName& key, const Terms& terms) {
  const Mechanism key_wrap(terms.profile.key_wrap);
  const Temporary storage(session, session.generate_key(Mechanism(CKM_AES_KEY_GEN), storage_for(key.role, key.suite, terms)));
  const Bytes blob = session.wrap_key(key_wrap, storage.handle(), fresh_key);
  const auto attributes = named(key.id, key.label(), restored(key.role, key.suite, terms));
  return session.unwrap_key(key_wrap, storage.handle(), blob, unwrapping(attributes, key_length(key.suite), terms));
}

struct Rest {
  RestBy by;
  Handle (*put)(Session&, Handle fresh_key, const KeyName&, const Terms&);
  const char* function;  ///< the one that made what rests
};
constexpr std::array rests{Rest{RestBy::copy, rest_by_copy, "C_CopyObject"}, Rest{RestBy::restore, rest_by_restore, "C_UnwrapKey"}};

}  // namespace

std::string KeyName::label() const {
  return "smets1-kms/" + std::string(smets1kms::to_string(role)) + "/" + device.to_string() + "/" + std::to_string(generation);
}

std::string KeyName::to_string() const {
  return "key " + id.to_string() + " (" + std::string(smets1kms::to_string(role)) + " " + std::to_string(generation) + " of " + device.to_string() + ")";
}

TokenVault::TokenVault(pkcs11::Pool& pool, Terms terms) : pool_(pool), terms_(std::move(terms)) {
  const std::pair<CK_MECHANISM_TYPE, CK_FLAGS> needed[] = {
      {terms_.profile.key_wrap, CKF_WRAP | CKF_UNWRAP},   {CKM_AES_KEY_GEN, CKF_GENERATE}, {CKM_AES_GCM, CKF_ENCRYPT}, {CKM_AES_CMAC, CKF_SIGN},
      {CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR}, {CKM_RSA_PKCS_OAEP, CKF_UNWRAP}};
  for (const auto& [mechanism, flags] : needed) pool.module().require(pool.token(), mechanism, flags);
}

void TokenVault::insist_on_answers() {
  // SoftHSM whose directory is gone finds nothing and says CKR_OK: that is not absence.
  if (!pool_.answers()) throw pkcs11::Error("C_FindObjects", CKR_TOKEN_NOT_PRESENT);
}

void TokenVault::forget_index() {
  const std::lock_guard lock(mutex_);
  index_epoch_ = 0;
}

void TokenVault::remember(const KeyName& key, Handle handle) {
  const std::lock_guard lock(mutex_);
  if (index_epoch_ == pool_.epoch()) index_.emplace(key.id, Known{handle, key.to_string()});
}

/// One enumeration instead of a search for each key: SoftHSM's search by CKA_ID is linear.
void TokenVault::load_index(Session& session) {
  index_.clear();
  const auto epoch = pool_.epoch();
  for (const Handle handle : session.find_objects(Template().add(attr::object_class, CKO_SECRET_KEY).add(attr::token, true))) {
    const auto id = session.get(handle, attr::id);
    if (!id || id->size() != KeyId::Raw{}.size()) continue;
    KeyId::Raw bytes{};
    std::ranges::copy(*id, bytes.begin());
    index_.emplace(KeyId(bytes), Known{handle, {}});
  }
  index_epoch_ = epoch;
}

Handle TokenVault::find(Session& session, const KeyId& id, const std::string& who, const Template& expected) {
  const std::lock_guard lock(mutex_);
  if (index_epoch_ != pool_.epoch()) load_index(session);
  const auto [first, last] = index_.equal_range(id);
  const auto matches = std::distance(first, last);
  // KEY_HANDLE_INVALID would send the pool to resolve again; this is final.
  if (matches == 0) insist_on_answers();
  if (matches == 0) throw pkcs11::Error("C_FindObjects", CKR_KEY_NEEDED, who + " is not in the token");
  if (matches > 1)
    throw pkcs11::Error("C_FindObjects", CKR_KEY_NOT_NEEDED, who + ": " + std::to_string(matches) + " objects have this id, one of them is not ours");
  if (first->second.asserted_as != who) {  // also where the registry now calls the object by another name
    const auto differences = session.differences(first->second.handle, expected);
    if (!differences.empty()) throw pkcs11::Error("C_GetAttributeValue", CKR_TEMPLATE_INCONSISTENT, who + ": " + differences.front());
    first->second.asserted_as = who;
  }
  return first->second.handle;
}

Handle TokenVault::resolve(Session& session, const KeyName& key) {
  return find(session, key.id, key.to_string(), read_back(key.role, key.suite, terms_, key.from_outside(terms_.mode)).add(attr::label, key.label()));
}

MadeKey TokenVault::make_once(Session& session, const KeyName& key, const KeyName& kek, bool& may_have_left_one) {
  if (may_have_left_one)  // an earlier attempt lost the answer to its copy: look for its CKA_ID first
    for (const Handle stray : search(session, key.id)) session.destroy_object(stray);
  const Handle kek_handle = resolve(session, kek);
  const Mechanism key_wrap(terms_.profile.key_wrap);
  const Temporary fresh_key(session, session.generate_key(Mechanism(CKM_AES_KEY_GEN), named(key.id, key.label(), fresh(key.role, key.suite, terms_))));
  MadeKey made{.wrapped = session.wrap_key(key_wrap, kek_handle, fresh_key.handle()), .attributes = {}, .awaiting = {}};
  if (key.from_outside(terms_.mode)) {  // a KEK that the officer must admit: sealed for him, never at rest by our own hand
    if (!enrolment_key_) throw pkcs11::Error("C_WrapKey", CKR_KEY_NEEDED, "there is no enrolment key; run 'smets1-kms enrol'");
    const Handle enrolment =
        find(session, *enrolment_key_, "enrolment key " + enrolment_key_->to_string(), attributes(Class::enrolment_key, key.suite, terms_));
    made.awaiting = session.wrap_key(key_wrap, enrolment, fresh_key.handle());
    made.attributes = granted_attributes(session, fresh_key.handle());
    return made;
  }
  may_have_left_one = true;
  const auto& rest = *std::ranges::find(rests, terms_.profile.rest_by, &Rest::by);
  const Handle resting = rest.put(session, fresh_key.handle(), key, terms_);
  insist(session, resting, read_back(key.role, key.suite, terms_, false), rest.function);
  made.attributes = granted_attributes(session, resting);
  remember(key, resting);
  return made;
}

MadeKey TokenVault::make(const KeyName& key, const KeyName& kek) {
  bool may_have_left_one = false;
  try {
    auto made = pool_.run([&](Session& session) { return make_once(session, key, kek, may_have_left_one); });
    if (made.wrapped.size() != wrapped_length(key.suite))
      throw pkcs11::Error("C_WrapKey", CKR_WRAPPED_KEY_LEN_RANGE, std::to_string(made.wrapped.size()) + " bytes");
    return made;
  } catch (const pkcs11::Error& error) {
    if (may_have_left_one) destroy(std::span(&key.id, 1));
    throw error.object().empty() ? error.about(key.to_string()) : error;
  }
}

Count TokenVault::destroy(std::span<const KeyId> keys) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& id : keys) index_.erase(id);
  }
  // Destroying twice is safe: the second finds nothing. One enumeration serves as the proof of absence.
  return pool_.run([&](Session& session) {
    const auto all_with_id = [&] {
      std::vector<Handle> found;
      if (keys.size() == 1) return search(session, keys.front());
      for (const Handle handle : session.find_objects(Template().add(attr::token, true).add(attr::object_class, CKO_SECRET_KEY))) {
        const auto id = session.get(handle, attr::id);
        if (id && std::ranges::any_of(keys, [&](const KeyId& key) { return std::ranges::equal(*id, key.raw()); })) found.push_back(handle);
      }
      return found;
    };
    for (const Handle object : all_with_id()) session.destroy_object(object);
    const Count left = all_with_id().size();
    if (left == 0) insist_on_answers();
    return left;
  });
}

Count TokenVault::count(const KeyId& id) {
  return pool_.run([&](Session& session) {
    const Count found = search(session, id).size();
    if (found == 0) insist_on_answers();
    return found;
  });
}

Bytes TokenVault::prove(const KeyName& key, ByteView challenge) {
  Bytes message(proof_prefix.begin(), proof_prefix.end());
  message.insert(message.end(), challenge.begin(), challenge.end());
  return pool_.run([&](Session& session) -> Bytes {
    const Handle handle = resolve(session, key);
    if (key.role == KeyRole::gak) return session.sign(Mechanism(CKM_AES_CMAC), handle, message);
    std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest;
    SHA256(message.data(), message.size(), digest.data());
    const Bytes sealed = session.encrypt(Mechanism::aes_gcm({digest.begin(), digest.begin() + 12}, {}), handle, challenge);
    return {sealed.end() - 16, sealed.end()};
  });
}

}  // namespace smets1kms::vault
