// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim_headend/options.hpp"

namespace sim_headend {

/// Carries out one command. False where something is left that a person should look at, which
/// standard error names. Throws UsageError, InputError.
bool run(const Options& options);

}  // namespace sim_headend
