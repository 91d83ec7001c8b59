// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>

#include "report/event.hpp"

namespace smets1kms::report {

struct FleetList {
  std::string file;
  std::string sha256;  ///< hex, over the file's bytes
  std::uint64_t lines = 0;
};

/// Reads the operator's own list of commissioned devices, which shows devices that a trail never
/// heard of. The first line is "device_id,kind,commissioned_at"; each other one a device, its kind
/// (ESME, GSME, CHF, GPF, PPMID) and a time with zone (RFC 3339). Each device goes to `events`.
/// Throws BadInput that lists up to 20 bad lines: nothing is guessed, and nothing of a bad file is
/// used.
[[nodiscard]] FleetList read_fleet_list(const std::filesystem::path& file, Events& events);

}  // namespace smets1kms::report
