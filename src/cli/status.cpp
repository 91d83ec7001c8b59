// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <utility>

#include "cli/commands.hpp"
#include "lifecycle/key_rules.hpp"

namespace smets1kms::cli {
namespace {

constexpr const char* text =
    "Counts devices and keys by state, and lists what waits for a person: doubts, unproven KEKs, "
    "unfinished operations.\n"
    "--device: what of one device is in use, and what waits ('device show' has its whole history).";

bool is_waiting(const Key& key) {
  return lifecycle::is_pending(key) && key.delivery != Delivery::planned;
}

const char* next_step(const Key& key) {
  if (key.delivery == Delivery::released) return "no answer recorded: confirm";
  if (key.role == KeyRole::kek && key.state == KeyState::compromised)
    return "suspected: rotate the GAK --under-proven-kek, or import another KEK";
  if (key.delivery == Delivery::unproven) return "prove it: rotate the GAK";
  if (key.delivery != Delivery::in_doubt) return "";
  return key.role == KeyRole::kek ? "rotate the GAK" : "probe the device, then resolve";
}

int of_device(const Invocation& invocation, const Fleet& fleet, DeviceId id) {
  const auto device = fleet.device(id);
  Json json{
      {"device_id", id.to_string()}, {"status", to_string(device.status)}, {"keys", Json::array()}};
  Table table({"ROLE", "GEN", "STATE", "DELIVERY", "NEXT"});
  for (const auto& key : fleet.keys(id)) {
    if (key.state != KeyState::active && !is_waiting(key)) continue;
    json["keys"].push_back(to_json(key));
    table.add({std::string(to_string(key.role)), std::to_string(key.generation),
               std::string(to_string(key.state)), std::string(to_string(key.delivery)),
               next_step(key)});
  }
  if (invocation.json) {
    std::cout << json.dump() << '\n';
    return 0;
  }
  std::cout << id.to_string() << "  " << to_string(device.status) << "\n\n";
  table.print();
  return 0;
}

void print_counts(const FleetSummary& summary) {
  for (const auto& [state, count] : summary.devices_by_status)
    std::cout << count << " devices " << state << '\n';
  std::cout << summary.records << " records in the audit trail\n\n";
  Table table({"ROLE", "STATE", "KEYS"});
  for (const auto& [role, states] : summary.keys)
    for (const auto& [state, count] : states)
      table.add(
          {std::string(to_string(role)), std::string(to_string(state)), std::to_string(count)});
  table.print();
  if (summary.open_operations != 0)
    std::cout << '\n'
              << summary.open_operations
              << " unfinished operations: the next command that opens the token settles them\n";
  if (summary.awaiting_enrolment != 0)
    std::cout << '\n'
              << summary.awaiting_enrolment
              << " new KEKs wait for the security officer: smets1-kms enrol\n";
}

/// The list may be as long as the fleet, so it is written as it is read.
void print_json(const FleetSummary& summary, const Fleet& fleet) {
  Json json{{"devices", summary.devices_by_status},
            {"records", summary.records},
            {"open_operations", summary.open_operations},
            {"awaiting_enrolment", summary.awaiting_enrolment}};
  for (const auto& [role, states] : summary.keys)
    for (const auto& [state, count] : states)
      json["keys"][std::string(to_string(role))][std::string(to_string(state))] = count;
  std::string head = json.dump();
  head.pop_back();
  std::cout << head << ",\"waiting\":[";
  const char* before = "";
  if (!summary.awaiting.empty())
    fleet.for_each_key([&](const Key& key) {
      if (is_waiting(key)) std::cout << std::exchange(before, ",") << to_json(key).dump();
    });
  std::cout << "]}\n";
}

}  // namespace

int status(const Invocation& invocation) {
  options::options_description own;
  own.add_options()("device", options::value<std::string>(), "EUI-64: of this device only");
  const auto values = parse(invocation, "status [--device ID]", text, own);
  const auto fleet = Fleet::open(invocation.config());
  if (values.count("device") != 0)
    return of_device(invocation, fleet, needed(values, "device", DeviceId::parse));
  const auto summary = fleet.summary();
  if (invocation.json) {
    print_json(summary, fleet);
    return 0;
  }
  print_counts(summary);
  std::size_t waiting = 0;
  constexpr std::size_t shown_at_most = 20;
  if (!summary.awaiting.empty())
    fleet.for_each_key([&](const Key& key) {
      if (!is_waiting(key)) return;
      if (waiting == 0) std::cout << "\nwaiting for a person:\n";
      if (++waiting <= shown_at_most)
        std::cout << "  " << key.device.to_string() << "  " << to_string(key.role) << " "
                  << key.generation << "  " << to_string(key.delivery) << "  (" << next_step(key)
                  << ")\n";
    });
  if (waiting > shown_at_most)
    std::cout << "  … and " << waiting - shown_at_most << " more (--json lists all)\n";
  return 0;
}

}  // namespace smets1kms::cli
