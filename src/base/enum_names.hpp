// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "smets1kms/errors.hpp"

namespace smets1kms {

/// An enumeration and its words: one table for both directions.
template <class Enum, std::size_t count>
struct EnumNames {
  std::array<std::pair<Enum, std::string_view>, count> rows;

  [[nodiscard]] constexpr std::string_view name(Enum value) const {
    for (const auto& [each, word] : rows)
      if (each == value) return word;
    return "?";
  }
  [[nodiscard]] Enum parse(std::string_view text, const std::string& what) const {
    std::string known;
    for (const auto& [each, word] : rows) {
      if (word == text) return each;
      known += (known.empty() ? "" : ", ") + std::string(word);
    }
    throw BadInput("'" + std::string(text.substr(0, 40)) + "' is not a " + what + ": one of " +
                   known);
  }
};

}  // namespace smets1kms
