// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>

#include "lifecycle/enrolment/ceremony_session.hpp"
#include "lifecycle/token_keys.hpp"
#include "smets1kms/enrolment.hpp"

/// The sealed vault's own keys in the ceremony, and their roll-over.
namespace smets1kms::lifecycle {

/// Officer's enrolment: storage keys that he has marked trusted, in his session; they come to rest
/// once the user has logged in.
using AdmittedStorage = std::map<vault::ObjectPurpose, pkcs11::Handle>;
/// Those that new keys are to go under and that are not there yet.
[[nodiscard]] bool lacks_storage_keys(Context& context);
[[nodiscard]] AdmittedStorage admit_storage_keys(Context& context, CeremonySession& who);
void make_storage_keys(Context& context, CeremonySession& who, const Authority& authority,
                       const AdmittedStorage& admitted);
/// A new one of each class beside the one that is there. Throws Refused where there is none.
void renew_storage_keys(Context& context, CeremonySession& who, const Authority& authority);
/// KeyManager::reseal.
ResealResult reseal(Context& context, const Authority& authority);

}  // namespace smets1kms::lifecycle
