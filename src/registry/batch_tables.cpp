// SPDX-License-Identifier: Apache-2.0
#include "registry/batch_tables.hpp"

#include "registry/columns.hpp"

namespace smets1kms::registry {

namespace {

#define BATCH_COLUMNS                                                                         \
  "name,digest,kind,within,roles,reason,requested_by,authorised_by,reference,"                \
  "single_action,wrap_under,justification,devices,started,ended,done,failed,handed,recorded," \
  "target"
Batch read_batch(const sqlite::Query& row) {
  Batch batch{.info = {.request = {.selection = {.kind = read<Selection::Kind>(row, 2)},
                                   .name = row.text(0),
                                   .authority = {.requested_by = row.text(6),
                                                 .authorised_by = row.text(7),
                                                 .reference = row.text(8)},
                                   .single_action = row.integer(9) != 0,
                                   .wrap_under = read<WrapUnder>(row, 10),
                                   .justification = row.text(11)},
                       .devices = read<std::uint64_t>(row, 12),
                       .done = read<std::uint64_t>(row, 15),
                       .failed = read<std::uint64_t>(row, 16),
                       .started = time(row.integer(13)),
                       .ended = {}},
              .digest = hash(row.blob(1)),
              .handed = row.integer(17),
              .recorded = row.integer(18)};
  auto& request = batch.info.request;
  if (!row.is_null(3)) request.selection.within = std::chrono::milliseconds(row.integer(3));
  request.selection.target = row.text(19);
  for (const char role : row.text(4)) {
    if (role < '0' || role > '3') fail_damaged("the roles " + row.text(4));
    request.roles.push_back(static_cast<KeyRole>(role - '0'));
  }
  if (!row.is_null(5)) request.reason = read<Reason>(row, 5);
  if (!row.is_null(14)) batch.info.ended = time(row.integer(14));
  const auto kind = request.selection.kind;
  if ((kind != Selection::Kind::devices && kind != Selection::Kind::all &&
       kind != Selection::Kind::due && kind != Selection::Kind::missing_handover) ||
      (kind == Selection::Kind::due) == request.reason.has_value() ||
      (kind == Selection::Kind::missing_handover) == request.selection.target.empty())
    fail_damaged("a batch " + request.name + " that can't have been begun");
  return batch;
}

}  // namespace

void BatchTables::add(const Batch& batch, std::span<const DeviceId> devices) {
  const auto& request = batch.info.request;
  std::string roles;
  for (const auto role : request.roles) roles += static_cast<char>('0' + static_cast<int>(role));
  const auto& [requested_by, authorised_by, reference] = request.authority;
  const auto& info = batch.info;
  const auto& within = request.selection.within;
  run(database_,
      "INSERT INTO batch(" BATCH_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
      request.name, batch.digest, request.selection.kind,
      within ? std::optional(within->count()) : std::nullopt, roles, request.reason, requested_by,
      authorised_by, reference, request.single_action, request.wrap_under, request.justification,
      devices.size(), info.started, info.ended, info.done, info.failed, batch.handed,
      batch.recorded, request.selection.target);
  std::int64_t position = 0;
  for (const auto& device : devices)
    run(database_, "INSERT INTO batch_device VALUES(?,?,?)", request.name, position++, device);
}

void BatchTables::save(const Batch& batch) {
  const auto& info = batch.info;
  run(database_, "UPDATE batch SET ended=?2,done=?3,failed=?4,handed=?5,recorded=?6 WHERE name=?1",
      info.request.name, info.ended, info.done, info.failed, batch.handed, batch.recorded);
}

std::optional<Batch> BatchTables::find(std::string_view name) {
  return first(query(database_, "SELECT " BATCH_COLUMNS " FROM batch WHERE name=?", name),
               read_batch);
}

std::vector<Batch> BatchTables::following(std::string_view after, std::size_t most) {
  return all(
      query(database_, "SELECT " BATCH_COLUMNS " FROM batch WHERE name>? ORDER BY name LIMIT ?",
            after, limit(most)),
      read_batch);
}

std::vector<DeviceId> BatchTables::devices(std::string_view name, std::int64_t from,
                                           std::size_t most) {
  return all(query(database_,
                   "SELECT device FROM batch_device WHERE batch=? AND position>=? ORDER BY "
                   "position LIMIT ?",
                   name, from, limit(most)),
             [](const sqlite::Query& row) { return device_id(row.integer(0)); });
}

}  // namespace smets1kms::registry
