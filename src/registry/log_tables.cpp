// SPDX-License-Identifier: Apache-2.0
#include "registry/log_tables.hpp"

#include "registry/columns.hpp"

namespace smets1kms::registry {
namespace {

std::int64_t column(std::uint64_t number) { return static_cast<std::int64_t>(number); }

}  // namespace

std::pair<std::uint64_t, std::vector<Hash>> LogTables::peaks() {
  auto row = database_.query("SELECT size,peaks FROM log_peaks");
  if (!row.step()) return {};
  std::vector<Hash> all;
  const auto blob = row.blob(1);
  for (std::size_t at = 0; at < blob.size(); at += sizeof(Hash))
    all.push_back(hash(blob.subspan(at, std::min(sizeof(Hash), blob.size() - at))));
  return {static_cast<std::uint64_t>(row.integer(0)), std::move(all)};
}

void LogTables::set_peaks(std::uint64_t size, const std::vector<Hash>& peaks) {
  Bytes blob;
  for (const auto& each : peaks) blob.insert(blob.end(), each.begin(), each.end());
  database_
      .query(
          "INSERT INTO log_peaks VALUES(1,?,?) ON CONFLICT(one) DO UPDATE SET "
          "size=excluded.size,peaks=excluded.peaks")
      .bind(column(size))
      .bind(std::span<const std::uint8_t>(blob))
      .run();
}

std::uint64_t LogTables::record_count() {
  auto row = database_.query("SELECT coalesce(max(idx),-1)+1 FROM record");
  row.step();
  return static_cast<std::uint64_t>(row.integer(0));
}

std::vector<Hash> LogTables::leaves_from(std::uint64_t index) {
  auto row = database_.query("SELECT leaf FROM record WHERE idx>=? ORDER BY idx");
  row.bind(column(index));
  std::vector<Hash> leaves;
  while (row.step()) leaves.push_back(hash(row.blob(0)));
  return leaves;
}

void LogTables::add_node(std::uint64_t index, const Hash& node) {
  database_.query("INSERT INTO node VALUES(?,?)")
      .bind(column(index))
      .bind(std::span<const std::uint8_t>(node))
      .run();
}

void LogTables::add_checkpoint(std::uint64_t size, std::string_view note) {
  database_.query("INSERT INTO checkpoint(size,note) VALUES(?,?)")
      .bind(column(size))
      .bind(note)
      .run();
}

std::optional<std::string> LogTables::last_checkpoint() {
  auto row = database_.query("SELECT note FROM checkpoint ORDER BY id DESC LIMIT 1");
  return row.step() ? std::optional(row.text(0)) : std::nullopt;
}

std::optional<std::string> LogTables::checkpoint_before_last() {
  auto row = database_.query("SELECT note FROM checkpoint ORDER BY id DESC LIMIT 1 OFFSET 1");
  return row.step() ? std::optional(row.text(0)) : std::nullopt;
}

bool LogTables::has_more_devices_than(std::uint64_t count) {
  auto row = database_.query("SELECT 1 FROM device_head LIMIT 1 OFFSET ?");
  row.bind(column(count));
  return row.step();
}

std::optional<std::string> LogTables::checkpoint_of(std::uint64_t size) {
  auto row = database_.query("SELECT note FROM checkpoint WHERE size=? ORDER BY id DESC LIMIT 1");
  row.bind(column(size));
  return row.step() ? std::optional(row.text(0)) : std::nullopt;
}

void LogTables::for_each_last_record(const std::function<void(const LastRecord&)>& visit) {
  // An EUI-64 is kept bit for bit in a signed integer.
  auto row = database_.query(
      "SELECT device,sequence,record,leaf FROM device_head ORDER BY device<0, device");
  while (row.step())
    visit({.device = static_cast<std::uint64_t>(row.integer(0)),
           .sequence = static_cast<std::uint64_t>(row.integer(1)),
           .index = static_cast<std::uint64_t>(row.integer(2)),
           .leaf = hash(row.blob(3))});
}

}  // namespace smets1kms::registry
