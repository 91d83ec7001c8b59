// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>

#include "sim_headend/fleet.hpp"

namespace sim_headend {

/// Returns the head end as it was saved; nothing when the file isn't there yet. Throws InputError.
std::optional<Fleet> load_state(const std::filesystem::path& file);

/// Writes it whole or not at all, mode 0600: the file holds keys in clear.
void save_state(const std::filesystem::path& file, const Fleet& fleet);

}  // namespace sim_headend
