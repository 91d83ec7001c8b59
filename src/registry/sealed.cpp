// SPDX-License-Identifier: Apache-2.0
#include "registry/key_row.hpp"

/// The registry's rows of keys at rest in the sealed vault.
namespace smets1kms::registry {

void Registry::set_sealed(const Key& key, const SealedKey& sealed, std::int64_t record) {
  bind_key(database_.query("UPDATE key SET sealed_under=?4,sealed=?5,mac=?6,sealed_record=?7 WHERE "
                           "device=?1 AND role=?2 AND generation=?3"),
           key.ref())
      .bind(column(sealed.under))
      .bind(column(sealed.blob))
      .bind(column(sealed.mac))
      .bind(record)
      .run();
}

std::optional<Registry::SealedRow> Registry::sealed(const Key& key) {
  auto row = database_.query("SELECT sealed_under,sealed,mac,sealed_record FROM key" ONE_KEY
                             " AND sealed IS NOT NULL");
  if (!bind_key(row, key.ref()).step()) return std::nullopt;
  KeyId::Raw under{};
  if (row.blob(0).size() == under.size())
    std::ranges::copy(row.blob(0), under.begin());  // other lengths are no storage key's id
  return SealedRow{
      .key = {.under = KeyId(under), .blob = bytes(row.blob(1)), .mac = bytes(row.blob(2))},
      .record = row.integer(3)};
}

void Registry::forget_sealed(const Key& key) {
  bind_key(database_.query(
               "UPDATE key SET sealed_under=NULL,sealed=NULL,mac=NULL,sealed_record=NULL" ONE_KEY),
           key.ref())
      .run();
}

std::vector<Key> Registry::sealed_under(const KeyId& storage, const std::optional<Key>& after,
                                        std::size_t most) {
  auto row = database_.query(SELECT_KEYS "WHERE sealed_under=? AND " KEYS_AFTER);
  row.bind(column(storage));
  bind_after(row, after ? std::optional(after->ref()) : std::nullopt).bind(limit(most));
  return read_keys(row);
}

std::uint64_t Registry::count_sealed_under(const KeyId& storage) {
  auto row = database_.query("SELECT count(*) FROM key WHERE sealed_under=?");
  row.bind(column(storage)).step();
  return read<std::uint64_t>(row, 0);
}

}  // namespace smets1kms::registry
