// SPDX-License-Identifier: Apache-2.0
/// @file
/// Comparison of a registry and its token with the audit trail, which changes nothing.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "smets1kms/callbacks.hpp"
#include "smets1kms/config.hpp"

namespace smets1kms {

/// A row or a token object that is not as the audit trail says.
struct Contradiction {
  std::string what;     ///< the row or object: "key gak 2 of 00-DB-12-34-56-78-90-A0"
  std::string finding;  ///< how it differs; text from the registry may have any characters
  std::optional<std::uint64_t> record{};  ///< index of the record that says otherwise
  std::string remedy{};                   ///< what to do
};

struct CheckResult {
  std::uint64_t records = 0, devices = 0, keys = 0;  ///< how many were compared
  std::uint64_t token_objects = 0;                   ///< key objects of this product in the token
  std::uint64_t contradictions = 0;                  ///< all that were found
  std::vector<Contradiction> listed{};               ///< the first thousand of them
  std::vector<std::string> not_checked{};            ///< what could not be compared, and why
};

/// Replays the audit trail into the state that it implies, and compares every row of the registry
/// with it: devices, keys, events, operations, handovers, targets, the log's own tables, and the
/// settings that change what is wrapped. `with_token`: logs in, and compares the token's objects
/// with the rows both ways: every key that should be there, with its attributes, and no other.
/// Memory does not grow with the registry, but by 200 bytes for each object in the token. Reads
/// the registry in one snapshot beside a writer; blocks for as long as it reads everything. Not in
/// the trail, and therefore not compared: system titles, named batches, digests of requests.
/// Throws StorageError, where there is no registry or it can't be read; TokenUnavailable; BadInput.
[[nodiscard]] CheckResult check_registry(const Config& config, const Callbacks& callbacks = {},
                                         bool with_token = true);

}  // namespace smets1kms
