// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <string>
#include <string_view>

#include "smets1kms/errors.hpp"

namespace smets1kms {

/// The words of an enumeration, in the order of its enumerators from 0.
template <class Enum, std::size_t count>
struct EnumNames {
  std::array<std::string_view, count> words;

  [[nodiscard]] constexpr std::string_view name(Enum value) const {
    const auto index = static_cast<std::size_t>(value);
    return index < count ? words[index] : "?";
  }
  [[nodiscard]] Enum parse(std::string_view text, const std::string& what) const {
    std::string known;
    for (std::size_t i = 0; i < count; ++i) {
      if (words[i] == text) return static_cast<Enum>(i);
      known += (i == 0 ? "" : ", ") + std::string(words[i]);
    }
    throw BadInput("'" + std::string(text.substr(0, 40)) + "' is not a " + what + ": one of " +
                   known);
  }
};

}  // namespace smets1kms
