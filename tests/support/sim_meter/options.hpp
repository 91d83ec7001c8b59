// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim_meter/meter.hpp"

namespace sim_meter {

struct FaultSetting {
  std::string selector;
  std::optional<Fault> fault;  ///< nothing: all faults of these meters end (`none`)
};

struct Options {
  std::filesystem::path state;
  std::optional<support::Bytes> client_title;  ///< with --ciphered
  std::optional<std::filesystem::path> meters;
  std::optional<std::filesystem::path> transfers, replies;
  std::optional<std::filesystem::path> challenges, proofs;
  std::vector<FaultSetting> faults;
  std::vector<std::string> associate;
  bool append = false;
  bool fault_once = false;
  bool report = false;
};

/// Nothing when the help was asked for, which is then printed. Throws UsageError.
std::optional<Options> parse_options(int argc, const char* const* argv);

}  // namespace sim_meter
