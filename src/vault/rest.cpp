#include "vault/rest.hpp"

#include <algorithm>

#include "vault/objects.hpp"

namespace smets1kms::vault {
namespace {

using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::Session;
using pkcs11::Template;

/// PKCS#11 2.40, C_CopyObject: LOCAL and ALWAYS_SENSITIVE stay, which is evidence that the key was made in the token.
Handle by_copy(Session& session, Handle fresh_key, const KeyName&, const RestingForm& form, const Terms&) {
  return session.copy_object(fresh_key, form.to_rest);
}

/// Where there is no copy. Neither the storage key nor what it wrapped outlives the call.
Handle by_restore(Session& session, Handle fresh_key, const KeyName& key, const RestingForm&, const Terms& terms) {
  const Mechanism key_wrap(terms.profile.key_wrap);
  const Temporary storage(session, session.generate_key(Mechanism(CKM_AES_KEY_GEN), storage_for(key.role, key.suite, terms)));
  const Bytes blob = session.wrap_key(key_wrap, storage.handle(), fresh_key);
  const auto attributes = named(key.id, key.label(), restored(key.role, key.suite, terms));
  return session.unwrap_key(key_wrap, storage.handle(), blob, unwrapping(attributes, key_length(key.suite), terms));
}

constexpr std::array ways{Rest{RestBy::copy, by_copy, "C_CopyObject"}, Rest{RestBy::restore, by_restore, "C_UnwrapKey"}};

Template fresh_under(EnrolmentMode mode, KeyRole role, SecuritySuite suite, const Terms& terms) { return fresh(role, suite, {mode, terms.profile}); }

}  // namespace

RestingForm::RestingForm(KeyRole role, SecuritySuite suite, const Terms& terms)
    : fresh(fresh_under(terms.mode, role, suite, terms)),
      fresh_under_sealed(fresh_under(EnrolmentMode::plain, role, suite, terms)),
      to_rest(vault::to_rest(role, suite, terms)),
      resting(read_back(role, suite, terms, false)),
      from_outside(read_back(role, suite, terms, true)),
      granted(granted_as_insisted(resting)) {}

const Rest& way_to_rest(RestBy by) { return *std::ranges::find(ways, by, &Rest::by); }

}  // namespace smets1kms::vault
