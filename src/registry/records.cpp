// SPDX-License-Identifier: Apache-2.0
#include "registry/columns.hpp"

namespace smets1kms::registry {
namespace {

TrailEntry read_record(const sqlite::Query& row) {
  std::string leaf = to_hex(row.blob(2));
  std::ranges::transform(leaf, leaf.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return {.index = read<std::uint64_t>(row, 0), .bytes = row.text(1), .leaf_hash = std::move(leaf)};
}

}  // namespace

ChainHead Registry::head(DeviceId device) {
  auto row = database_.query("SELECT sequence,record,leaf FROM device_head WHERE device=?");
  row.bind(column(device));
  if (!row.step()) return {};
  return {
      .sequence = read<std::uint64_t>(row, 0), .record = row.integer(1), .leaf = hash(row.blob(2))};
}

void Registry::set_head(DeviceId device, const ChainHead& head) {
  database_
      .query(
          "INSERT INTO device_head VALUES(?,?,?,?) ON CONFLICT(device) DO UPDATE SET "
          "sequence=excluded.sequence,record=excluded.record,leaf=excluded.leaf")
      .bind(column(device))
      .bind(static_cast<std::int64_t>(head.sequence))
      .bind(head.record)
      .bind(std::span<const std::uint8_t>(head.leaf))
      .run();
}

void Registry::append_record(std::int64_t index, std::string_view bytes, const Hash& leaf,
                             std::int64_t previous) {
  database_.query("INSERT INTO record(idx,bytes,leaf,previous) VALUES(?,?,?,?)")
      .bind(index)
      .bind(bytes)
      .bind(std::span<const std::uint8_t>(leaf))
      .bind(previous >= 0 ? std::optional(previous) : std::nullopt)
      .run();
}

std::optional<TrailEntry> Registry::record(std::int64_t index) {
  auto row = database_.query("SELECT idx,bytes,leaf FROM record WHERE idx=?");
  row.bind(index);
  return row.step() ? std::optional(read_record(row)) : std::nullopt;
}

std::optional<TrailEntry> Registry::last_record() {
  auto row = database_.query("SELECT idx,bytes,leaf FROM record ORDER BY idx DESC LIMIT 1");
  return row.step() ? std::optional(read_record(row)) : std::nullopt;
}

std::vector<TrailEntry> Registry::trail(DeviceId device, std::optional<std::uint64_t> after,
                                        std::size_t most) {
  // Each record knows the device's previous one: back to `after`, then forward.
  auto row = database_.query(
      "WITH RECURSIVE chain(at) AS (SELECT record FROM device_head WHERE device=?1 AND record>?2 "
      "UNION SELECT previous FROM chain JOIN record ON idx=at WHERE previous>?2) "
      "SELECT at,bytes,leaf FROM chain LEFT JOIN record ON idx=at ORDER BY at LIMIT ?3");
  row.bind(column(device)).bind(after ? limit(*after) : -1).bind(limit(most));
  std::vector<TrailEntry> entries;
  while (row.step()) {
    if (row.is_null(1))
      throw StorageError("record " + std::to_string(row.integer(0)) +
                         " of the trail is missing: the registry is damaged; restore it");
    entries.push_back(read_record(row));
  }
  return entries;
}

std::vector<TrailEntry> Registry::records(std::uint64_t from, std::size_t most) {
  auto row = database_.query("SELECT idx,bytes,leaf FROM record WHERE idx>=? ORDER BY idx LIMIT ?");
  row.bind(limit(from)).bind(limit(most));
  std::vector<TrailEntry> entries;
  while (row.step()) entries.push_back(read_record(row));
  return entries;
}

}  // namespace smets1kms::registry
