// SPDX-License-Identifier: Apache-2.0
#include "dlms/key_transfer_bytes.hpp"

#include <doctest/doctest.h>

#include "smets1kms/errors.hpp"
#include "support/expect.hpp"
#include "support/test_fleet.hpp"

using namespace smets1kms;
using namespace smets1kms::dlms;
using test::message_of;

namespace {

constexpr LogicalName usual{0, 0, 43, 0, 0, 255};

std::string parameter_of(SecuritySuite suite, const std::vector<WrappedKey>& keys) {
  return to_hex(key_transfer_parameter(suite, keys));
}

/// A vector: a key of a role under a KEK, and what two meter implementations accepted.
struct Vector {
  SecuritySuite suite;
  const char *kek, *key;
  KeyRole role;
  const char *wrapped, *parameter;
};
constexpr Vector vectors[] = {
    // RFC 3394 section 4.1
    {SecuritySuite::suite_0, "000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF",
     KeyRole::guek, "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5",
     "01010202160009181FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"},
    {SecuritySuite::suite_0, "00112233445566778899AABBCCDDEEFF", "A0A1A2A3A4A5A6A7A8A9AAABACADAEAF",
     KeyRole::guek, "77C00A662BB701613D60F762B02C0610A2DDBF87236AEE8C",
     "010102021600091877C00A662BB701613D60F762B02C0610A2DDBF87236AEE8C"},
    {SecuritySuite::suite_1, "00112233445566778899AABBCCDDEEFF", "C0C1C2C3C4C5C6C7C8C9CACBCCCDCECF",
     KeyRole::gbek, "524FA6D43FB688E4DE666FA4023CAA340A091AA5421E4F4C",
     "0101020216010918524FA6D43FB688E4DE666FA4023CAA340A091AA5421E4F4C"},
    {SecuritySuite::suite_0, "00112233445566778899AABBCCDDEEFF", "B0B1B2B3B4B5B6B7B8B9BABBBCBDBEBF",
     KeyRole::gak, "C7E50C8A54B2F8F69AD09668AD05D2AC9FF88F753DF0D7D7",
     "0101020216020918C7E50C8A54B2F8F69AD09668AD05D2AC9FF88F753DF0D7D7"},
    {SecuritySuite::suite_0, "00112233445566778899AABBCCDDEEFF", "E0E1E2E3E4E5E6E7E8E9EAEBECEDEEEF",
     KeyRole::kek, "744F51CA1AE695E8940CEF9E8D92C57B081E594386371241",
     "0101020216030918744F51CA1AE695E8940CEF9E8D92C57B081E594386371241"},
    {SecuritySuite::suite_2, "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
     "A0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7B8B9BABBBCBDBEBF", KeyRole::guek,
     "D29FA348B506FB7C8DF0AD97BD22B94A3EC5A9CC74787FB26EB58FFC9D91387901C82B4370386891",
     "0101020216000928D29FA348B506FB7C8DF0AD97BD22B94A3EC5A9CC74787FB26EB58FFC9D91387901C82B4370386"
     "891"},
    // RFC 3394 section 4.6
    {SecuritySuite::suite_2, "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
     "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F", KeyRole::gak,
     "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21",
     "010102021602092828C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02D"
     "D21"},
};

}  // namespace

TEST_CASE("key transfers that meters accepted, byte for byte") {
  for (const auto& [suite, kek, key, role, wrapped, parameter] : vectors) {
    CAPTURE(std::string(parameter));
    CHECK(to_hex(test::rfc3394_wrap(from_hex(kek), from_hex(key))) == wrapped);
    CHECK(parameter_of(suite, {{role, from_hex(wrapped)}}) == parameter);
    CHECK(to_hex(action_request(usual, from_hex(parameter))) ==
          std::string("C301C1004000002B0000FF0201") + parameter);
    // The other side reads it, and holds the key.
    test::Meter meter(DeviceId::from_number(1), from_hex(kek));
    CHECK(meter.receive(action_request(usual, from_hex(parameter))) == test::success);
    CHECK(to_hex(meter.key(role)) == key);
  }
  CHECK(
      to_hex(action_request(
          usual, from_hex("01010202160009181FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"))) ==
      "C301C1004000002B0000FF020101010202160009181FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5");
}

TEST_CASE("several keys in one transfer, in the order given") {
  const Bytes a(24, 0xAA), b(24, 0xBB), c(24, 0xCC);
  CHECK(parameter_of(SecuritySuite::suite_0, {{KeyRole::guek, a}, {KeyRole::gak, b}}) ==
        "0102020216000918" + to_hex(a) + "020216020918" + to_hex(b));
  CHECK(parameter_of(SecuritySuite::suite_0, {{KeyRole::gak, b}, {KeyRole::guek, a}}) ==
        "0102020216020918" + to_hex(b) + "020216000918" + to_hex(a));
  CHECK(parameter_of(SecuritySuite::suite_0,
                     {{KeyRole::guek, a}, {KeyRole::gbek, b}, {KeyRole::gak, c}}) ==
        "0103020216000918" + to_hex(a) + "020216010918" + to_hex(b) + "020216020918" + to_hex(c));
}

