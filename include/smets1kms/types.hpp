// SPDX-License-Identifier: Apache-2.0
/// @file
/// The values of the field: devices, keys, roles, states. Names are those of DLMS (roles), of
/// NIST SP 800-57 Part 1 (states) and of the Smart Energy Code (kinds of device).
#pragma once
#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace smets1kms {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
/// UTC, in milliseconds: the resolution of the audit trail.
using Time = std::chrono::sys_time<std::chrono::milliseconds>;

using LogicalName = std::array<std::uint8_t, 6>;

/// A device's EUI-64, 8 bytes.
class DeviceId {
 public:
  /// Reads 16 hex digits, in any case, with dashes or colons allowed between bytes
  /// ("00-DB-12-34-56-78-90-A0"). Throws BadInput for anything else.
  static DeviceId parse(std::string_view text);
  static DeviceId from_number(std::uint64_t number) { return DeviceId(number); }
  [[nodiscard]] std::uint64_t number() const { return number_; }
  /// Returns "00-DB-12-34-56-78-90-A0".
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const DeviceId&, const DeviceId&) = default;

 private:
  explicit DeviceId(std::uint64_t number) : number_(number) {}
  std::uint64_t number_;
};

/// A key's name: 16 random bytes, its CKA_ID in the token. Says nothing about the key's value.
class KeyId {
 public:
  using Raw = std::array<std::uint8_t, 16>;
  explicit KeyId(const Raw& raw) : raw_(raw) {}
  /// Reads 32 hex digits. Throws BadInput.
  static KeyId parse(std::string_view text);
  static KeyId random();
  [[nodiscard]] const Raw& raw() const { return raw_; }
  /// Returns 32 lower-case hex digits.
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const KeyId&, const KeyId&) = default;

 private:
  Raw raw_;
};

/// The keys of a device; the value is DLMS's key_id (COSEM class 64, key_transfer).
enum class KeyRole : std::uint8_t {
  guek = 0,  ///< global unicast encryption key
  gbek = 1,  ///< global broadcast encryption key
  gak = 2,   ///< global authentication key
  kek = 3,   ///< master key: wraps the others, and its own successor
};
inline constexpr std::array all_roles{KeyRole::guek, KeyRole::gbek, KeyRole::gak, KeyRole::kek};

/// Security suite of a DLMS device. 0 and 1: 128-bit keys; 2: 256-bit keys.
enum class SecuritySuite : std::uint8_t { suite_0 = 0, suite_1 = 1, suite_2 = 2 };
/// Returns the length of a key: 16 or 32 bytes.
[[nodiscard]] constexpr std::size_t key_length(SecuritySuite suite) {
  return suite == SecuritySuite::suite_2 ? 32 : 16;
}
/// Returns the length of a wrapped key: 24 or 40 bytes, as RFC 3394 adds 8.
[[nodiscard]] constexpr std::size_t wrapped_length(SecuritySuite suite) {
  return key_length(suite) + 8;
}

/// ESME electricity meter, GSME gas meter, CHF communications hub function, GPF gas proxy function,
/// PPMID pre-payment meter interface device.
enum class DeviceKind : std::uint8_t { esme, gsme, chf, gpf, ppmid };

/// Moment at which a device begins to use a key that it accepted: an attribute of its model.
enum class Activation : std::uint8_t { immediate, next_association };

/// NIST SP 800-57 Part 1, key states. `none` is not one of them: the key is planned (its intent is
/// recorded) and does not exist.
enum class KeyState : std::uint8_t {
  none,
  pre_active,
  active,
  suspended,
  deactivated,
  compromised,
  destroyed,
  destroyed_compromised
};

/// A change of a device in the field.
enum class DeviceChange : std::uint8_t {
  commissioned,
  suspended,
  resumed,
  decommissioned,
  recommissioned
};

/// Moment at which something happened, and the record of the trail that says so.
struct Moment {
  Time at;
  std::optional<std::uint64_t> record{};
  std::optional<Time> recorded{};  ///< time of the record, where it can be another than `at`
};

struct DeviceEvent {
  DeviceChange change;
  Moment moment;
};

/// Known progress of a key on its way to its device.
enum class Delivery : std::uint8_t {
  planned,    ///< intent recorded, nothing released
  released,   ///< a transfer was handed out; the device may have it
  in_doubt,   ///< no answer, or another answer than success: the device may hold the old or the new
              ///< key
  unproven,   ///< KEK only: the device answered success; proved by a later GAK transfer under it
  confirmed,  ///< the device holds it
  not_held,   ///< resolved: the device kept its old key
  withheld,   ///< made, and its transfer kept back until handover targets have shown that they hold
              ///< its keys
};

/// Reason for replacing keys. `post_commissioning` and `periodic` are the regulator's (S1SR clause
/// 20, SEC Appendix AT); the others are project rules.
enum class Reason : std::uint8_t {
  post_commissioning,
  periodic,
  suspected_compromise,
  recommissioning,
  operational
};

/// Identities of dual control: a key change has a requester (for DCC, the S1SP) and another
/// identity that authorises it (the DCO). Equal or empty ones are refused. 1 to 64 characters of
/// [A-Za-z0-9._:@/-].
struct Authority {
  std::string requested_by, authorised_by;
  /// The change or incident number it was decided under; 1 to 64 characters.
  std::string reference;
};

[[nodiscard]] std::string_view to_string(KeyRole role);
[[nodiscard]] std::string_view to_string(DeviceKind kind);
[[nodiscard]] std::string_view to_string(DeviceChange change);
[[nodiscard]] std::string_view to_string(KeyState state);
[[nodiscard]] std::string_view to_string(Delivery delivery);
[[nodiscard]] std::string_view to_string(Reason reason);
[[nodiscard]] std::string_view to_string(Activation activation);
/// Each returns the value of a word. Throws BadInput that lists the accepted words.
[[nodiscard]] KeyRole parse_role(std::string_view text);
[[nodiscard]] DeviceKind parse_kind(std::string_view text);
[[nodiscard]] Reason parse_reason(std::string_view text);
[[nodiscard]] Activation parse_activation(std::string_view text);
[[nodiscard]] SecuritySuite parse_suite(std::string_view text);

/// Reads "0.0.43.0.0.255". Throws BadInput.
[[nodiscard]] LogicalName parse_logical_name(std::string_view text);

/// Returns "2026-11-22T18:00:00.000Z".
[[nodiscard]] std::string format_time(Time time);
/// Reads RFC 3339 with a zone (Z or ±hh:mm), seconds and up to three decimals optional after the
/// minutes. Throws BadInput: a time without zone, an impossible date.
[[nodiscard]] Time parse_time(std::string_view text);

/// Returns upper-case hex digits.
[[nodiscard]] std::string to_hex(ByteView bytes);
/// Returns lower-case hex digits.
[[nodiscard]] std::string to_lower_hex(ByteView bytes);
/// Reads hex digits of any case. Throws BadInput for an odd count or another character.
[[nodiscard]] Bytes from_hex(std::string_view text);

}  // namespace smets1kms

template <>
struct std::hash<smets1kms::DeviceId> {
  std::size_t operator()(const smets1kms::DeviceId& id) const noexcept {
    return std::hash<std::uint64_t>()(id.number());
  }
};
template <>
struct std::hash<smets1kms::KeyId> {
  std::size_t operator()(const smets1kms::KeyId& id) const noexcept {
    return std::hash<std::string_view>()(
        {reinterpret_cast<const char*>(id.raw().data()), id.raw().size()});
  }
};
