// SPDX-License-Identifier: Apache-2.0
/// @file
#pragma once
#include <string_view>

namespace smets1kms {

/// Returns the library's version, "0.1.0": the project's version in CMakeLists.txt.
[[nodiscard]] std::string_view version();

}  // namespace smets1kms
