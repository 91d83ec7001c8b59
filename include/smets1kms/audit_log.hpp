// SPDX-License-Identifier: Apache-2.0
/// @file
/// The signed audit trail, exported for assessors. Needs no token.
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
  std::string vkey;        ///< the same as a C2SP signed-note verifier key
  std::string head;        ///< the last signed head, a C2SP tlog-checkpoint
};
/// Returns the audit identity of a registry. Throws StorageError where there is no registry or
/// nothing is signed yet (run init).
[[nodiscard]] AuditIdentity audit_identity(const Config& config);

struct ExportResult {
  std::uint64_t records = 0;  ///< records in the export now
  std::uint64_t added = 0;    ///< records that this export added
  std::string head;           ///< last signed head of the export
};
/// Appends to a directory what the trail has gained up to its last signed head: records, heads, the
/// last device-head map, public keys, documents such as the token's identity. Makes a directory
/// that is not there. Memory does not grow with the trail. An interrupted export counts for
/// nothing; the next one continues from the last complete one. Format: src/audit/export.md. Throws
/// StorageError; BadInput where the directory holds something else or another log.
ExportResult export_audit_log(const Config& config, const std::filesystem::path& directory,
                              const std::function<void(const Progress&)>& progress = {});

}  // namespace smets1kms
