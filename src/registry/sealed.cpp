// SPDX-License-Identifier: Apache-2.0
#include "registry/key_row.hpp"

/// The registry's rows of keys at rest in the sealed vault.
namespace smets1kms::registry {

void Registry::set_sealed(const Key& key, const SealedKey& sealed, std::int64_t record) {
  run(database_,
      "UPDATE key SET sealed_under=?4,sealed=?5,mac=?6,sealed_record=?7,record=?7" THIS_KEY,
      key.ref(), sealed.under, sealed.blob, sealed.mac, record);
}

std::optional<Registry::SealedRow> Registry::sealed(const Key& key) {
  auto row = query(database_,
                   "SELECT sealed_under,sealed,mac,sealed_record FROM key" ONE_KEY
                   " AND sealed IS NOT NULL",
                   key.ref());
  if (!row.step()) return std::nullopt;
  KeyId::Raw under{};
  if (row.blob(0).size() == under.size())
    std::ranges::copy(row.blob(0), under.begin());  // other lengths are no storage key's id
  return SealedRow{
      .key = {.under = KeyId(under), .blob = bytes(row.blob(1)), .mac = bytes(row.blob(2))},
      .record = row.integer(3)};
}

void Registry::forget_sealed(const Key& key) {
  run(database_, "UPDATE key SET sealed_under=NULL,sealed=NULL,mac=NULL,sealed_record=NULL" ONE_KEY,
      key.ref());
}

std::vector<Key> Registry::sealed_under(const KeyId& storage, const std::optional<KeyRef>& after,
                                        std::size_t most) {
  return read_keys(query(database_, SELECT_KEYS "WHERE sealed_under=? AND " KEYS_AFTER, storage,
                         after, limit(most)));
}

std::uint64_t Registry::count_sealed_under(const KeyId& storage) {
  return count(database_, "SELECT count(*) FROM key WHERE sealed_under=?", storage);
}

}  // namespace smets1kms::registry
