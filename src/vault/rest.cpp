#include "vault/rest.hpp"

#include <algorithm>

#include "vault/objects.hpp"

namespace smets1kms::vault {
namespace {

using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::Session;

/// PKCS#11 2.40, C_CopyObject: LOCAL and ALWAYS_SENSITIVE stay, which is evidence that the key was made in the token.
Handle by_copy(Session& session, Handle fresh_key, const KeyName& key, const Terms& terms) {
  return session.copy_object(fresh_key, to_rest(key.role, key.suite, terms));
}

/// Where there is no copy. Neither the storage key nor what it wrapped outlives the call.
Handle by_restore(Session& session, Handle fresh_key, const KeyName& key, const Terms& terms) {
  const Mechanism key_wrap(terms.profile.key_wrap);
  const Temporary storage(session, session.generate_key(Mechanism(CKM_AES_KEY_GEN), storage_for(key.role, key.suite, terms)));
  const Bytes blob = session.wrap_key(key_wrap, storage.handle(), fresh_key);
  const auto attributes = named(key.id, key.label(), restored(key.role, key.suite, terms));
  return session.unwrap_key(key_wrap, storage.handle(), blob, unwrapping(attributes, key_length(key.suite), terms));
}

constexpr std::array ways{Rest{RestBy::copy, by_copy, "C_CopyObject"}, Rest{RestBy::restore, by_restore, "C_UnwrapKey"}};

}  // namespace

const Rest& way_to_rest(RestBy by) { return *std::ranges::find(ways, by, &Rest::by); }

}  // namespace smets1kms::vault
