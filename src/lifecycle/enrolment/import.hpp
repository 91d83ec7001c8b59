// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "lifecycle/enrolment/ceremony_session.hpp"
#include "lifecycle/operations.hpp"
#include "smets1kms/enrolment.hpp"

namespace smets1kms::lifecycle {

ImportResult import_fleet(Context& context, CeremonySession& who, const FleetFile& file,
                          const Authority& authority, const std::string& operation_id);
EnrolmentResult admit_waiting(Context& context, CeremonySession& who, const Authority& authority);
HandoverTarget admit_target(Context& context, CeremonySession& who, const Authority& authority,
                            const TargetAdmission& admission);
void retire_target(Context& context, CeremonySession& who, const Authority& authority,
                   const std::string& name);
std::string make_keys(Context& context, CeremonySession& who, const Authority& authority);

}  // namespace smets1kms::lifecycle
