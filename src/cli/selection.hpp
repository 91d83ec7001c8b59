// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>

#include "cli/commands.hpp"

namespace smets1kms::cli {

/// What a batch is to rotate, one request after the other: memory does not grow with their number.
struct Selection {
  std::function<std::optional<RotationRequest>()> next;
  std::size_t total;           ///< for the progress shown; 0: not known beforehand
  std::vector<KeyRole> roles;  ///< in the order asked for; empty: each device's own
};

/// --device, --all, --file, --due, --within, --reason, --role, --justification
void add_selection(options::options_description& own);
/// Throws Usage unless one of the first four is given, with what goes with it.
void check_selection(const options::variables_map& values);
/// Device, roles and reason of each; the rest is the caller's to add. Throws BadFile for a line of
/// the file that is no device's id, before anything is begun.
[[nodiscard]] Selection selection(const options::variables_map& values, const Config& config,
                                  const Fleet& fleet);

}  // namespace smets1kms::cli
