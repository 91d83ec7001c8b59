// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>

#include "lifecycle/enrolment/ceremony_session.hpp"
#include "lifecycle/token_keys.hpp"
#include "smets1kms/enrolment.hpp"

/// Storage keys and MAC key of the sealed vault in the ceremony, and their roll-over.
namespace smets1kms::lifecycle {

/// Storage keys that the officer has marked trusted, in his session; they come to rest once the
/// user has logged in.
using AdmittedStorage = std::map<vault::ObjectPurpose, pkcs11::Handle>;
/// True if sealed mode lacks a storage key.
[[nodiscard]] bool lacks_storage_keys(Context& context);
[[nodiscard]] AdmittedStorage admit_storage_keys(Context& context, CeremonySession& who);
void make_storage_keys(Context& context, CeremonySession& who, const Authority& authority,
                       const AdmittedStorage& admitted);
/// Makes a new storage key of each class beside the present one. Throws Refused where there is
/// none.
void renew_storage_keys(Context& context, CeremonySession& who, const Authority& authority);

}  // namespace smets1kms::lifecycle
