// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cli/commands.hpp"

namespace smets1kms::cli {
namespace {

/// The generation asked for, or the newest that is active or on its way.
std::uint32_t generation_of(const Json& json, const Fleet& fleet, DeviceId device, KeyRole role) {
  if (json.contains("generation")) {
    const auto& given = json["generation"];
    if (!given.is_number_unsigned() || given.get<std::uint64_t>() == 0 ||
        given.get<std::uint64_t>() > UINT32_MAX)
      throw BadInput("\"generation\" is " + given.dump() +
                     ": a number from 1 is expected, or none for the active key");
    return given.get<std::uint32_t>();
  }
  std::uint32_t newest = 0;
  for (const auto& key : fleet.keys(device))
    if (key.role == role && key.state == KeyState::active)
      newest = std::max(newest, key.generation);
  if (newest == 0)
    throw Refused(RefusalReason::unknown_key,
                  device.to_string() + " has no active " + std::string(to_string(role)));
  return newest;
}

}  // namespace

int prove(const Invocation& invocation) {
  options::options_description own;
  own.add_options()("challenges", options::value<std::string>(),
                    "file of JSON lines: device_id, role, challenge (hex, 16 to 64 bytes), "
                    "generation (the active one by default)")(
      "out", options::value<std::string>()->default_value("-"),
      "new file for the same lines with generation and proof (hex, 16 bytes); - for standard "
      "output");
  const auto values = parse(invocation, "prove --challenges FILE [--out FILE]",
                            "Computes in the token, over fresh challenges, a value that only a "
                            "holder of the key can compute, and that\n"
                            "gives nothing of it away: the GCM tag for a GUEK or GBEK, the CMAC "
                            "for a GAK. A device (or a simulated\n"
                            "meter) that computes the same value holds the same key.",
                            own);
  const auto file = needed(values, "challenges");
  ProgressLine line;
  auto kms = KeyManager::open(invocation.config(), callbacks(line));
  JsonLines out(values["out"].as<std::string>());
  read_json_lines(file, [&](const Json& json, std::size_t number) {
    const auto device = DeviceId::parse(member(json, "device_id", file, number));
    const auto role = parse_role(member(json, "role", file, number));
    const auto challenge = member(json, "challenge", file, number);
    const auto generation = generation_of(json, kms.fleet(), device, role);
    const auto proof =
        kms.prove({.device = device, .role = role, .generation = generation}, from_hex(challenge));
    out.write({{"device_id", device.to_string()},
               {"role", to_string(role)},
               {"generation", generation},
               {"challenge", challenge},
               {"proof", to_hex(proof)}});
  });
  return 0;
}

}  // namespace smets1kms::cli
