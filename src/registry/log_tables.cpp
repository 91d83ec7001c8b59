// SPDX-License-Identifier: Apache-2.0
#include "registry/log_tables.hpp"

#include "registry/columns.hpp"

namespace smets1kms::registry {
namespace {

std::string read_text(const sqlite::Query& row) { return row.text(0); }
Hash read_hash(const sqlite::Query& row) { return hash(row.blob(0)); }

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
  run(database_,
      "INSERT INTO log_peaks VALUES(1,?,?) ON CONFLICT(one) DO UPDATE SET "
      "size=excluded.size,peaks=excluded.peaks",
      size, blob);
}

std::uint64_t LogTables::record_count() {
  return count(database_, "SELECT coalesce(max(idx),-1)+1 FROM record");
}

std::vector<Hash> LogTables::leaves_from(std::uint64_t index) {
  return all(query(database_, "SELECT leaf FROM record WHERE idx>=? ORDER BY idx", index),
             read_hash);
}

audit::TreeStore LogTables::tree(std::uint64_t size) {
  const auto reader = [this](const char* sql) {
    return [this, sql](std::uint64_t first, std::uint64_t most) {
      return all(query(database_, sql, first, most), read_hash);
    };
  };
  return {.size = size,
          .kept = size >> audit::node_level,
          .leaves = reader("SELECT leaf FROM record WHERE idx>=?1 AND idx<?1+?2 ORDER BY idx"),
          .nodes = reader("SELECT hash FROM node WHERE idx>=?1 AND idx<?1+?2 ORDER BY idx")};
}

void LogTables::add_node(std::uint64_t index, const Hash& node) {
  run(database_, "INSERT INTO node VALUES(?,?)", index, node);
}

void LogTables::add_checkpoint(std::uint64_t size, std::string_view note) {
  run(database_, "INSERT INTO checkpoint(size,note) VALUES(?,?)", size, note);
}

std::optional<std::string> LogTables::last_checkpoint() {
  return first(query(database_, "SELECT note FROM checkpoint ORDER BY id DESC LIMIT 1"), read_text);
}

std::optional<std::string> LogTables::checkpoint_before_last() {
  return first(query(database_, "SELECT note FROM checkpoint ORDER BY id DESC LIMIT 1 OFFSET 1"),
               read_text);
}

bool LogTables::has_more_devices_than(std::uint64_t count) {
  return query(database_, "SELECT 1 FROM device_head LIMIT 1 OFFSET ?", count).step();
}

std::optional<std::string> LogTables::checkpoint_of(std::uint64_t size) {
  return first(
      query(database_, "SELECT note FROM checkpoint WHERE size=? ORDER BY id DESC LIMIT 1", size),
      read_text);
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
