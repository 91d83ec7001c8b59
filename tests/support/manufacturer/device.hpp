// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace manufacturer {

/// What the maker knows of the device it ships, its KEK aside.
struct Device {
  std::uint64_t eui64;
  std::string kind;          ///< ESME, GSME, CHF, GPF or PPMID
  std::string model;         ///< EXAMPLE-E1, EXAMPLE-G1, EXAMPLE-N1
  std::string system_title;  ///< 8 bytes as hex: three letters, five bytes of serial number
  int security_suite;
  std::string supports;  ///< roles joined with +
};

/// The same device for the same index in every run, so that tests can count on the mix.
Device example_device(std::uint64_t first_eui64, std::size_t index, std::optional<int> only_suite);

/// Bytes: 16 for suites 0 and 1, 32 for suite 2.
std::size_t key_length(int security_suite);

}  // namespace manufacturer
