// SPDX-License-Identifier: Apache-2.0
#include "registry/database_log.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "audit/external_sort.hpp"
#include "audit/record.hpp"
#include "audit/text.hpp"
#include "audit/verdict.hpp"
#include "registry/columns.hpp"
#include "registry/schema_check.hpp"

namespace smets1kms::registry {

using audit::DeviceHead;
using audit::VerificationFailed;

namespace {

audit::Note parse_note(const std::string& text) {
  try {
    return audit::Note::parse(text);
  } catch (const std::invalid_argument& error) {
    throw VerificationFailed(std::string("among the checkpoints of the database, ") + error.what());
  }
}

}  // namespace

std::pair<std::uint64_t, std::string> read_timestamp(std::string_view setting) {
  const auto records = audit::parse_number(audit::take_word(setting));
  auto bytes = audit::parse_base64(setting);
  if (!records || !bytes)
    throw VerificationFailed("a time stamp kept in the database can't be read");
  return {*records, *std::move(bytes)};
}

DatabaseLog::DatabaseLog(const std::filesystem::path& file)
    : database_(file, sqlite::Mode::read_only) {
  database_.limit_work();
  database_.execute("BEGIN");  // one snapshot for all that follows
  check_schema(database_, {"record", "device_head", "setting", "checkpoint", "node"});
  const auto has = [&](std::string_view table) {
    return query(database_, "SELECT 1 FROM sqlite_master WHERE type='table' AND name=?", table)
        .step();
  };
  if (!has("record") || !has("device_head") || !has("setting"))
    throw VerificationFailed(file.string() + " is not a registry");
  is_signed_ = has("checkpoint") && has("node");
  {
    auto row = database_.query("SELECT coalesce(max(idx),-1)+1 FROM record");
    row.step();
    size_ = static_cast<std::uint64_t>(row.integer(0));
  }
  auto row = database_.query("SELECT value FROM setting WHERE name='audit.device_map'");
  if (row.step()) {
    stated_map_ = audit::parse_number(row.text(0));
    if (!stated_map_ || *stated_map_ >= size_)
      throw VerificationFailed("the setting audit.device_map is not the index of a record");
  }
}

Hash DatabaseLog::hash(const sqlite::Query& row, int column) const {
  Hash value{};
  const auto blob = row.blob(column);
  if (blob.size() != value.size())
    throw VerificationFailed("the database holds a hash of " + std::to_string(blob.size()) +
                             " bytes");
  std::ranges::copy(blob, value.begin());
  return value;
}

sqlite::Query DatabaseLog::record_row(const char* sql, std::uint64_t index) {
  auto row = query(database_, sql, index);
  if (!row.step()) throw VerificationFailed("it is missing in the database", index);
  return row;
}

void DatabaseLog::skip(std::uint64_t records, std::uint64_t checkpoints) {
  at_ = records;
  first_note_ = checkpoints;
}

std::optional<audit::StoredRecord> DatabaseLog::next_record() {
  if (!records_)
    records_.emplace(query(
        database_, "SELECT idx,bytes,leaf,previous FROM record WHERE idx>=? ORDER BY idx", at_));
  if (!records_->step()) {
    if (at_ != size_) throw VerificationFailed("it is missing in the database", at_);
    return std::nullopt;
  }
  if (static_cast<std::uint64_t>(records_->integer(0)) != at_)
    throw VerificationFailed("it is missing in the database", at_);
  if (records_->blob(1).size() > audit::max_record_length)
    throw VerificationFailed("it is longer than 4096 bytes", at_);
  bytes_ = records_->text(1);
  audit::StoredRecord record{.bytes = bytes_, .leaf = hash(*records_, 2)};
  if (!records_->is_null(3)) record.previous = static_cast<std::uint64_t>(records_->integer(3));
  ++at_;
  return record;
}

std::optional<audit::Note> DatabaseLog::next_checkpoint() {
  if (!is_signed_) return std::nullopt;
  if (!notes_)
    notes_.emplace(
        query(database_, "SELECT note FROM checkpoint ORDER BY id LIMIT -1 OFFSET ?", first_note_));
  return notes_->step() ? std::optional(parse_note(notes_->text(0))) : std::nullopt;
}

std::optional<audit::Note> DatabaseLog::last_checkpoint() {
  if (!is_signed_) return std::nullopt;
  return first(query(database_, "SELECT note FROM checkpoint ORDER BY id DESC LIMIT 1"),
               [](const sqlite::Query& row) { return parse_note(row.text(0)); });
}

std::vector<std::uint64_t> DatabaseLog::maps() const {
  return stated_map_ ? std::vector{*stated_map_, size_} : std::vector{size_};
}

/// Visits the heads as they are now, or as they were: each device is followed back to its last
/// record before the map.
void DatabaseLog::for_each_head(std::uint64_t map,
                                const std::function<void(const DeviceHead&)>& visit) {
  // An EUI-64 is kept bit for bit in a signed integer.
  auto row = database_.query(
      "SELECT device,sequence,record,leaf FROM device_head ORDER BY device<0, device");
  while (row.step()) {
    DeviceHead head{.device = static_cast<std::uint64_t>(row.integer(0)),
                    .sequence = static_cast<std::uint64_t>(row.integer(1)),
                    .index = static_cast<std::uint64_t>(row.integer(2)),
                    .leaf = hash(row, 3)};
    const bool newer = head.index >= map;
    while (head.index >= map && head.sequence > 1) {
      const auto before = previous(head.index);
      if (!before || *before >= head.index)
        throw VerificationFailed(
            "the index of the device's previous record is missing in the database", head.index);
      head.index = *before;
      --head.sequence;
    }
    if (head.index >= map) continue;  // its first record came later
    if (newer) {
      const auto leaf = record_row("SELECT leaf FROM record WHERE idx=?", head.index);
      head.leaf = hash(leaf, 0);
    }
    visit(head);
  }
}

void DatabaseLog::check_node(std::uint64_t index, const Hash& expected) {
  if (!is_signed_) return;
  auto row = query(database_, "SELECT hash FROM node WHERE idx=?", index);
  if (!row.step() || hash(row, 0) != expected)
    throw VerificationFailed(
        "the table of nodes does not hold the hash of the 256 records that end here",
        ((index + 1) << audit::node_level) - 1);
}

/// Returns a document, which a registry keeps among its settings.
std::optional<std::string> DatabaseLog::document(const std::string& sha256) {
  for (auto row = database_.query("SELECT value FROM setting"); row.step();)
    if (auto content = row.text(0); audit::to_hex(audit::sha256(content)) == sha256) return content;
  return std::nullopt;
}

std::vector<audit::AuditKey> DatabaseLog::audit_keys() try {
  return all(database_.query("SELECT value FROM setting WHERE name='audit_key_pem' OR name GLOB "
                             "'audit_key_former/*'"),
             [](const sqlite::Query& row) { return audit::AuditKey::from_pem(row.text(0)); });
} catch (const std::invalid_argument& error) {
  throw VerificationFailed(std::string("an audit key kept in the database is ") + error.what());
}

void DatabaseLog::for_each_timestamp(const std::function<void(const std::string&)>& visit) {
  for (auto row = database_.query("SELECT value FROM setting WHERE name GLOB 'audit.timestamp/*'");
       row.step();)
    visit(read_timestamp(row.text(0)).second);
}

std::string DatabaseLog::record(std::uint64_t index) {
  const auto row = record_row("SELECT bytes FROM record WHERE idx=?", index);
  return row.text(0);
}

std::optional<std::uint64_t> DatabaseLog::previous(std::uint64_t index) {
  const auto row = record_row("SELECT previous FROM record WHERE idx=?", index);
  return row.is_null(0) ? std::nullopt : std::optional(static_cast<std::uint64_t>(row.integer(0)));
}

audit::TreeStore DatabaseLog::tree() {
  audit::TreeStore store{.size = size_};
  store.leaves = [this](std::uint64_t first, std::uint64_t count) {
    auto leaves =
        all(query(database_, "SELECT leaf FROM record WHERE idx>=?1 AND idx<?1+?2 ORDER BY idx",
                  first, count),
            [this](const sqlite::Query& row) { return hash(row, 0); });
    if (leaves.size() != count)
      throw VerificationFailed("a record after it is missing in the database", first);
    return leaves;
  };
  if (!is_signed_) return store;
  store.kept = size_ >> audit::node_level;
  store.nodes = [this](std::uint64_t first, std::uint64_t count) {
    auto nodes =
        all(query(database_, "SELECT hash FROM node WHERE idx>=?1 AND idx<?1+?2 ORDER BY idx",
                  first, count),
            [this](const sqlite::Query& row) { return hash(row, 0); });
    if (nodes.size() != count)
      throw VerificationFailed("the table of nodes lacks some", first << audit::node_level);
    return nodes;
  };
  return store;
}

std::optional<std::pair<DeviceHead, std::uint64_t>> DatabaseLog::head(std::uint64_t map,
                                                                      std::uint64_t device) {
  std::optional<std::pair<DeviceHead, std::uint64_t>> found;
  std::uint64_t place = 0;
  for_each_head(map, [&](const DeviceHead& head) {
    if (head.device == device) found.emplace(head, place);
    ++place;
  });
  return found;
}

audit::TreeStore DatabaseLog::map_tree(std::uint64_t map) {
  const std::shared_ptr<std::FILE> lines(audit::open_temporary());
  std::uint64_t size = 0;
  for_each_head(map, [&](const DeviceHead& head) {
    const auto leaf = audit::leaf_hash(head.format());
    if (std::fwrite(leaf.data(), leaf.size(), 1, lines.get()) != 1) audit::no_room();
    ++size;
  });
  return {.size = size, .leaves = [lines](std::uint64_t first, std::uint64_t count) {
            std::vector<Hash> leaves(count);
            if (::fseeko(lines.get(), static_cast<off_t>(first * sizeof(Hash)), SEEK_SET) != 0 ||
                std::fread(leaves.data(), sizeof(Hash), count, lines.get()) != count)
              audit::no_room();
            return leaves;
          }};
}

}  // namespace smets1kms::registry
