// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace shim {
namespace {

[[noreturn]] void refuse(const char* variable, std::string_view value, const char* expected) {
  throw std::invalid_argument(std::string(variable) + "=" + std::string(value) + ": expected " +
                              expected);
}

std::string text(const char* variable, const char* otherwise) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

template <typename Number>
std::optional<Number> number(std::string_view digits, int base) {
  Number value{};
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, base);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> count(const char* variable) {
  const std::string value = text(variable, "");
  if (value.empty()) return std::nullopt;
  const std::optional<std::uint64_t> parsed = number<std::uint64_t>(value, 10);
  if (!parsed) refuse(variable, value, "a number");
  return parsed;
}

When when(const char* variable) {
  const std::string value = text(variable, "before");
  if (value == "before") return When::before;
  if (value == "after") return When::after;
  refuse(variable, value, "before or after");
}

std::vector<std::string_view> parts_of(std::string_view whole, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t at = whole.find(separator); at != std::string_view::npos;
       at = whole.find(separator)) {
    parts.push_back(whole.substr(0, at));
    whole.remove_prefix(at + 1);
  }
  parts.push_back(whole);
  return parts;
}

std::optional<Failure> failure_of(std::string_view entry) {
  std::vector<std::string_view> parts = parts_of(entry, ':');
  Failure failure{};
  failure.when = When::before;
  if (parts.size() == 4 && parts[2] == "after") {
    failure.when = When::after;
    parts.erase(parts.begin() + 2);
  }
  if (parts.size() != 3) return std::nullopt;

  const std::optional<Function> function = function_of_name(parts[0]);
  if (!function || *function == Function::C_GetFunctionList) return std::nullopt;
  failure.function = *function;
  if (parts[1] != "*") {
    failure.nth = number<std::uint64_t>(parts[1], 10);
    if (!failure.nth || *failure.nth == 0) return std::nullopt;
  }
  if (!parts[2].starts_with("0x")) return std::nullopt;
  const std::optional<unsigned long> rv = number<unsigned long>(parts[2].substr(2), 16);
  if (!rv) return std::nullopt;
  failure.rv = *rv;
  return failure;
}

std::vector<Failure> failures(const char* variable) {
  std::vector<Failure> list;
  const std::string value = text(variable, "");
  if (value.empty()) return list;
  for (const std::string_view entry : parts_of(value, ',')) {
    const std::optional<Failure> failure = failure_of(entry);
    if (!failure)
      refuse(variable, entry, "C_Name:nth:0xRV or C_Name:nth:after:0xRV, with * for every call");
    list.push_back(*failure);
  }
  return list;
}

// word=VALUE, a number of at least 1; nothing where it is not one.
std::optional<std::uint64_t> positive(std::string_view digits, int base) {
  const std::optional<std::uint64_t> value = number<std::uint64_t>(digits, base);
  return value == 0U ? std::nullopt : value;
}

// Whether this is an entry of SHIM_QUIRKS.
bool take_quirk(QuirkSettings& quirks, std::string_view entry) {
  const std::size_t sign = entry.find('=');
  const std::string_view word = entry.substr(0, sign);
  if (sign == std::string_view::npos) {
    if (word == "no-copy") return quirks.no_copy = true;
    if (word == "value-len-required") return quirks.value_len_required = true;
    if (word == "own-gcm-iv") return quirks.own_gcm_iv = true;
    if (word == "pin-locks") return quirks.pin_locks = true;
    if (word == "no-wrap-with-trusted") return quirks.no_wrap_with_trusted = true;
    if (word == "no-nested-templates") return quirks.no_nested_templates = true;
    return false;
  }
  const std::string_view value = entry.substr(sign + 1);
  if (word == "throttle") return (quirks.throttle = positive(value, 10)).has_value();
  if (word == "session-cap") return (quirks.session_cap = positive(value, 10)).has_value();
  if (word == "vendor-key-wrap" || word == "no-mechanism") {
    if (!value.starts_with("0x")) return false;
    auto& mechanism = word == "vendor-key-wrap" ? quirks.vendor_key_wrap : quirks.no_mechanism;
    return (mechanism = positive(value.substr(2), 16)).has_value();
  }
  const std::size_t slash = value.find('/');
  if (word != "token-info" || slash == 0 || slash == std::string_view::npos) return false;
  quirks.manufacturer = value.substr(0, slash);
  quirks.model = value.substr(slash + 1);
  return true;
}

QuirkSettings quirks(const char* variable) {
  QuirkSettings settings;
  settings.pin_state = text("SHIM_PIN_STATE", "");
  const std::string value = text(variable, "");
  if (value.empty()) return settings;
  for (const std::string_view entry : parts_of(value, ',')) {
    if (!take_quirk(settings, entry)) {
      refuse(variable, entry,
             "vendor-key-wrap=0xNUMBER, no-mechanism=0xNUMBER, no-copy, value-len-required, "
             "own-gcm-iv, throttle=N, session-cap=N, pin-locks, "
             "no-wrap-with-trusted, no-nested-templates or token-info=MANUFACTURER/MODEL");
    }
  }
  if (settings.pin_locks && settings.pin_state.empty())
    refuse("SHIM_PIN_STATE", "", "a file, for pin-locks");
  return settings;
}

}  // namespace

Settings settings_of_environment() {
  Settings settings;
  settings.module = text("SHIM_MODULE", "/usr/lib/softhsm/libsofthsm2.so");
  settings.log = text("SHIM_LOG", "");
  settings.count_file = text("SHIM_COUNT_FILE", "");
  settings.kill_at = count("SHIM_KILL_AT");
  if (settings.kill_at == 0U) refuse("SHIM_KILL_AT", "0", "a number from 1");
  settings.kill_when = when("SHIM_KILL_WHEN");
  settings.failures = failures("SHIM_FAIL");
  settings.delay_us = count("SHIM_DELAY_US").value_or(0);
  settings.delay_of = text("SHIM_DELAY_OF", "");
  settings.quirks = quirks("SHIM_QUIRKS");
  return settings;
}

}  // namespace shim
