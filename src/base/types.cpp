// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cstdio>

#include "base/clock.hpp"
#include "base/enum_names.hpp"
#include "base/text_reader.hpp"
#include "smets1kms/callbacks.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms {
namespace {

constexpr EnumNames<KeyRole, 4> roles{{"guek", "gbek", "gak", "kek"}};
constexpr EnumNames<DeviceChange, 5> changes{
    {"commissioned", "suspended", "resumed", "decommissioned", "recommissioned"}};
constexpr EnumNames<DeviceKind, 5> kinds{{"ESME", "GSME", "CHF", "GPF", "PPMID"}};
constexpr EnumNames<KeyState, 8> states{{"none", "pre-active", "active", "suspended", "deactivated",
                                         "compromised", "destroyed", "destroyed-compromised"}};
constexpr EnumNames<Delivery, 7> deliveries{{"planned", "released", "in-doubt", "unproven",
                                             "confirmed", "not-held", "withheld"}};
constexpr EnumNames<Reason, 5> reasons{
    {"post-commissioning", "periodic", "suspected-compromise", "recommissioning", "operational"}};
constexpr EnumNames<Activation, 2> activations{{"immediate", "next-association"}};
constexpr EnumNames<LogLevel, 2> log_levels{{"info", "warning"}};
constexpr EnumNames<SecuritySuite, 3> suites{{"0", "1", "2"}};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string hex_of(ByteView bytes, const char* digits) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const auto byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace

std::string_view to_string(KeyRole role) { return roles.name(role); }
std::string_view to_string(DeviceKind kind) { return kinds.name(kind); }
std::string_view to_string(DeviceChange change) { return changes.name(change); }
std::string_view to_string(KeyState state) { return states.name(state); }
std::string_view to_string(Delivery delivery) { return deliveries.name(delivery); }
std::string_view to_string(Reason reason) { return reasons.name(reason); }
std::string_view to_string(Activation activation) { return activations.name(activation); }
std::string_view to_string(LogLevel level) { return log_levels.name(level); }
KeyRole parse_role(std::string_view text) { return roles.parse(text, "key role"); }
DeviceKind parse_kind(std::string_view text) { return kinds.parse(text, "kind of device"); }
Reason parse_reason(std::string_view text) { return reasons.parse(text, "reason"); }
Activation parse_activation(std::string_view text) { return activations.parse(text, "activation"); }
SecuritySuite parse_suite(std::string_view text) { return suites.parse(text, "security suite"); }

LogicalName parse_logical_name(std::string_view text) {
  LogicalName name{};
  const auto parts = split(text, '.');
  bool good = parts.size() == name.size();
  for (std::size_t i = 0; good && i < name.size(); ++i) {
    const char* const end = parts[i].data() + parts[i].size();
    const auto [stopped, error] = std::from_chars(parts[i].data(), end, name[i]);
    good = parts[i].size() <= 3 && stopped == end && error == std::errc();
  }
  if (!good)
    throw BadInput("'" + std::string(text.substr(0, 40)) +
                   "' is not a logical name: six numbers of 0 to 255, like 0.0.43.0.0.255");
  return name;
}

std::string to_hex(ByteView bytes) { return hex_of(bytes, "0123456789ABCDEF"); }

std::string to_lower_hex(ByteView bytes) { return hex_of(bytes, "0123456789abcdef"); }

Bytes from_hex(std::string_view text) {
  if (text.size() % 2 != 0)
    throw BadInput("hex text has an odd number of digits (" + std::to_string(text.size()) + ")");
  Bytes bytes(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0)
      throw BadInput("not a hex digit at position " + std::to_string(2 * i + (high < 0 ? 1 : 2)));
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return bytes;
}

DeviceId DeviceId::parse(std::string_view text) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool between_bytes = text.size() == 23 && i % 3 == 2;
    if (between_bytes && (text[i] == '-' || text[i] == ':')) continue;
    digits += text[i];
  }
  std::uint64_t number = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stopped, error] = std::from_chars(digits.data(), end, number, 16);
  if (digits.size() != 16 || stopped != end || error != std::errc())
    throw BadInput(
        "'" + std::string(text.substr(0, 40)) +
        "' is not a device id: an EUI-64 is 16 hex digits, like 00-DB-12-34-56-78-90-A0");
  return DeviceId(number);
}

std::string DeviceId::to_string() const {
  std::string text;
  for (int shift = 56; shift >= 0; shift -= 8) {
    const auto byte = static_cast<std::uint8_t>(number_ >> shift);
    if (!text.empty()) text += '-';
    text += to_hex(ByteView(&byte, 1));
  }
  return text;
}

KeyId KeyId::parse(std::string_view text) {
  if (text.size() != 32)
    throw BadInput("a key id is 32 hex digits, not " + std::to_string(text.size()));
  const Bytes bytes = from_hex(text);
  Raw raw{};
  std::copy(bytes.begin(), bytes.end(), raw.begin());
  return KeyId(raw);
}

KeyId KeyId::random() { return parse(random_hex(16)); }

std::string KeyId::to_string() const { return to_lower_hex(raw_); }

std::string format_time(Time time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  char text[40];
  std::snprintf(
      text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return text;
}

Time parse_time(std::string_view text) {
  using namespace std::chrono;
  std::string_view rest = text;
  bool good = true;  // any deviation is one error
  const auto take = [&](char c) {
    const bool is_next = rest.starts_with(c);
    if (is_next) rest.remove_prefix(1);
    return is_next;
  };
  const auto need = [&](char c) { good = take(c) && good; };
  const auto number = [&](std::size_t digits) {
    int value = 0;
    const char* const end = rest.data() + std::min(digits, rest.size());
    const bool is_signed = rest.starts_with('-');
    const auto [stopped, error] = std::from_chars(rest.data(), end, value);
    good = good && !is_signed && rest.size() >= digits && stopped == end && error == std::errc();
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    return value;
  };
  const int y = number(4);
  need('-');
  const int m = number(2);
  need('-');
  const int d = number(2);
  need('T');
  const int hour = number(2);
  need(':');
  const int minute = number(2);
  int second = 0, ms = 0;
  if (take(':')) {
    second = number(2);
    if (take('.')) {
      const auto digits = std::min<std::size_t>(3, rest.find_first_not_of("0123456789"));
      ms = number(digits) * (digits == 1 ? 100 : digits == 2 ? 10 : 1);
    }
  }
  minutes offset{0};
  if (!take('Z')) {
    const int sign = take('+') ? 1 : -1;
    if (sign < 0) need('-');
    const int offset_hours = number(2);
    need(':');
    const int offset_minutes = number(2);
    good = good && offset_hours <= 23 && offset_minutes <= 59;
    offset = sign * (hours(offset_hours) + minutes(offset_minutes));
  }
  const year_month_day date{year(y), month(static_cast<unsigned>(m)),
                            day(static_cast<unsigned>(d))};
  const Time time = Time(sys_days(date)) + hours(hour) + minutes(minute) + seconds(second) +
                    milliseconds(ms) - offset;
  const bool has_four_digits =
      time >= Time(sys_days(year(0) / 1 / 1)) &&
      time < Time(sys_days(year(10000) / 1 / 1));  // of the year, in UTC too
  if (!good || !rest.empty() || !date.ok() || hour > 23 || minute > 59 || second > 59 ||
      !has_four_digits)
    throw BadInput("'" + std::string(text.substr(0, 40)) +
                   "' is not a time: RFC 3339 with a zone, like 2026-11-22T18:00:00Z");
  return time;
}

}  // namespace smets1kms
