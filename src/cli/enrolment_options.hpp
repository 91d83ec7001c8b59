// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cli/commands.hpp"
#include "smets1kms/audit_log.hpp"
#include "smets1kms/enrolment.hpp"

/// What `init`, `device import` and `enrol` have in common.
namespace smets1kms::cli {

/// file, --signature, --transport-key, --move, --so-pin-source
void add_fleet_file(options::options_description& own);
[[nodiscard]] options::positional_options_description fleet_file_position();
[[nodiscard]] FleetFile fleet_file(const options::variables_map& values);
[[nodiscard]] std::string so_pin_source(const options::variables_map& values);
/// Writes the PEM to a new file; one that is there must say the same.
void write_public_key(const std::string& file, const std::string& pem);
/// "audit.pem", if there is none yet: what assessors verify the audit trail with.
void write_audit_key(const Config& config);
void print_import(const ImportResult& result);

}  // namespace smets1kms::cli
