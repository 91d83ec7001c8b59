// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/uri.hpp"

#include <p11-kit/uri.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string_view>

#include "base/one_of.hpp"
#include "pkcs11/error.hpp"

namespace pkcs11 {

namespace {

/// Attributes that name a token (RFC 7512 section 2.3), with the length of their CK_TOKEN_INFO
/// field.
constexpr std::pair<std::string_view, std::size_t> token_attributes[] = {
    {"token", 32}, {"manufacturer", 32}, {"model", 16}, {"serial", 16}};
/// True for attributes that name something else.
bool names_other(std::string_view name) {
  return smets1kms::is_one_of(name, "object", "type", "id", "library-manufacturer",
                              "library-description", "library-version", "slot-manufacturer",
                              "slot-description", "slot-id", "module-name", "module-path");
}

[[noreturn]] void refuse(const std::string& why) { throw BadConfiguration("token URI: " + why); }

std::string quoted(std::string_view name) { return "\"" + std::string(name) + "\""; }

/// Returns the length in bytes of a value once %XX is decoded.
std::size_t decoded_length(std::string_view value) {
  const auto escapes = static_cast<std::size_t>(std::ranges::count(value, '%'));
  return value.size() - std::min(value.size(), 2 * escapes);
}

/// Checks an attribute. Messages name it and never show its value: it may be a PIN.
void check_attribute(std::string_view name, std::string_view value, bool in_query) {
  if (name == "pin-value")
    refuse(
        "pin-value puts the PIN into a configuration file; use pin-source=file:/path (mode 0600) "
        "instead");
  if (names_other(name))
    refuse(
        quoted(name) +
        " has no place here: only token, manufacturer, model, serial and pin-source name a token");
  using Known = std::pair<std::string_view, std::size_t>;
  const auto* const known = std::ranges::find(token_attributes, name, &Known::first);
  const bool names_token = known != std::end(token_attributes);
  if (!names_token && name != "pin-source")
    refuse("unknown attribute " + quoted(name) +
           "; known are token, manufacturer, model, serial and pin-source");
  if (names_token == in_query)
    refuse(quoted(name) + (in_query ? " belongs before the '?'" : " belongs behind a '?'"));
  // p11-kit takes an empty value for "any token".
  if (value.empty()) refuse(quoted(name) + " has no value");
  if (names_token && decoded_length(value) > known->second)
    refuse(quoted(name) + " is longer than the " + std::to_string(known->second) +
           " bytes that PKCS#11 has for it");
}

/// Checks the attributes of a part. Returns how many there are.
std::size_t check_part(std::string_view part, char separator, bool in_query,
                       std::set<std::string_view>& seen) {
  std::size_t count = 0;
  while (!part.empty()) {
    const std::size_t end = std::min(part.find(separator), part.size());
    const std::string_view attribute = part.substr(0, end);
    part.remove_prefix(std::min(end + 1, part.size()));
    const std::size_t equals = attribute.find('=');
    if (equals == std::string_view::npos) refuse("it has an attribute without '='");
    const std::string_view name = attribute.substr(0, equals);
    check_attribute(name, attribute.substr(equals + 1), in_query);
    if (!seen.insert(name).second) refuse(quoted(name) + " is given twice");
    ++count;
  }
  return count;
}

void check_text(std::string_view text) {
  // p11-kit drops blanks: "token=my token" would look for "mytoken".
  if (text.find_first_of(" \t\r\n") != std::string_view::npos) refuse("it has a blank; write %20");
  if (text.find('\0') != std::string_view::npos) refuse("it has a NUL byte");
  if (!text.starts_with("pkcs11:")) refuse("it does not begin with \"pkcs11:\"");
  text.remove_prefix(7);
  const std::size_t query = std::min(text.find('?'), text.size());
  std::set<std::string_view> seen;
  const std::size_t named = check_part(text.substr(0, query), ';', false, seen);
  check_part(text.substr(std::min(query + 1, text.size())), '&', true, seen);
  if (named == 0) refuse("it names no token and would match every one; write pkcs11:token=LABEL");
}

}  // namespace

Uri Uri::parse(const std::string& text) {
  check_text(text);
  Uri uri;
  uri.uri_ = {p11_kit_uri_new(), p11_kit_uri_free};
  P11KitUri* const parsed = uri.uri_.get();
  if (const int rc = p11_kit_uri_parse(text.c_str(), P11_KIT_URI_FOR_TOKEN, parsed);
      rc != P11_KIT_URI_OK)
    refuse(p11_kit_uri_message(rc));
  if (p11_kit_uri_any_unrecognized(parsed) != 0)
    refuse("p11-kit does not understand one of its attributes");

  if (const char* source = p11_kit_uri_get_pin_source(parsed)) uri.pin_source_ = source;
  p11_kit_uri_set_pin_source(parsed, nullptr);
  char* formatted = nullptr;
  if (p11_kit_uri_format(parsed, P11_KIT_URI_FOR_TOKEN, &formatted) != P11_KIT_URI_OK)
    refuse("it can't be printed");
  uri.printable_ = formatted;
  std::free(formatted);
  return uri;
}

bool Uri::matches(const CK_TOKEN_INFO& info) const {
  return p11_kit_uri_match_token_info(uri_.get(), &info) != 0;
}

}  // namespace pkcs11
