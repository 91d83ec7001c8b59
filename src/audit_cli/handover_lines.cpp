// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "audit/text.hpp"
#include "audit_cli/log_options.hpp"
#include "command_line/input.hpp"

namespace smets1kms::audit_cli {
namespace {

constexpr const char* schema = "smets1-kms-handover-1";

/// Returns the bytes of a member in upper-case hex.
std::string bytes_of(const JsonObject& object, const char* member) {
  const auto bytes = object.text(member, from_hex);
  if (bytes.empty() || to_hex(bytes) != object.text(member))
    object.refuse(member, "is not upper-case hex");
  return {bytes.begin(), bytes.end()};
}

audit::HandoverLine line_of(const JsonObject& object) {
  const auto need = [&](bool good, const char* member, const char* why) {
    if (!good) object.refuse(member, why);
  };
  const auto number = [&](const char* member) {
    return static_cast<std::uint32_t>(object.number(member, 1, UINT32_MAX));
  };
  audit::HandoverLine line{.role = object.text("role", parse_role),
                           .generation = number("generation"),
                           .target = object.text("target"),
                           .hash = object.text("hash")};
  const auto device = audit::parse_device(object.text("device_id"));
  need(device.has_value(), "device_id", "is not a device, as 00-DB-12-34-56-78-90-A0");
  line.device = *device;
  need(line.role != KeyRole::kek, "role", "is kek: a KEK is never handed over");
  need(audit::parse_hex(object.text("key_id"), line.key), "key_id", "is not 32 lower-case digits");
  line.target += "/" + std::to_string(number("target_generation"));
  need(audit::parse_target(line.target).has_value(), "target", "is no target's name");
  need(line.hash == "SHA-1" || line.hash == "SHA-256", "hash", "is not SHA-1 or SHA-256");
  line.sha256 = audit::sha256(bytes_of(object, "wrapped"));
  need(object.text("sha256") == audit::to_hex(line.sha256), "sha256", "is not that of \"wrapped\"");
  need(object.text("challenge") == to_hex(line.sha256), "challenge",
       "is not \"sha256\" in upper case");
  std::string_view transfer = object.text("transfer_id");
  const bool is_own = audit::take_word(transfer, '/') == object.text("device_id");
  const auto count = audit::parse_number(transfer).value_or(0);
  need(is_own && count != 0 && count <= UINT32_MAX, "transfer_id", "is not DEVICE/NUMBER");
  line.transfer = static_cast<std::uint32_t>(count);
  return line;
}

audit::Note checkpoint_of(const JsonObject& object) {
  for (const char* member :
       {"device_id", "wrapped"})  // one reader would take it, another pass over
    if (object.has(member)) object.refuse(member, "stands beside a checkpoint");
  try {
    return audit::Note::parse(object.text("checkpoint"));
  } catch (const std::invalid_argument& error) {
    object.refuse("checkpoint", std::string("is none: ") + error.what());
  }
}

}  // namespace

void read_handovers(const std::string& file, audit::HandoverFiles& files) try {
  files.begin(file);
  for_each_line(
      file,
      [&](std::string_view text, std::size_t number) {
        const JsonObject object(text, file, number);
        if (object.text("schema") != schema)
          object.refuse("schema", std::string("is not ") + schema);
        if (object.has("checkpoint"))
          files.add(number, checkpoint_of(object));
        else
          files.add(number, line_of(object));
      },
      FileKind::prompt);
} catch (const BadFile& error) {
  throw audit::VerificationFailed(error.what());
}

}  // namespace smets1kms::audit_cli
