// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <limits>
#include <type_traits>

#include "registry/registry.hpp"
#include "smets1kms/errors.hpp"

/// Columns of the registry's tables and the values that they hold. A value that no row of this
/// product has is a StorageError, never an undefined value.
namespace smets1kms::registry {

/// The last value of each enumeration that a column holds; all begin at 0, without gaps.
template <class Enum>
struct Last;
template <>
struct Last<DeviceKind> : std::integral_constant<DeviceKind, DeviceKind::ppmid> {};
template <>
struct Last<DeviceStatus> : std::integral_constant<DeviceStatus, DeviceStatus::decommissioned> {};
template <>
struct Last<DeviceChange> : std::integral_constant<DeviceChange, DeviceChange::recommissioned> {};
template <>
struct Last<SecuritySuite> : std::integral_constant<SecuritySuite, SecuritySuite::suite_2> {};
template <>
struct Last<KeyRole> : std::integral_constant<KeyRole, KeyRole::kek> {};
template <>
struct Last<KeyState> : std::integral_constant<KeyState, KeyState::destroyed_compromised> {};
template <>
struct Last<Delivery> : std::integral_constant<Delivery, Delivery::not_held> {};
template <>
struct Last<OperationState> : std::integral_constant<OperationState, OperationState::failed> {};

[[noreturn]] inline void fail_damaged(const std::string& what) {
  throw DamagedRow("the registry holds " + what +
                   ": it is damaged; restore it from a backup and run 'smets1-kms doctor'");
}

// SQLite's integers are signed; an EUI-64 is kept bit for bit.
inline std::int64_t column(DeviceId id) { return static_cast<std::int64_t>(id.number()); }
inline std::int64_t column(Time time) { return time.time_since_epoch().count(); }
template <class Enum>
requires std::is_enum_v<Enum>
constexpr std::int64_t column(Enum value) { return static_cast<std::int64_t>(value); }
inline std::int64_t limit(std::size_t most) {
  return static_cast<std::int64_t>(std::min<std::size_t>(most, INT64_MAX));
}
inline std::span<const std::uint8_t> column(const KeyId& id) { return id.raw(); }
inline std::span<const std::uint8_t> column(const Bytes& bytes) { return bytes; }
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
  if (value < 0 || value > column(Last<Enum>::value))
    fail_damaged("the number " + std::to_string(value) + " as " + row.name(at));
  return static_cast<Enum>(value);
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

/// Binds what names one key: "device=? AND role=? AND generation=?".
template <class Query>
sqlite::Query& bind_key(Query&& query, const KeyRef& key) {
  return query.bind(column(key.device)).bind(column(key.role)).bind(std::int64_t{key.generation});
}
/// Does the same for "(device,role,generation)>(?,?,?)"; nullopt: from the first key on.
inline sqlite::Query& bind_after(sqlite::Query& query, const std::optional<KeyRef>& after) {
  if (after) return bind_key(query, *after);
  return query.bind(std::numeric_limits<std::int64_t>::min())
      .bind(std::int64_t{-1})
      .bind(std::int64_t{-1});
}

}  // namespace smets1kms::registry
