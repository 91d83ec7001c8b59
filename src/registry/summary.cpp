// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "registry/key_row.hpp"

/// Counts over all devices.
namespace smets1kms::registry {

struct Registry::KeyCount {
  KeyRole role;
  KeyState state;
  bool rests_in_token, may_be_admitted;
  std::optional<KeyId> storage;  ///< the storage key that they are sealed under
  std::uint64_t count;
};

void Registry::for_each_count(const std::function<void(const KeyCount&)>& visit) {
  constexpr std::int64_t keys_at_once = 50'000;
  // Planned keys are not there yet, and a destroyed one is in no place.
  static constexpr const char* sql =
      "SELECT role,state,state BETWEEN 1 AND 5 AND sealed IS NULL AND awaiting IS "
      "NULL," MAY_BE_ADMITTED
      ",CASE length(sealed_under) WHEN 16 THEN sealed_under END,count(*),"
      "max(device) FROM key WHERE device BETWEEN ?1 AND (SELECT max(device) FROM (SELECT device "
      "FROM key WHERE device>=?1 ORDER BY device LIMIT ?2)) GROUP BY 1,2,3,4,5";
  for (std::int64_t from = std::numeric_limits<std::int64_t>::min();;) {
    std::optional<std::int64_t> last;
    auto row = query(database_, sql, from, keys_at_once);
    while (row.step()) {
      visit({.role = read<KeyRole>(row, 0),
             .state = read<KeyState>(row, 1),
             .rests_in_token = row.integer(2) != 0,
             .may_be_admitted = row.integer(3) != 0,
             .storage = optional(row, 4, [](const auto& at, int i) { return key_id(at.blob(i)); }),
             .count = read<std::uint64_t>(row, 5)});
      last = std::max(last.value_or(from), row.integer(6));
    }
    if (!last || *last == std::numeric_limits<std::int64_t>::max()) return;
    from = *last + 1;
  }
}

FleetSummary Registry::summary() {
  FleetSummary summary;
  for (auto row = database_.query("SELECT status,count(*) FROM device GROUP BY status");
       row.step();)
    summary.devices_by_status[std::string(to_string(read<DeviceStatus>(row, 0)))] =
        read<std::uint64_t>(row, 1);
  for_each_count([&](const KeyCount& keys) {
    summary.keys[keys.role][keys.state] += keys.count;
    if (keys.may_be_admitted) summary.awaiting_enrolment += keys.count;
  });
  if (const auto last = last_record()) summary.records = last->index + 1;
  summary.without_kek =
      count(database_,
            "SELECT count(*) FROM device INDEXED BY device_without_kek WHERE no_kek_reason IS NOT "
            "NULL AND status<>?",
            DeviceStatus::decommissioned);
  summary.open_operations = count(database_, "SELECT count(*) FROM operation WHERE state=0");
  return summary;
}

std::vector<StorageUse> Registry::storage() {
  std::map<KeyId, StorageUse> found;
  for_each_count([&](const KeyCount& keys) {
    if (keys.storage)
      found.try_emplace(*keys.storage, StorageUse{.id = *keys.storage, .role = keys.role})
          .first->second.keys += keys.count;
  });
  std::vector<StorageUse> all;
  for (const auto& [id, use] : found) all.push_back(use);
  return all;
}

std::uint64_t Registry::keys_in_token() {
  std::uint64_t count = 0;
  for_each_count([&](const KeyCount& keys) { count += keys.rests_in_token ? keys.count : 0; });
  return count;
}

}  // namespace smets1kms::registry
