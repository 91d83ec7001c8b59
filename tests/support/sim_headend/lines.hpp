// SPDX-License-Identifier: Apache-2.0
// The JSON lines that come in and go out, without a word on what they mean.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim_headend/device.hpp"

namespace sim_headend {

/// A line of a file, for errors that name both.
struct Place {
  std::filesystem::path file;
  std::size_t line = 0;
  /// Throws InputError.
  [[noreturn]] void refuse(const std::string& what) const;
};

/// A key that was wrapped for a handover target. `key.role` is no KEK.
struct HandoverLine {
  Place place;
  std::string device_id;
  KeyName key;
  std::string target, hash;
  support::Bytes wrapped, sha256, challenge;
};
/// Returns the lines of `target`; `others` counts those of other targets. Lines with a checkpoint
/// are passed over.
std::vector<HandoverLine> read_handovers(const std::filesystem::path& file,
                                         const std::string& target, std::size_t& others);
std::string receipt_line(const HandoverLine& handover, const support::Bytes& proof);

/// A key transfer that was released.
struct TransferLine {
  Place place;
  std::string transfer_id, device_id;
  std::vector<KeyName> keys;
  bool next_association;
  bool resets_unicast, resets_broadcast;
  support::Bytes action_request;
};
std::vector<TransferLine> read_transfers(const std::filesystem::path& file);

/// Returns a request as smets1-sim-meter takes it.
std::string request_line(const Device& device, const Request& request);

/// A device's answer.
struct ReplyLine {
  Place place;
  std::string transfer_id, device_id;
  std::optional<support::Bytes> reply;
};
std::vector<ReplyLine> read_replies(const std::filesystem::path& file);
std::string reply_line(const Device& device, const Transfer& transfer);

std::string evidence_line(const Device& device, const KeyName& key, bool holds_new,
                          const std::string& evidence);

struct ChallengeLine {
  Place place;
  std::string text;  ///< the whole line
  std::string device_id;
  Role role;
  support::Bytes challenge;
};
std::vector<ChallengeLine> read_challenges(const std::filesystem::path& file);
/// Returns the challenge's line with `proof` in it; null for nothing.
std::string proof_line(const ChallengeLine& challenge, const std::optional<support::Bytes>& proof);

}  // namespace sim_headend
