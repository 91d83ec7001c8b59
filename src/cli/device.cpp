// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "cli/enrolment_options.hpp"

namespace smets1kms::cli {
namespace {

constexpr const char* import_text =
    "Reads a manufacturer's fleet file (CSV: device_id, kind, model, system_title, security_suite, "
    "supports,\n"
    "commissioned_at, kek_wrapped, kek_transport) and unwraps each device's KEK in the token. All "
    "lines are\n"
    "checked first, the KEKs too: one bad line, named by line and column, and nothing is imported. "
    "Devices\n"
    "that are known already are passed over; nothing is ever overwritten.\n"
    "A transport key is what its manufacturer sent for it: the AES-256 key, RSA-OAEP (SHA-1) under "
    "the\n"
    "public key that 'init' wrote. supports: the roles the device has, like guek+gak.\n"
    "--move: after a change of vault.keep, KEKs of known devices that rest in the other vault are "
    "brought over, each\n"
    "where the file has it in the very bytes that it was imported from; the old ones are "
    "deactivated ('destroy').\n"
    "The file counts only with its manufacturer's signature (detached CMS), checked against "
    "import.manufacturers.\n"
    "With enrolment = \"officer\" this is the security officer's ceremony, as 'enrol FLEET.csv' "
    "is.";

std::string joined(const std::vector<KeyRole>& roles) {
  std::string text;
  for (const auto role : roles) text += (text.empty() ? "" : "+") + std::string(to_string(role));
  return text;
}

/// For people; `--json` gives the records as they are stored.
void print_trail(const std::vector<TrailEntry>& trail) {
  Table table({"RECORD", "TIME", "OPERATION", "PHASE", "KEY", "STATE", "RESULT", "ASKED BY",
               "AUTHORISED BY", "REFERENCE"});
  for (const auto& entry : trail) {
    const auto record = Json::parse(entry.bytes);
    const auto text = [&](const char* name) { return record.value(name, std::string("-")); };
    const std::string key = record.contains("role")
                                ? text("role") + " " + std::to_string(record.value("generation", 0))
                                : "-";
    const std::string state =
        record.contains("state_to") ? text("state_from") + ">" + text("state_to") : "-";
    const std::string detail = record.contains("detail") ? " (" + text("detail") + ")" : "";
    table.add({"#" + std::to_string(entry.index), text("time"), text("op"), text("phase"), key,
               state, text("result") + detail, text("requested_by"), text("authorised_by"),
               text("reference")});
  }
  std::cout << '\n';
  table.print();
}

}  // namespace

int device_import(const Invocation& invocation) {
  options::options_description own;
  add_fleet_file(own);
  add_authority(own);
  add_operation_id(own);
  const auto values = parse(invocation,
                            "device import FLEET.csv --signature FILE --transport-key NAME=FILE "
                            "[--move] --requested-by ID --authorised-by ID --reference REF",
                            import_text, own, fleet_file_position());
  const auto who = authority(values);
  const auto file = fleet_file(values);
  ProgressLine line;
  const auto result = Enrolment(invocation.config(), who, so_pin_source(values), callbacks(line))
                          .import_fleet(file, operation_id(values));
  if (invocation.json)
    std::cout << Json{{"imported", result.imported},
                      {"replaced", result.replaced},
                      {"moved", result.moved},
                      {"not_moved", result.not_moved},
                      {"already_known", result.already_known},
                      {"signer", result.signer}}
                     .dump()
              << '\n';
  else
    print_import(result);
  return 0;
}

int device_list(const Invocation& invocation) {
  (void)parse(invocation, "device list",
              "Lists every device of the registry, in the order of its EUI-64.", {});
  const auto fleet = Fleet::open(invocation.config());
  Table table({"DEVICE", "KIND", "MODEL", "SUITE", "SUPPORTS", "COMMISSIONED", "STATUS"});
  fleet.for_each_device([&](const Device& device) {
    if (invocation.json)
      std::cout << to_json(device).dump() << '\n';
    else
      table.add({device.id.to_string(), std::string(to_string(device.kind)), device.model,
                 std::to_string(static_cast<int>(device.suite)), joined(device.supports),
                 format_time(device.commissioned_at), std::string(to_string(device.status))});
  });
  if (!invocation.json) table.print();
  return 0;
}

int device_show(const Invocation& invocation) {
  options::options_description own;
  own.add_options()("device", options::value<std::string>(), "EUI-64")(
      "trail", "its records in the audit trail too");
  options::positional_options_description positional;
  positional.add("device", 1);
  const auto values = parse(invocation, "device show DEVICE [--trail]",
                            "Shows a device, what became of it, every key it was ever given, and "
                            "with --trail its audit records, oldest first.",
                            own, positional);
  const auto id = needed(values, "device", DeviceId::parse);
  const auto fleet = Fleet::open(invocation.config());
  const auto [device, events, keys] = fleet.history(id);
  const auto trail =
      values.count("trail") != 0 ? fleet.trail(device.id) : std::vector<TrailEntry>{};
  if (invocation.json) {
    Json json = to_json(device);
    for (const auto& [change, moment] : events)
      json["events"].push_back({{"change", to_string(change)},
                                {"at", format_time(moment.at)},
                                {"record", moment.record.value_or(0)}});
    for (const auto& key : keys) json["keys"].push_back(to_json(key));
    for (const auto& entry : trail)
      json["trail"].push_back({{"index", entry.index},
                               {"leaf_hash", entry.leaf_hash},
                               {"record", Json::parse(entry.bytes)}});
    std::cout << json.dump() << '\n';
    return 0;
  }
  std::cout << device.id.to_string() << "  " << to_string(device.kind) << " " << device.model
            << ", suite " << static_cast<int>(device.suite) << ", supports "
            << joined(device.supports) << ", " << to_string(device.status) << '\n';
  for (const auto& [change, moment] : events)
    std::cout << "  " << format_time(moment.at) << "  " << to_string(change) << '\n';
  std::cout << '\n';
  Table table({"ROLE", "GEN", "KEY ID", "STATE", "DELIVERY", "RESTS", "TRANSFER", "MADE"});
  for (const auto& key : keys)
    table.add({std::string(to_string(key.role)), std::to_string(key.generation), key.id.to_string(),
               std::string(to_string(key.state)), std::string(to_string(key.delivery)),
               std::string(place_of(key)), key.transfer == 0 ? "-" : std::to_string(key.transfer),
               key.state == KeyState::none ? "-" : format_time(key.created_at)});
  table.print();
  if (!trail.empty()) print_trail(trail);
  return 0;
}

}  // namespace smets1kms::cli
