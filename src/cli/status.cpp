#include <iostream>

#include "cli/commands.hpp"

namespace smets1kms::cli {

int status(const Invocation& invocation) {
  (void)parse(invocation, "status",
              "Counts devices and keys by state, and lists what waits for a person: doubts, unproven KEKs, unfinished operations.\nOne device: 'device show'.",
              {});
  const auto fleet = Fleet::open(invocation.config());
  const auto summary = fleet.summary();
  std::vector<Key> waiting;
  if (!summary.awaiting.empty())
    fleet.each_key([&](const Key& key) {
      if (key.delivery == Delivery::in_doubt || key.delivery == Delivery::unproven || key.delivery == Delivery::released) waiting.push_back(key);
    });
  if (invocation.json) {
    Json json{{"devices", summary.devices_by_status},
              {"records", summary.records},
              {"open_operations", summary.open_operations},
              {"awaiting_enrolment", summary.awaiting_enrolment}};
    for (const auto& [role, states] : summary.keys)
      for (const auto& [state, count] : states) json["keys"][std::string(to_string(role))][std::string(to_string(state))] = count;
    json["waiting"] = Json::array();
    for (const auto& key : waiting) json["waiting"].push_back(to_json(key));
    std::cout << json.dump() << '\n';
    return 0;
  }
  for (const auto& [state, count] : summary.devices_by_status) std::cout << count << " devices " << state << '\n';
  std::cout << summary.records << " records in the audit trail\n\n";
  Table table({"ROLE", "STATE", "KEYS"});
  for (const auto& [role, states] : summary.keys)
    for (const auto& [state, count] : states) table.add({std::string(to_string(role)), std::string(to_string(state)), std::to_string(count)});
  table.print();
  if (summary.open_operations != 0)
    std::cout << '\n' << summary.open_operations << " unfinished operations: the next command that opens the token settles them\n";
  if (summary.awaiting_enrolment != 0) std::cout << '\n' << summary.awaiting_enrolment << " new KEKs wait for the security officer: smets1-kms enrol\n";
  if (waiting.empty()) return 0;
  std::cout << "\nwaiting for a person:\n";
  constexpr std::size_t shown_at_most = 20;
  for (std::size_t i = 0; i < std::min(shown_at_most, waiting.size()); ++i) {
    const auto& key = waiting[i];
    const char* next = key.delivery == Delivery::released   ? "no answer recorded: confirm"
                       : key.delivery == Delivery::unproven ? "prove it: rotate the GAK"
                       : key.role == KeyRole::kek           ? "rotate the GAK"
                                                            : "probe the device, then resolve";
    std::cout << "  " << key.device.to_string() << "  " << to_string(key.role) << " " << key.generation << "  " << to_string(key.delivery) << "  (" << next
              << ")\n";
  }
  if (waiting.size() > shown_at_most) std::cout << "  … and " << waiting.size() - shown_at_most << " more (--json lists all)\n";
  return 0;
}

}  // namespace smets1kms::cli
