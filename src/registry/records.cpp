// SPDX-License-Identifier: Apache-2.0
#include "registry/columns.hpp"

namespace smets1kms::registry {
namespace {

TrailEntry read_record(const sqlite::Query& row) {
  return {.index = read<std::uint64_t>(row, 0),
          .bytes = row.text(1),
          .leaf_hash = to_lower_hex(row.blob(2))};
}

}  // namespace

ChainHead Registry::head(DeviceId device) {
  auto row =
      query(database_, "SELECT sequence,record,leaf FROM device_head WHERE device=?", device);
  if (!row.step()) return {};
  return {
      .sequence = read<std::uint64_t>(row, 0), .record = row.integer(1), .leaf = hash(row.blob(2))};
}

void Registry::set_head(DeviceId device, const ChainHead& head) {
  run(database_,
      "INSERT INTO device_head VALUES(?,?,?,?) ON CONFLICT(device) DO UPDATE SET "
      "sequence=excluded.sequence,record=excluded.record,leaf=excluded.leaf",
      device, head.sequence, head.record, head.leaf);
}

void Registry::append_record(std::int64_t index, std::string_view bytes, const Hash& leaf,
                             std::int64_t previous) {
  run(database_, "INSERT INTO record(idx,bytes,leaf,previous) VALUES(?,?,?,?)", index, bytes, leaf,
      previous >= 0 ? std::optional(previous) : std::nullopt);
}

std::optional<TrailEntry> Registry::record(std::int64_t index) {
  return first(query(database_, "SELECT idx,bytes,leaf FROM record WHERE idx=?", index),
               read_record);
}

std::optional<TrailEntry> Registry::last_record() {
  return first(query(database_, "SELECT idx,bytes,leaf FROM record ORDER BY idx DESC LIMIT 1"),
               read_record);
}

std::vector<TrailEntry> Registry::trail(DeviceId device, std::optional<std::uint64_t> after,
                                        std::size_t most) {
  // Each record knows the device's previous one: back to `after`, then forward.
  return all(
      query(database_,
            "WITH RECURSIVE chain(at) AS (SELECT record FROM device_head WHERE device=?1 AND "
            "record>?2 "
            "UNION SELECT previous FROM chain JOIN record ON idx=at WHERE previous>?2) "
            "SELECT at,bytes,leaf FROM chain LEFT JOIN record ON idx=at ORDER BY at LIMIT ?3",
            device, after ? limit(*after) : -1, limit(most)),
      [](const sqlite::Query& row) {
        if (row.is_null(1))
          throw StorageError("record " + std::to_string(row.integer(0)) +
                             " of the trail is missing: the registry is damaged; restore it");
        return read_record(row);
      });
}

std::vector<TrailEntry> Registry::records(std::uint64_t from, std::size_t most) {
  return all(query(database_, "SELECT idx,bytes,leaf FROM record WHERE idx>=? ORDER BY idx LIMIT ?",
                   limit(from), limit(most)),
             read_record);
}

}  // namespace smets1kms::registry
