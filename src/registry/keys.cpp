// SPDX-License-Identifier: Apache-2.0
#include "registry/key_row.hpp"

namespace smets1kms::registry {
namespace {

static_assert(column(KeyState::pre_active) == 1 && column(KeyState::destroyed) == 6 &&
              column(Delivery::released) == 1 && column(Delivery::confirmed) == 4 &&
              column(Delivery::not_held) == 5);  // the schema and the queries have them as numbers

Key read_key(const sqlite::Query& row) {
  const auto id_of = [](const sqlite::Query& at, int i) { return key_id(at.blob(i)); };
  const auto time_of = [](const sqlite::Query& at, int i) { return time(at.integer(i)); };
  return {.device = device_id(row.integer(0)),
          .role = read<KeyRole>(row, 1),
          .generation = read<std::uint32_t>(row, 2),
          .id = key_id(row.blob(3)),
          .state = read<KeyState>(row, 4),
          .delivery = read<Delivery>(row, 5),
          .predecessor = optional(row, 6, id_of),
          .kek = optional(row, 7, id_of),
          .transfer = read<std::uint32_t>(row, 8),
          .operation = row.text(9),
          .created_at = time(row.integer(10)),
          .awaits_enrolment = row.integer(13) != 0,
          .is_sealed = row.integer(14) != 0,
          .in_doubt_at = optional(row, 15, time_of),
          .confirmed_at = optional(row, 16, time_of),
          .not_held_at = optional(row, 17, time_of),
          .compromised_at = optional(row, 18, time_of),
          .made = read<std::uint64_t>(row, 11),
          .record = read<std::uint64_t>(row, 12)};
}

Bytes read_bytes(const sqlite::Query& row) { return bytes(row.blob(0)); }

}  // namespace

std::vector<Key> read_keys(sqlite::Query row) { return all(std::move(row), read_key); }

std::vector<Key> Registry::keys(DeviceId device) {
  return read_keys(query(database_, SELECT_KEYS "WHERE device=? ORDER BY role,generation", device));
}

std::vector<Key> Registry::keys_after(const std::optional<KeyRef>& after, std::size_t most) {
  return read_keys(query(database_, SELECT_KEYS "WHERE " KEYS_AFTER, after, limit(most)));
}

std::vector<Key> Registry::keys_with(Delivery delivery, const std::optional<KeyRef>& after,
                                     std::size_t most) {
  return read_keys(query(database_,
                         SELECT_KEYS
                         "WHERE delivery IN (1,2,3,6) AND state<6 AND delivery=? AND " KEYS_AFTER,
                         delivery, after, limit(most)));
}

std::vector<Key> Registry::keys_to_admit(const std::optional<KeyRef>& after, std::size_t most) {
  return read_keys(query(database_, SELECT_KEYS "WHERE " MAY_BE_ADMITTED " AND " KEYS_AFTER, after,
                         limit(most)));
}

std::vector<Key> Registry::waiting_keys() {
  return read_keys(query(database_, SELECT_KEYS "WHERE awaiting IS NOT NULL"));
}

std::vector<Key> Registry::keys_of_operation(const std::string& operation, DeviceId device) {
  return read_keys(query(database_,
                         SELECT_KEYS "WHERE operation=? AND device=? ORDER BY transfer,role",
                         operation, device));
}

std::vector<Key> Registry::listed_keys(const std::string& operation) {
  return read_keys(query(
      database_,
      SELECT_KEYS
      "WHERE (device,role,generation) IN (SELECT device,role,generation FROM operation_key WHERE "
      "operation_key.operation=?) ORDER BY device,role,generation",
      operation));
}

void Registry::add_key(const Key& key) {
  run(database_, "INSERT INTO key(" KEY_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)", key.ref(),
      key.id, key.state, key.delivery, key.predecessor, key.kek, key.transfer, key.operation,
      key.created_at, key.made, key.record);
}

KeyState Registry::key_state(const Key& key) {
  return first(query(database_, "SELECT state FROM key" ONE_KEY, key.ref()),
               [](const sqlite::Query& row) { return read<KeyState>(row, 0); })
      .value_or(KeyState::none);
}

void Registry::update_key(const Key& key, const std::optional<Bytes>& wrapped) {
  run(database_,
      "UPDATE key SET "
      "state=?4,delivery=?5,created_at=?6,wrapped=coalesce(?7,wrapped),in_doubt_at=?8,"
      "confirmed_at=?9,not_held_at=?10,compromised_at=?11,made=?12,record=?13" THIS_KEY,
      key.ref(), key.state, key.delivery, key.created_at, wrapped, key.in_doubt_at,
      key.confirmed_at, key.not_held_at, key.compromised_at, key.made, key.record);
}

Bytes Registry::wrapped(const Key& key) {
  return first(query(database_, "SELECT wrapped FROM key" ONE_KEY, key.ref()), read_bytes)
      .value_or(Bytes{});
}

void Registry::forget_wrapped(const Key& key) {
  run(database_, "UPDATE key SET wrapped=NULL,awaiting=NULL" ONE_KEY, key.ref());
  run(database_, "UPDATE handover SET wrapped=NULL" ONE_KEY " AND wrapped IS NOT NULL", key.ref());
}

void Registry::set_awaiting(const Key& key, const std::optional<Bytes>& sealed,
                            std::optional<std::uint64_t> record) {
  run(database_, "UPDATE key SET awaiting=?4,record=coalesce(?5,record)" THIS_KEY, key.ref(),
      sealed, record);
}

Bytes Registry::awaiting(const Key& key) {
  return first(query(database_, "SELECT awaiting FROM key" ONE_KEY, key.ref()), read_bytes)
      .value_or(Bytes{});
}

void Registry::drop_planned_key(const Key& key) {
  run(database_, "DELETE FROM key" ONE_KEY " AND state=0", key.ref());
}

void Registry::detach_from_operation(const Key& key) {
  run(database_, "UPDATE key SET operation=operation||'/settled'" ONE_KEY, key.ref());
}

}  // namespace smets1kms::registry
