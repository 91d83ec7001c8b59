// SPDX-License-Identifier: Apache-2.0
// The tasks of the head end, a function for each. They change the fleet in memory only, and throw
// InputError for bad input: a run that fails saves nothing.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim_headend/fleet.hpp"
#include "sim_headend/lines.hpp"
#include "sim_headend/target_key.hpp"

namespace sim_headend {

/// The lines that a step writes to its file, and its remarks for a person.
struct Written {
  std::string lines;
  std::vector<std::string> notes;
  bool incomplete = false;  ///< true where something is left that a person should look at
};

/// Opens the keys that were wrapped for `target`, and writes a receipt for each: proofs by them.
Written open_handovers(const std::filesystem::path& file, const std::string& target,
                       const TargetKeys& target_keys, Fleet& fleet);

/// Ciphers one request for each device at most: an association where keys wait for one, else its
/// first transfer that was not sent. A request that was written and not answered is written again,
/// byte by byte.
Written cipher_requests(const std::optional<std::filesystem::path>& transfers, Fleet& fleet);

/// Deciphers the answers to these requests, and takes keys into use that a device has taken. Writes
/// the answers to transfers.
Written decipher_replies(const std::filesystem::path& file, Fleet& fleet);

/// Ciphers for each device in doubt an association under each pair of keys that it may have, the
/// newest first, and the like for a GBEK in doubt.
Written cipher_probes(Fleet& fleet);

/// Reads the answers to them, writes what they show of each key in doubt, and uses the keys found.
Written read_probe_answers(const std::filesystem::path& file, Fleet& fleet);

/// Computes proofs by the keys in use.
Written answer_challenges(const std::filesystem::path& file, Fleet& fleet);

/// Returns as JSON the generations in use, counters, keys that wait, requests without an answer.
std::string report_of(const Fleet& fleet);

/// Returns the GET by which an association is made, in clear.
support::Bytes association_request();

/// Returns the device that a line names. Throws InputError.
Device& device_of(Fleet& fleet, const Place& place, const std::string& device_id);

/// Returns such as "3 requests", "1 request".
std::string counted(std::size_t count, const std::string& noun);

}  // namespace sim_headend
