// SPDX-License-Identifier: Apache-2.0
#include "manufacturer/device.hpp"

#include <array>
#include <string_view>

#include "common/bytes.hpp"
#include "common/files.hpp"

namespace manufacturer {
namespace {

struct Make {
  std::string_view kind;
  std::string_view model;
  std::string_view maker;  // first three letters of the system title
};

// Of ten devices five are electricity meters, three gas meters, one another kind, and the tenth is
// of the model that switches keys at the next association: the sim meter's '#10' names exactly
// those.
Make make_of(std::size_t index) {
  constexpr std::array<std::string_view, 3> others{"CHF", "GPF", "PPMID"};
  constexpr std::array<std::string_view, 3> slow{"ESME", "GSME", "PPMID"};
  const std::size_t ten = index / 10;
  switch (index % 10) {
    case 9: return {slow.at(ten % slow.size()), "EXAMPLE-N1", "EXN"};
    case 8: {
      const std::string_view kind = others.at(ten % others.size());
      return kind == "GPF" ? Make{kind, "EXAMPLE-G1", "EXG"} : Make{kind, "EXAMPLE-E1", "EXE"};
    }
    case 5:
    case 6:
    case 7: return {"GSME", "EXAMPLE-G1", "EXG"};
    default: return {"ESME", "EXAMPLE-E1", "EXE"};
  }
}

int suite_of(std::size_t index) {
  if (index % 25 == 12) return 2;
  return index % 7 == 3 ? 1 : 0;
}

std::string_view supports_of(std::size_t index) {
  constexpr std::array<std::string_view, 8> patterns{
      "guek+gak", "guek+gbek+gak+kek", "guek+gak",     "guek+gbek+gak",
      "guek+gak", "guek+gak+kek",      "guek+gak+kek", "guek+gbek+gak+kek"};
  return patterns.at(index % patterns.size());
}

std::string system_title_of(std::string_view maker, std::uint64_t eui64) {
  std::string title = support::hex_of(support::as_bytes(maker));
  for (unsigned shift = 40; shift > 0;) {
    shift -= 8;
    const auto byte = static_cast<std::uint8_t>(eui64 >> shift);
    title += support::hex_of(support::ByteView(&byte, 1));
  }
  return title;
}

}  // namespace

Device example_device(std::uint64_t first_eui64, std::size_t index, std::optional<int> only_suite) {
  const Make make = make_of(index);
  return {first_eui64 + index,
          std::string(make.kind),
          std::string(make.model),
          system_title_of(make.maker, first_eui64 + index),
          only_suite.value_or(suite_of(index)),
          std::string(supports_of(index))};
}

std::size_t key_length(int security_suite) { return security_suite == 2 ? 32 : 16; }

}  // namespace manufacturer
