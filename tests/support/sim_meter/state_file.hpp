// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "sim_meter/meter.hpp"

namespace sim_meter {

/// The fleet as it was saved, in the order of installation; empty when the file isn't there yet.
std::vector<Meter> load_state(const std::filesystem::path& file);

/// Whole or not at all, mode 0600: the file holds the meters' keys in clear.
void save_state(const std::filesystem::path& file, const std::vector<Meter>& meters);

}  // namespace sim_meter
