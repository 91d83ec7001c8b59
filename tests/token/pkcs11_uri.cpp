// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "token/pkcs11_support.hpp"

namespace {

struct {
  const char* text;
  const char* printable;
  const char* pin_source;  // nullptr: none
} const accepted[] = {
    {"pkcs11:token=test", "pkcs11:token=test", nullptr},
    {"pkcs11:token=my%20token;serial=12", "pkcs11:serial=12;token=my%20token", nullptr},
    {"pkcs11:model=SoftHSM%20v2?pin-source=file:/etc/pin", "pkcs11:model=SoftHSM%20v2",
     "file:/etc/pin"},
    {"pkcs11:token=test?pin-source=fd%3A3", "pkcs11:token=test", "fd:3"},
    {"pkcs11:token=12345678901234567890123456789012",
     "pkcs11:token=12345678901234567890123456789012", nullptr},
};

struct {
  const char* text;
  const char* says;
} const refused[] = {
    {"", "pkcs11:"},
    {"token=test", "pkcs11:"},
    {"pkcs11:", "every one"},
    {"pkcs11:?pin-source=file:/etc/pin", "every one"},
    {"pkcs11:tokn=test", "\"tokn\""},
    {"pkcs11:token=test;colour=red", "\"colour\""},
    {"pkcs11:token=test?pin-sauce=file:/x", "\"pin-sauce\""},
    {"pkcs11:token=", "\"token\" has no value"},
    {"pkcs11:token=a;token=b", "given twice"},
    {"pkcs11:token=my token", "%20"},
    {"pkcs11:token", "without '='"},
    {"pkcs11:token=%zz", "token URI"},
    {"pkcs11:token=123456789012345678901234567890123", "longer than the 32 bytes"},
    {"pkcs11:token=test;object=key", "\"object\""},
    {"pkcs11:token=test;id=%01", "\"id\""},
    {"pkcs11:token=test;type=private", "\"type\""},
    {"pkcs11:token=test;slot-id=3", "\"slot-id\""},
    {"pkcs11:token=test?module-path=/x.so", "\"module-path\""},
    {"pkcs11:token=test;pin-source=file:/x", "behind a '?'"},
    {"pkcs11:serial=1?token=test", "before the '?'"},
    {"pkcs11:token=test?pin-value=hunter2", "pin-value"},
    {"pkcs11:token=test;pin-value=hunter2", "pin-value"},
    {"pkcs11:token=test?pin-source=file:/x&pin-value=hunter2", "pin-value"},
};

CK_TOKEN_INFO token_named(const char* label) {
  CK_TOKEN_INFO info{};
  std::memset(info.label, ' ', sizeof info.label);
  std::memcpy(info.label, label, std::strlen(label));
  return info;
}

}  // namespace

TEST_CASE("a token URI is read, and printed without its PIN attributes") {
  for (const auto& row : accepted) {
    CAPTURE(row.text);
    const Uri uri = Uri::parse(row.text);
    CHECK(uri.printable() == std::string(row.printable));
    CHECK(uri.pin_source() ==
          (row.pin_source == nullptr ? std::nullopt : std::optional<std::string>(row.pin_source)));
  }
}

TEST_CASE("a URI that would match nothing, everything or a PIN is refused by name") {
  for (const auto& row : refused) {
    CAPTURE(row.text);
    const std::string message = message_of<BadConfiguration>([&] { (void)Uri::parse(row.text); });
    CAPTURE(message);
    CHECK(contains(message, row.says));
    CHECK_FALSE(contains(message, "hunter2"));
  }
}

TEST_CASE("a URI matches its token and no other") {
  const Uri uri = Uri::parse("pkcs11:token=test");
  CHECK(uri.matches(token_named("test")));
  CHECK_FALSE(uri.matches(token_named("test2")));
  CHECK_FALSE(uri.matches(token_named("tes")));
  CHECK_FALSE(uri.matches(token_named("")));
}
