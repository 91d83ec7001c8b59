// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cli/common.hpp"
#include "command_line/files.hpp"
#include "command_line/input.hpp"

namespace smets1kms::cli {
namespace {

struct Proof {
  KeyRef key;
  std::string challenge;
  Bytes proof;
};
const Fields<Proof> prove_fields("smets1-kms-prove-1", "The proof of one key over a challenge",
                                 {spread(key_ref_fields(), &Proof::key),
                                  {"challenge", "as it was given, hex", &Proof::challenge},
                                  {"proof", "16 bytes, hex", &Proof::proof}});

/// Returns the generation asked for, or the newest that is active.
std::uint32_t generation_of(const JsonObject& line, const Fleet& fleet, DeviceId device,
                            KeyRole role) {
  if (line.has("generation"))
    return static_cast<std::uint32_t>(line.number("generation", 1, UINT32_MAX));
  std::uint32_t newest = 0;
  for (const auto& key : fleet.keys(device))
    if (key.role == role && key.state == KeyState::active)
      newest = std::max(newest, key.generation);
  if (newest == 0)
    throw Refused(RefusalReason::unknown_key,
                  device.to_string() + " has no active " + std::string(to_string(role)));
  return newest;
}

void run_prove(const Invocation& in) {
  const auto file = in.values.needed("challenges");
  auto kms = open_key_manager(in);
  JsonLinesFile out(in.values.text("out"));
  for_each_json_line(file, [&](const JsonObject& line) {
    const auto device = line.text("device_id", DeviceId::parse);
    const auto role = line.text("role", parse_role);
    const KeyRef key{device, role, generation_of(line, kms.fleet(), device, role)};
    const auto challenge = line.text("challenge", from_hex);
    out.write(line_of(prove_fields, {key, line.text("challenge"), kms.prove(key, challenge)}));
  });
}

}  // namespace

Command prove() {
  return {"prove",
          "prove over challenges which key a device holds",
          "--challenges FILE [--out FILE]",
          R"(
Computes in the token, over fresh challenges, a value that only a holder of the key can compute, and
that gives nothing of it away: the GCM tag for a GUEK or GBEK, the CMAC for a GAK. A device (or a
simulated meter) that computes the same value holds the same key.)",
          {text("challenges", "FILE",
                "file of JSON lines: device_id, role, challenge (hex, 16 to 64 bytes), generation "
                "(the active one by default)"),
           text("out", "FILE",
                "new file for the same lines with generation and proof (hex, 16 bytes); - for "
                "standard output",
                "-")},
          run_prove,
          {prove_fields}};
}

}  // namespace smets1kms::cli
