// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "manufacturer/transport_key.hpp"

namespace manufacturer {

struct Options {
  std::filesystem::path public_key;
  std::filesystem::path out;
  std::filesystem::path identity;  ///< directory of the signing key and its certificate
  std::string transport_name;
  std::size_t devices = 0;
  std::uint64_t first_device = 0;
  std::chrono::sys_seconds commissioned_at;
  OaepHash oaep_hash = OaepHash::sha1;
  std::optional<int> only_suite;
};

/// Nothing when the help was asked for, which is then printed. Throws UsageError.
std::optional<Options> parse_options(int argc, const char* const* argv,
                                     std::chrono::sys_seconds now);

}  // namespace manufacturer