TEST_CASE("the request carries its object's logical name and its invoke id") {
  const Bytes parameter{0x01, 0x00};
  CHECK(to_hex(action_request({0, 0, 43, 0, 3, 255}, parameter)) ==
        "C301C1004000002B0003FF02010100");
  CHECK(to_hex(action_request(usual, parameter, 0x42)) ==
        "C301420040"
        "00002B0000FF"
        "0201"
        "0100");
}

TEST_CASE("what meters accept and should not is refused") {
  const Bytes k16(24, 1), k32(40, 1);
  struct {
    const char* what;
    SecuritySuite suite;
    std::vector<WrappedKey> keys;
  } const bad[] = {
      {"no key", SecuritySuite::suite_0, {}},
      {"twice", SecuritySuite::suite_0, {{KeyRole::guek, k16}, {KeyRole::guek, k16}}},
      {"twice",
       SecuritySuite::suite_0,
       {{KeyRole::guek, k16}, {KeyRole::gak, k16}, {KeyRole::guek, k16}}},
      {"not one of 0 to 3", SecuritySuite::suite_0, {{static_cast<KeyRole>(4), k16}}},
      {"not one of 0 to 3", SecuritySuite::suite_0, {{static_cast<KeyRole>(255), k16}}},
      {"alone", SecuritySuite::suite_0, {{KeyRole::kek, k16}, {KeyRole::guek, k16}}},
      {"alone", SecuritySuite::suite_0, {{KeyRole::gak, k16}, {KeyRole::kek, k16}}},
      {"twice", SecuritySuite::suite_0, {{KeyRole::kek, k16}, {KeyRole::kek, k16}}},
      {"40 bytes", SecuritySuite::suite_0, {{KeyRole::guek, k32}}},
      {"40 bytes", SecuritySuite::suite_1, {{KeyRole::kek, k32}}},
      {"24 bytes", SecuritySuite::suite_2, {{KeyRole::guek, k16}}},
      {"24 bytes", SecuritySuite::suite_2, {{KeyRole::kek, k16}}},
      {"0 bytes", SecuritySuite::suite_0, {{KeyRole::guek, {}}}},
      {"23 bytes", SecuritySuite::suite_0, {{KeyRole::guek, Bytes(23)}}},
      {"32 bytes", SecuritySuite::suite_2, {{KeyRole::guek, Bytes(32)}}},
      {"40 bytes", SecuritySuite::suite_0, {{KeyRole::guek, k16}, {KeyRole::gak, k32}}},
  };
  for (const auto& [what, suite, keys] : bad) {
    CAPTURE(std::string(what));
    CHECK(test::contains(message_of<BadInput>([&] { (void)parameter_of(suite, keys); }), what));
  }
}

TEST_CASE("logical names") {
  const std::pair<const char*, LogicalName> good[] = {
      {"0.0.43.0.0.255", usual},
      {"0.0.43.0.1.255", {0, 0, 43, 0, 1, 255}},
      {"0.0.43.0.3.255", {0, 0, 43, 0, 3, 255}},
      {"0.0.43.0.5.255", {0, 0, 43, 0, 5, 255}},
      {"1.2.3.4.5.6", {1, 2, 3, 4, 5, 6}},
      {"255.255.255.255.255.255", {255, 255, 255, 255, 255, 255}}};
  for (const auto& [text, name] : good) CHECK(parse_logical_name(text) == name);
  for (const char* text : {"",
                           ".",
                           "0",
                           "0.0.43.0.0",
                           "0.0.43.0.0.255.0",
                           "0.0.43.0.0.",
                           ".0.0.43.0.0.255",
                           "0.0..43.0.0.255",
                           "0.0.43.0.0.256",
                           "0.0.43.0.0.999",
                           "0.0.43.0.0.2555",
                           "0.0.43.0.0.-1",
                           "0.0.43.0.0.+1",
                           "0.0.43.0.0.ff",
                           "0-0:43.0.0.255",
                           "0.0.43.0.0.255 ",
                           " 0.0.43.0.0.255",
                           "0,0,43,0,0,255",
                           "0.0.43.0.0.4294967296",
                           ".....",
                           "0.0.43.0.0.255."}) {
    CAPTURE(std::string(text));
    CHECK_THROWS_AS((void)parse_logical_name(text), BadInput);
  }
}
