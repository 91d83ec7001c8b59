// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>

#include "audit/sample_log.hpp"

namespace test {

/// Source of choices: a number from 0 to `end` - 1.
using Below = std::function<int(int end)>;

/// Returns a legal history of a few devices, of `steps` operations chosen at random among those
/// that are legal where they stand, as the product writes them.
[[nodiscard]] SampleLog random_story(const Below& below, int steps);

}  // namespace test
