// SPDX-License-Identifier: Apache-2.0
#include "vault/persist.hpp"

#include "vault/objects.hpp"

namespace smets1kms::vault {
namespace {

using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::Session;
using pkcs11::Template;

/// Persists a key where there is no copy. Neither the storage key nor what it wrapped outlives the
/// call.
Handle restore(Session& session, Handle fresh_key, const KeyName& key,
               const TokenProfile& token_profile) {
  const Mechanism key_wrap(token_profile.profile.key_wrap);
  const ScopedObject storage(session,
                             session.generate_key(Mechanism(CKM_AES_KEY_GEN),
                                                  storage_for(key.role, key.suite, token_profile)));
  const Bytes blob = session.wrap_key(key_wrap, storage.handle(), fresh_key);
  const auto attributes = named(key.id, key.label(), restored(key.role, key.suite, token_profile));
  return session.unwrap_key(key_wrap, storage.handle(), blob,
                            unwrapping(attributes, key_length(key.suite), token_profile));
}

}  // namespace

PersistTemplates::PersistTemplates(KeyRole role, SecuritySuite suite,
                                   const TokenProfile& token_profile)
    : fresh(vault::fresh(role, suite, token_profile)),
      fresh_under_sealed(vault::fresh(role, suite, {EnrolmentMode::plain, token_profile.profile})),
      to_rest(vault::to_rest(role, suite, token_profile)),
      resting(read_back(role, suite, token_profile, false)),
      from_outside(read_back(role, suite, token_profile, true)),
      granted(granted_as_verified(resting)) {}

Handle persist_key(Session& session, Handle fresh_key, const KeyName& key,
                   const PersistTemplates& templates, const TokenProfile& token_profile) {
  // PKCS#11 2.40, C_CopyObject: LOCAL and ALWAYS_SENSITIVE stay, which is evidence that the key was
  // made in the token.
  const bool copied = token_profile.profile.persist_by == PersistBy::copy;
  const Handle resting = copied ? session.copy_object(fresh_key, templates.to_rest)
                                : restore(session, fresh_key, key, token_profile);
  verify_attributes(session, resting, templates.resting, copied ? "C_CopyObject" : "C_UnwrapKey");
  return resting;
}

}  // namespace smets1kms::vault
