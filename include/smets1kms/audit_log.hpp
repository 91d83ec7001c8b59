// SPDX-License-Identifier: Apache-2.0
/// @file
/// The signed audit trail, for those who give it to assessors. Needs no token.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "smets1kms/callbacks.hpp"
#include "smets1kms/config.hpp"

namespace smets1kms {

/// The facts of a log that a verifier pins.
struct AuditIdentity {
  std::string origin;      ///< the log's name for its whole life
  std::string public_key;  ///< PEM: ECDSA P-256
  std::string head;        ///< the last signed head, a C2SP tlog-checkpoint
};
/// Throws StorageError: no registry, or not signed yet (run init).
[[nodiscard]] AuditIdentity audit_identity(const Config& config);

struct ExportResult {
  std::uint64_t records = 0;  ///< there are now
  std::uint64_t added = 0;    ///< by this export
  std::string head;           ///< over them
};
/// Appends to a directory what the trail has gained, up to its last signed head: records, heads,
/// the last device-head map, public keys, what the token is. A new directory is made. Memory does
/// not grow with the trail. An export that was interrupted counts for nothing, and the next one
/// goes on from the last good one. Form: src/audit/export.md. Throws StorageError, BadInput (the
/// directory holds something else, or another log).
ExportResult export_audit_log(const Config& config, const std::filesystem::path& directory,
                              const std::function<void(const Progress&)>& progress = {});

}  // namespace smets1kms
