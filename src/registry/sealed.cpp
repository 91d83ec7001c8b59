// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "registry/registry.hpp"
#include "smets1kms/errors.hpp"

/// What the registry keeps of keys at rest in the sealed vault.
namespace smets1kms::registry {
namespace {

Bytes bytes(std::span<const std::uint8_t> blob) { return {blob.begin(), blob.end()}; }

sqlite::Query& bind(sqlite::Query& query, const Key& key) {
  return query.bind(static_cast<std::int64_t>(key.device.number()))
      .bind(static_cast<std::int64_t>(key.role))
      .bind(std::int64_t{key.generation});
}

}  // namespace

void Registry::set_sealed(const Key& key, const SealedKey& sealed, std::int64_t record) {
  auto update = database_.query(
      "UPDATE key SET sealed_under=?4,sealed=?5,mac=?6,sealed_record=?7 WHERE device=?1 AND "
      "role=?2 AND generation=?3");
  bind(update, key)
      .bind(std::span<const std::uint8_t>(sealed.under.raw()))
      .bind(std::span<const std::uint8_t>(sealed.blob))
      .bind(std::span<const std::uint8_t>(sealed.mac))
      .bind(record)
      .run();
}

std::optional<Registry::SealedRow> Registry::sealed(const Key& key) {
  auto row = database_.query(
      "SELECT sealed_under,sealed,mac,sealed_record FROM key WHERE device=? AND role=? AND "
      "generation=? AND sealed IS NOT NULL");
  if (!bind(row, key).step()) return std::nullopt;
  KeyId::Raw under{};
  if (row.blob(0).size() == under.size())
    std::ranges::copy(row.blob(0), under.begin());  // else no storage key's id
  return SealedRow{
      .key = {.under = KeyId(under), .blob = bytes(row.blob(1)), .mac = bytes(row.blob(2))},
      .record = row.integer(3)};
}

void Registry::forget_sealed(const Key& key) {
  auto update = database_.query(
      "UPDATE key SET sealed_under=NULL,sealed=NULL,mac=NULL,sealed_record=NULL WHERE device=? AND "
      "role=? AND generation=?");
  bind(update, key).run();
}

std::vector<Key> Registry::sealed_under(const KeyId& storage, const std::optional<Key>& after,
                                        std::size_t most) {
  auto row = database_.query(
      "SELECT device,role,generation FROM key WHERE (device,role,generation)>(?1,?2,?3) AND "
      "sealed_under=?4 ORDER BY device,role,generation LIMIT ?5");
  if (after)
    bind(row, *after);
  else
    row.bind(std::numeric_limits<std::int64_t>::min())
        .bind(std::int64_t{-1})
        .bind(std::int64_t{-1});
  row.bind(std::span<const std::uint8_t>(storage.raw())).bind(static_cast<std::int64_t>(most));
  std::vector<Key> found;
  while (row.step())
    for (auto& key : keys(DeviceId::from_number(static_cast<std::uint64_t>(row.integer(0)))))
      if (static_cast<std::int64_t>(key.role) == row.integer(1) && key.generation == row.integer(2))
        found.push_back(std::move(key));
  return found;
}

std::uint64_t Registry::count_sealed_under(const KeyId& storage) {
  for (const auto& each : this->storage())
    if (each.id == storage) return each.keys;
  return 0;
}

std::vector<StorageUse> Registry::storage() {
  auto row = database_.query(
      "SELECT sealed_under,count(*),(SELECT role FROM key one WHERE "
      "one.sealed_under=key.sealed_under LIMIT 1) FROM key WHERE length(sealed_under)=16 GROUP BY "
      "sealed_under");
  std::vector<StorageUse> all;
  while (row.step()) {
    KeyId::Raw id{};
    std::ranges::copy(row.blob(0), id.begin());
    all.push_back({.id = KeyId(id),
                   .keys = static_cast<std::uint64_t>(row.integer(1)),
                   .role = static_cast<KeyRole>(row.integer(2))});
  }
  return all;
}

std::uint64_t Registry::keys_in_token() {
  // Planned ones are not there yet, and a destroyed one is in no place.
  auto row = database_.query(
      "SELECT count(*) FROM key WHERE state BETWEEN ? AND ? AND sealed IS NULL AND awaiting IS "
      "NULL");
  row.bind(static_cast<std::int64_t>(KeyState::pre_active))
      .bind(static_cast<std::int64_t>(KeyState::compromised))
      .step();
  return static_cast<std::uint64_t>(row.integer(0));
}

void Registry::forget_setting(std::string_view name) {
  database_.query("DELETE FROM setting WHERE name=?").bind(name).run();
}

}  // namespace smets1kms::registry
