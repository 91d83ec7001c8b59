#include <algorithm>

#include "registry/registry.hpp"
#include "smets1kms/errors.hpp"

/// What the registry keeps of keys at rest in the sealed vault.
namespace smets1kms::registry {
namespace {

Bytes bytes(std::span<const std::uint8_t> blob) { return {blob.begin(), blob.end()}; }

sqlite::Query& bind(sqlite::Query& query, const Key& key) {
  return query.bind(static_cast<std::int64_t>(key.device.number())).bind(static_cast<std::int64_t>(key.role)).bind(std::int64_t{key.generation});
}

}  // namespace

void Registry::set_sealed(const Key& key, const SealedKey& sealed, std::int64_t record) {
  auto update = database_.query("UPDATE key SET sealed_under=?4,sealed=?5,mac=?6,sealed_record=?7 WHERE device=?1 AND role=?2 AND generation=?3");
  bind(update, key)
      .bind(std::span<const std::uint8_t>(sealed.under.raw()))
      .bind(std::span<const std::uint8_t>(sealed.blob))
      .bind(std::span<const std::uint8_t>(sealed.mac))
      .bind(record)
      .run();
}

std::optional<Registry::SealedRow> Registry::sealed(const Key& key) {
  auto row = database_.query("SELECT sealed_under,sealed,mac,sealed_record FROM key WHERE device=? AND role=? AND generation=? AND sealed IS NOT NULL");
  if (!bind(row, key).step()) return std::nullopt;
  KeyId::Raw under{};
  if (row.blob(0).size() == under.size()) std::ranges::copy(row.blob(0), under.begin());  // else no storage key's id
  return SealedRow{.key = {.under = KeyId(under), .blob = bytes(row.blob(1)), .mac = bytes(row.blob(2))}, .record = row.integer(3)};
}

void Registry::forget_sealed(const Key& key) {
  auto update = database_.query("UPDATE key SET sealed_under=NULL,sealed=NULL,mac=NULL,sealed_record=NULL WHERE device=? AND role=? AND generation=?");
  bind(update, key).run();
}

}  // namespace smets1kms::registry
