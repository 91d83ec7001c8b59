// SPDX-License-Identifier: Apache-2.0
#include "vault/persist.hpp"

#include <algorithm>

#include "vault/objects.hpp"

namespace smets1kms::vault {
namespace {

using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::Session;
using pkcs11::Template;

/// Persists a key by a copy. LOCAL and ALWAYS_SENSITIVE stay (PKCS#11 2.40, C_CopyObject), which is
/// evidence that the key was made in the token.
Handle by_copy(Session& session, Handle fresh_key, const KeyName&,
               const PersistTemplates& templates, const TokenProfile&) {
  return session.copy_object(fresh_key, templates.to_rest);
}

/// Persists a key where there is no copy. Neither the storage key nor what it wrapped outlives the
/// call.
Handle by_restore(Session& session, Handle fresh_key, const KeyName& key, const PersistTemplates&,
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

constexpr std::array persist_methods{PersistMethod{PersistBy::copy, by_copy, "C_CopyObject"},
                                     PersistMethod{PersistBy::restore, by_restore, "C_UnwrapKey"}};

Template fresh_under(EnrolmentMode mode, KeyRole role, SecuritySuite suite,
                     const TokenProfile& token_profile) {
  return fresh(role, suite, {mode, token_profile.profile});
}

}  // namespace

PersistTemplates::PersistTemplates(KeyRole role, SecuritySuite suite,
                                   const TokenProfile& token_profile)
    : fresh(fresh_under(token_profile.mode, role, suite, token_profile)),
      fresh_under_sealed(fresh_under(EnrolmentMode::plain, role, suite, token_profile)),
      to_rest(vault::to_rest(role, suite, token_profile)),
      resting(read_back(role, suite, token_profile, false)),
      from_outside(read_back(role, suite, token_profile, true)),
      granted(granted_as_verified(resting)) {}

const PersistMethod& persist_method(PersistBy by) {
  return *std::ranges::find(persist_methods, by, &PersistMethod::by);
}

}  // namespace smets1kms::vault
