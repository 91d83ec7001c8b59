// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <type_traits>

#include "registry/registry.hpp"
#include "smets1kms/errors.hpp"

/// Columns of the registry's tables and the values that they hold. A value that no row of this
/// product has is a StorageError, never an undefined value.
namespace smets1kms::registry {

// The last value of each enumeration that a column holds; all begin at 0, without gaps.
constexpr DeviceKind last(DeviceKind) { return DeviceKind::ppmid; }
constexpr DeviceStatus last(DeviceStatus) { return DeviceStatus::not_commissioned; }
constexpr DeviceChange last(DeviceChange) { return DeviceChange::recommissioned; }
constexpr SecuritySuite last(SecuritySuite) { return SecuritySuite::suite_2; }
constexpr KeyRole last(KeyRole) { return KeyRole::kek; }
constexpr KeyState last(KeyState) { return KeyState::destroyed_compromised; }
constexpr Delivery last(Delivery) { return Delivery::withheld; }
constexpr OperationState last(OperationState) { return OperationState::failed; }
constexpr Selection::Kind last(Selection::Kind) { return Selection::Kind::missing_handover; }
constexpr TargetStatus last(TargetStatus) { return TargetStatus::compromised; }
constexpr VaultKind last(VaultKind) { return VaultKind::sealed; }
constexpr Reason last(Reason) { return Reason::operational; }
constexpr WrapUnder last(WrapUnder) { return WrapUnder::proven; }

[[noreturn]] inline void fail_damaged(const std::string& what) {
  throw DamagedRow("the registry holds " + what +
                   ": it is damaged; restore it from a backup and run 'smets1-kms doctor'");
}

// SQLite's integers are signed; an EUI-64 is kept bit for bit.
inline std::int64_t column(DeviceId id) { return static_cast<std::int64_t>(id.number()); }
inline std::int64_t column(Time time) { return time.time_since_epoch().count(); }
template <class Number>
requires std::is_enum_v<Number> || std::is_integral_v<Number>
constexpr std::int64_t column(Number value) { return static_cast<std::int64_t>(value); }
inline std::int64_t limit(std::size_t most) {
  return static_cast<std::int64_t>(std::min<std::size_t>(most, INT64_MAX));
}
inline std::string_view column(std::string_view text) { return text; }
inline ByteView column(const KeyId& id) { return id.raw(); }
inline ByteView column(const Bytes& bytes) { return bytes; }
inline ByteView column(const Hash& hash) { return hash; }
/// Roles: a bit for each.
inline std::int64_t column(const std::vector<KeyRole>& roles) {
  std::int64_t bits = 0;
  for (const auto role : roles) bits |= std::int64_t{1} << column(role);
  return bits;
}
template <class Value>
auto column(const std::optional<Value>& value) {
  return value ? std::optional(column(*value)) : std::nullopt;
}

inline DeviceId device_id(std::int64_t value) {
  return DeviceId::from_number(static_cast<std::uint64_t>(value));
}
inline Time time(std::int64_t value) { return Time(std::chrono::milliseconds(value)); }

/// Returns a number of a type with a smaller range than the column's.
template <class Number>
requires std::is_integral_v<Number> Number read(const sqlite::Query& row, int at) {
  if (!std::in_range<Number>(row.integer(at)))
    fail_damaged("the number " + std::to_string(row.integer(at)) + " as " + row.name(at));
  return static_cast<Number>(row.integer(at));
}
template <class Enum>
requires std::is_enum_v<Enum> Enum read(const sqlite::Query& row, int at) {
  const auto value = row.integer(at);
  if (value < 0 || value > column(last(Enum{})))
    fail_damaged("the number " + std::to_string(value) + " as " + row.name(at));
  return static_cast<Enum>(value);
}
inline std::vector<KeyRole> read_roles(const sqlite::Query& row, int at) {
  const auto bits = read<std::uint8_t>(row, at);
  if (bits >> all_roles.size() != 0) fail_damaged("roles that there are not");
  std::vector<KeyRole> roles;
  for (const auto role : all_roles)
    if ((bits >> column(role) & 1) != 0) roles.push_back(role);
  return roles;
}
/// Returns a blob of a fixed size: a key's id, a hash.
template <class Array>
Array read_array(std::span<const std::uint8_t> blob, const char* what) {
  Array array{};
  if (blob.size() != array.size())
    fail_damaged("a " + std::string(what) + " of " + std::to_string(blob.size()) + " bytes");
  std::ranges::copy(blob, array.begin());
  return array;
}
inline KeyId key_id(std::span<const std::uint8_t> blob) {
  return KeyId(read_array<KeyId::Raw>(blob, "key id"));
}
inline Hash hash(std::span<const std::uint8_t> blob) { return read_array<Hash>(blob, "hash"); }
inline Bytes bytes(std::span<const std::uint8_t> blob) { return {blob.begin(), blob.end()}; }

/// Reads a value of a column that may be NULL by a reader of the others.
template <class Read>
auto optional(const sqlite::Query& row, int at, Read&& read) {
  return row.is_null(at) ? std::nullopt : std::optional(read(row, at));
}

template <class Value>
void bind(sqlite::Query& query, const Value& value) {
  query.bind(column(value));
}
/// Binds what names one key: "device=? AND role=? AND generation=?".
inline void bind(sqlite::Query& query, const KeyRef& key) {
  query.bind_all(column(key.device), column(key.role), column(key.generation));
}
/// Does the same for "(device,role,generation)>(?,?,?)"; nullopt: from the first key on.
inline void bind(sqlite::Query& query, const std::optional<KeyRef>& after) {
  if (after) return bind(query, *after);
  query.bind_all(INT64_MIN, std::int64_t{-1}, std::int64_t{-1});
}

/// Returns a statement with values bound to its parameters, in their order.
template <class... Values>
sqlite::Query query(sqlite::Database& database, const char* sql, const Values&... values) {
  auto query = database.query(sql);
  (bind(query, values), ...);
  return query;
}
/// Runs a statement without rows.
template <class... Values>
void run(sqlite::Database& database, const char* sql, const Values&... values) {
  query(database, sql, values...).run();
}
/// Returns what `read` makes of the first row; nullopt where there is none.
template <class Read>
auto first(sqlite::Query row, Read&& read) {
  return row.step() ? std::optional(read(row)) : std::nullopt;
}
/// Returns what `read` makes of each row.
template <class Read>
auto all(sqlite::Query row, Read&& read) {
  std::vector<decltype(read(row))> items;
  while (row.step()) items.push_back(read(row));
  return items;
}
/// Returns the number that a statement counts.
template <class... Values>
std::uint64_t count(sqlite::Database& database, const char* sql, const Values&... values) {
  auto row = query(database, sql, values...);
  row.step();
  return read<std::uint64_t>(row, 0);
}

}  // namespace smets1kms::registry
