#pragma once
#include "lifecycle/officer.hpp"
#include "lifecycle/operations.hpp"
#include "smets1kms/enrolment.hpp"

namespace smets1kms::lifecycle {

ImportResult import_fleet(Core& core, CeremonySession& who, const FleetFile& file, const Authority& authority, const std::string& operation_id);
EnrolmentResult admit_waiting(Core& core, CeremonySession& who, const Authority& authority);
std::string make_keys(Core& core, CeremonySession& who, const Authority& authority);

}  // namespace smets1kms::lifecycle
