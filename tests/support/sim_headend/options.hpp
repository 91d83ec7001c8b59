// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.hpp"

namespace sim_headend {

using File = std::optional<std::filesystem::path>;

struct Options {
  std::filesystem::path state;
  File devices;
  std::optional<support::Bytes> system_title;  ///< its own, 8 bytes, where it was given
  std::string target;
  std::vector<std::filesystem::path> target_keys;
  File handovers, receipts;
  File transfers, requests;
  File ciphered_replies, replies;
  File probe;
  File probe_answers, evidence;
  File challenges, proofs;
  bool append = false;
  bool report = false;
};

/// Returns nothing when the help was asked for, which is then printed. Throws UsageError.
std::optional<Options> parse_options(int argc, const char* const* argv);

}  // namespace sim_headend
