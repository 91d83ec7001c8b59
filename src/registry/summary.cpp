// SPDX-License-Identifier: Apache-2.0
#include "registry/registry.hpp"

namespace smets1kms::registry {

std::uint64_t Registry::device_count() {
  auto row = database_.query("SELECT count(*) FROM device");
  row.step();
  return static_cast<std::uint64_t>(row.integer(0));
}

std::size_t Registry::device_count(DeviceStatus status) {
  auto row = database_.query("SELECT count(*) FROM device WHERE status=?");
  row.bind(static_cast<std::int64_t>(status));
  return row.step() ? static_cast<std::size_t>(row.integer(0)) : 0;
}

std::vector<std::string> Registry::operations_after(std::string_view prefix, std::string_view after,
                                                    std::size_t most) {
  auto row = database_.query(
      "SELECT id FROM operation WHERE id>?2 AND substr(id,1,length(?1))=?1 AND state=1 AND "
      "id<?1||'\x7f' ORDER BY id LIMIT ?3");
  row.bind(prefix).bind(after).bind(static_cast<std::int64_t>(most));
  std::vector<std::string> ids;
  while (row.step()) ids.push_back(row.text(0));
  return ids;
}

FleetSummary Registry::summary() {
  FleetSummary summary;
  for (auto row = database_.query("SELECT status,count(*) FROM device GROUP BY status");
       row.step();)
    summary.devices_by_status[std::string(to_string(static_cast<DeviceStatus>(row.integer(0))))] =
        static_cast<std::uint64_t>(row.integer(1));
  for (auto row = database_.query(
           "SELECT role,state,delivery,count(*) FROM key GROUP BY role,state,delivery");
       row.step();) {
    const auto role = static_cast<KeyRole>(row.integer(0));
    const auto state = static_cast<KeyState>(row.integer(1));
    const auto delivery = static_cast<Delivery>(row.integer(2));
    const bool is_gone = state == KeyState::destroyed || state == KeyState::destroyed_compromised;
    const auto count = static_cast<std::uint64_t>(row.integer(3));
    summary.keys[role][state] += count;
    if (!is_gone && delivery != Delivery::confirmed && delivery != Delivery::not_held)
      summary.awaiting[role][delivery] += count;
  }
  for (auto row = database_.query("SELECT count(*) FROM record"); row.step();)
    summary.records = static_cast<std::uint64_t>(row.integer(0));
  for (auto row = database_.query("SELECT count(*) FROM operation WHERE state=0"); row.step();)
    summary.open_operations = static_cast<std::uint64_t>(row.integer(0));
  for (const auto& key : waiting_keys()) summary.awaiting_enrolment += key.awaits_enrolment ? 1 : 0;
  return summary;
}

}  // namespace smets1kms::registry
