// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cli/common.hpp"
#include "smets1kms/audit_log.hpp"
#include "smets1kms/enrolment.hpp"

namespace smets1kms::cli {

/// Returns the options FLEET.csv, --signature, --transport-key, --move, --so-pin-source.
[[nodiscard]] Options fleet_file_options();
[[nodiscard]] FleetFile fleet_file_of(const Invocation& in);
/// Returns the option --public-key.
[[nodiscard]] Option public_key_option();
/// Returns the options --handover, --certificate, --fingerprint, --roles, --before-transfer,
/// --retire-handover.
[[nodiscard]] Options target_options();
/// Checks that they go together, and returns the target to admit. Throws Usage.
[[nodiscard]] std::optional<TargetAdmission> target_of(const Invocation& in);
/// Admits and retires handover targets as the options say, and says so.
void change_targets(const Invocation& in, Enrolment& ceremony,
                    const std::optional<TargetAdmission>& admission);
/// Opens the enrolment under the authority that was given.
[[nodiscard]] Enrolment open_enrolment(const Invocation& in, const Config& config);
/// Writes the PEM to a new file; one that is there must say the same. Throws BadInput.
void write_public_key(const std::string& file, const std::string& pem);
/// Writes "audit.pem", with which assessors verify the audit trail, if there is none yet.
bool write_audit_key(const Invocation& in, const Config& config);
[[nodiscard]] const Fields<ImportResult>& import_fields();
void print_import(const Invocation& in, const ImportResult& result);

}  // namespace smets1kms::cli
