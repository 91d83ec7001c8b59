// SPDX-License-Identifier: Apache-2.0
#include "registry/handover_tables.hpp"

#include "audit/hash.hpp"
#include "registry/key_row.hpp"

namespace smets1kms::registry {
namespace {

#define TARGET_COLUMNS \
  "name,generation,id,roles,before_transfer,hash,certificate,keep,status,admitted_at,record"
Target read_target(const sqlite::Query& row) {
  Target target{.info = {.name = row.text(0),
                         .generation = read<std::uint32_t>(row, 1),
                         .id = key_id(row.blob(2)),
                         .roles = read_roles(row, 3),
                         .before_transfer = row.integer(4) != 0,
                         .hash = row.text(5),
                         .fingerprint = {},
                         .status = read<TargetStatus>(row, 8),
                         .admitted_at = time(row.integer(9))},
                .certificate = bytes(row.blob(6)),
                .keep = read<VaultKind>(row, 7),
                .record = row.integer(10)};
  target.info.fingerprint = audit::to_hex(audit::sha256(target.certificate));
  return target;
}

#define HANDED_COLUMNS "device,role,generation,target,target_generation,wrapped,received_at"
HandedKey read_handed(const sqlite::Query& row) {
  return {.key = {device_id(row.integer(0)), read<KeyRole>(row, 1), read<std::uint32_t>(row, 2)},
          .target = row.text(3),
          .target_generation = read<std::uint32_t>(row, 4),
          .wrapped = bytes(row.blob(5)),
          .received_at =
              optional(row, 6, [](const sqlite::Query& at, int i) { return time(at.integer(i)); })};
}

}  // namespace

std::vector<Target> HandoverTables::targets() {
  return all(query(database_, "SELECT " TARGET_COLUMNS " FROM target ORDER BY name,generation"),
             read_target);
}

void HandoverTables::add_target(const Target& target) {
  const auto& info = target.info;
  run(database_, "INSERT INTO target(" TARGET_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?)", info.name,
      info.generation, info.id, info.roles, info.before_transfer, info.hash, target.certificate,
      target.keep, info.status, info.admitted_at, target.record);
}

void HandoverTables::set_status(const HandoverTarget& target, TargetStatus status) {
  run(database_, "UPDATE target SET status=?3 WHERE name=?1 AND generation=?2", target.name,
      target.generation, status);
}

void HandoverTables::add(const HandedKey& handed) {
  run(database_, "INSERT INTO handover(" HANDED_COLUMNS ") VALUES(?,?,?,?,?,?,NULL)", handed.key,
      handed.target, handed.target_generation, handed.wrapped);
}

std::vector<HandedKey> HandoverTables::of_key(const KeyRef& key) {
  return all(
      query(database_, "SELECT " HANDED_COLUMNS " FROM handover" ONE_KEY " ORDER BY target", key),
      read_handed);
}

void HandoverTables::set_received(const HandedKey& handed, Time at) {
  run(database_, "UPDATE handover SET wrapped=NULL,received_at=?5" THIS_KEY " AND target=?4",
      handed.key, handed.target, at);
}

std::optional<HandedAfter> HandoverTables::forget_some(const std::string& target,
                                                       const std::optional<HandedAfter>& after,
                                                       std::size_t most) {
  const auto keys = stored(target, after, most);
  for (const auto& each : keys)
    run(database_, "UPDATE handover SET wrapped=NULL" THIS_KEY " AND target=?4", each.key, target);
  return keys.size() < most ? std::nullopt : std::optional(HandedAfter{keys.back().key, target});
}

std::vector<Key> HandoverTables::given_up(const std::optional<KeyRef>& after, std::size_t most) {
  return read_keys(
      query(database_,
            SELECT_KEYS
            "WHERE delivery IN (1,2,3,6) AND state<6 AND delivery=? AND EXISTS (SELECT 1 "
            "FROM handover WHERE (device,role,generation)=(key.device,key.role,"
            "key.generation) AND wrapped IS NULL AND received_at IS NULL) AND " KEYS_AFTER,
            Delivery::withheld, after, limit(most)));
}

std::vector<HandedKey> HandoverTables::stored(const std::string& target,
                                              const std::optional<HandedAfter>& after,
                                              std::size_t most) {
  return all(
      query(database_,
            "SELECT " HANDED_COLUMNS
            " FROM handover INDEXED BY stored_handover WHERE wrapped IS NOT NULL AND "
            "(device,role,generation,target)>(?1,?2,?3,?4) AND (?5='' OR target=?5) ORDER BY "
            "device,role,generation,target LIMIT ?6",
            after ? std::optional(after->key) : std::nullopt, after ? after->target : std::string(),
            target, limit(most)),
      read_handed);
}

std::uint64_t HandoverTables::count_stored(const HandoverTarget& target) {
  return count(database_,
               "SELECT count(*) FROM handover INDEXED BY stored_handover WHERE wrapped IS NOT NULL "
               "AND target=? AND target_generation=?",
               target.name, target.generation);
}

std::vector<Key> HandoverTables::handed_to(const std::string& target,
                                           const std::optional<KeyRef>& after, std::size_t most) {
  return read_keys(query(
      database_,
      SELECT_KEYS
      "WHERE (device,role,generation) IN (SELECT device,role,generation FROM handover WHERE "
      "(device,role,generation)>(?1,?2,?3) AND target=?4 ORDER BY device,role,generation LIMIT ?5)"
      " ORDER BY device,role,generation",
      after, target, limit(most)));
}

}  // namespace smets1kms::registry
