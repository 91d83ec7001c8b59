// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim_meter/options.hpp"

namespace sim_meter {

/// Carries out one command. Throws UsageError, InputError.
void run(const Options& options);

}  // namespace sim_meter
