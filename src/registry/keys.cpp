// SPDX-License-Identifier: Apache-2.0
#include "registry/key_row.hpp"

namespace smets1kms::registry {
namespace {

static_assert(column(KeyState::pre_active) == 1 && column(KeyState::destroyed) == 6 &&
              column(Delivery::released) == 1 && column(Delivery::confirmed) == 4 &&
              column(Delivery::not_held) == 5);  // the schema and the queries have them as numbers

Key read_key(const sqlite::Query& row) {
  const auto optional_id = [&](int i) {
    return row.is_null(i) ? std::nullopt : std::optional(key_id(row.blob(i)));
  };
  const auto optional_time = [&](int i) {
    return row.is_null(i) ? std::nullopt : std::optional(time(row.integer(i)));
  };
  return {.device = device_id(row.integer(0)),
          .role = read<KeyRole>(row, 1),
          .generation = read<std::uint32_t>(row, 2),
          .id = key_id(row.blob(3)),
          .state = read<KeyState>(row, 4),
          .delivery = read<Delivery>(row, 5),
          .predecessor = optional_id(6),
          .kek = optional_id(7),
          .transfer = read<std::uint32_t>(row, 8),
          .operation = row.text(9),
          .created_at = time(row.integer(10)),
          .awaits_enrolment = row.integer(11) != 0,
          .is_sealed = row.integer(12) != 0,
          .in_doubt_at = optional_time(13),
          .confirmed_at = optional_time(14),
          .not_held_at = optional_time(15),
          .compromised_at = optional_time(16)};
}

}  // namespace

std::vector<Key> read_keys(sqlite::Query& row) {
  std::vector<Key> keys;
  while (row.step()) keys.push_back(read_key(row));
  return keys;
}

std::vector<Key> Registry::keys(DeviceId device) {
  auto row = database_.query(SELECT_KEYS "WHERE device=? ORDER BY role,generation");
  row.bind(column(device));
  return read_keys(row);
}

std::vector<Key> Registry::keys_after(const std::optional<KeyRef>& after, std::size_t most) {
  auto row = database_.query(SELECT_KEYS "WHERE " KEYS_AFTER);
  bind_after(row, after).bind(limit(most));
  return read_keys(row);
}

std::vector<Key> Registry::keys_with(Delivery delivery, const std::optional<KeyRef>& after,
                                     std::size_t most) {
  auto row = database_.query(
      SELECT_KEYS "WHERE delivery>0 AND delivery<4 AND state<6 AND delivery=? AND " KEYS_AFTER);
  row.bind(column(delivery));
  bind_after(row, after).bind(limit(most));
  return read_keys(row);
}

std::vector<Key> Registry::keys_to_admit(const std::optional<KeyRef>& after, std::size_t most) {
  auto row = database_.query(SELECT_KEYS "WHERE " MAY_BE_ADMITTED " AND " KEYS_AFTER);
  bind_after(row, after).bind(limit(most));
  return read_keys(row);
}

std::vector<Key> Registry::waiting_keys() {
  auto row = database_.query(SELECT_KEYS "WHERE awaiting IS NOT NULL");
  return read_keys(row);
}

std::vector<Key> Registry::keys_of_operation(const std::string& operation, DeviceId device) {
  auto row = database_.query(SELECT_KEYS "WHERE operation=? AND device=? ORDER BY transfer,role");
  row.bind(operation).bind(column(device));
  return read_keys(row);
}

std::vector<Key> Registry::listed_keys(const std::string& operation) {
  auto row = database_.query(
      SELECT_KEYS
      "WHERE (device,role,generation) IN (SELECT device,role,generation FROM operation_key WHERE "
      "operation_key.operation=?) ORDER BY device,role,generation");
  row.bind(operation);
  return read_keys(row);
}

void Registry::add_key(const Key& key) {
  bind_key(database_.query("INSERT INTO key(" KEY_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?)"),
           key.ref())
      .bind(column(key.id))
      .bind(column(key.state))
      .bind(column(key.delivery))
      .bind(column(key.predecessor))
      .bind(column(key.kek))
      .bind(std::int64_t{key.transfer})
      .bind(key.operation)
      .bind(column(key.created_at))
      .run();
}

KeyState Registry::key_state(const Key& key) {
  auto row = database_.query("SELECT state FROM key" ONE_KEY);
  return bind_key(row, key.ref()).step() ? read<KeyState>(row, 0) : KeyState::none;
}

void Registry::update_key(const Key& key, const std::optional<Bytes>& wrapped) {
  bind_key(database_.query(
               "UPDATE key SET "
               "state=?4,delivery=?5,created_at=?6,wrapped=coalesce(?7,wrapped),in_doubt_at=?8,"
               "confirmed_at=?9,not_held_at=?10,compromised_at=?11 "
               "WHERE device=?1 AND role=?2 AND generation=?3"),
           key.ref())
      .bind(column(key.state))
      .bind(column(key.delivery))
      .bind(column(key.created_at))
      .bind(column(wrapped))
      .bind(column(key.in_doubt_at))
      .bind(column(key.confirmed_at))
      .bind(column(key.not_held_at))
      .bind(column(key.compromised_at))
      .run();
}

Bytes Registry::wrapped(const Key& key) {
  auto row = database_.query("SELECT wrapped FROM key" ONE_KEY);
  return bind_key(row, key.ref()).step() ? bytes(row.blob(0)) : Bytes{};
}

void Registry::forget_wrapped(const Key& key) {
  bind_key(database_.query("UPDATE key SET wrapped=NULL,awaiting=NULL" ONE_KEY), key.ref()).run();
}

void Registry::set_awaiting(const Key& key, const std::optional<Bytes>& sealed) {
  bind_key(
      database_.query("UPDATE key SET awaiting=?4 WHERE device=?1 AND role=?2 AND generation=?3"),
      key.ref())
      .bind(column(sealed))
      .run();
}

Bytes Registry::awaiting(const Key& key) {
  auto row = database_.query("SELECT awaiting FROM key" ONE_KEY);
  return bind_key(row, key.ref()).step() ? bytes(row.blob(0)) : Bytes{};
}

void Registry::drop_planned_key(const Key& key) {
  bind_key(database_.query("DELETE FROM key" ONE_KEY " AND state=0"), key.ref()).run();
}

void Registry::detach_from_operation(const Key& key) {
  bind_key(database_.query("UPDATE key SET operation=operation||'/settled'" ONE_KEY), key.ref())
      .run();
}

}  // namespace smets1kms::registry
