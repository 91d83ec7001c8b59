// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <string_view>
#include <utility>

namespace smets1kms::vault {

/// Returns name and text of each file of hsm-config/profiles/*.toml, as compiled in
/// (src/embed.cmake).
[[nodiscard]] std::span<const std::pair<std::string_view, std::string_view>>
shipped_profile_texts();

}  // namespace smets1kms::vault
