// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/types.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <set>

#include "smets1kms/errors.hpp"
#include "smets1kms/fleet.hpp"
#include "support/expect.hpp"

using namespace smets1kms;
using test::message_of;

TEST_CASE("a device id is 16 hex digits, in the ways they are written") {
  constexpr std::uint64_t number = 0x00DB1234567890A0;
  for (const char* text : {"00-DB-12-34-56-78-90-A0", "00:DB:12:34:56:78:90:A0", "00DB1234567890A0",
                           "00db1234567890a0", "00-db-12-34-56-78-90-a0"}) {
    CAPTURE(std::string(text));
    CHECK(DeviceId::parse(text).number() == number);
  }
  CHECK(DeviceId::from_number(number).to_string() == "00-DB-12-34-56-78-90-A0");
  for (const std::uint64_t each :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 63, ~std::uint64_t{0}})
    CHECK(DeviceId::parse(DeviceId::from_number(each).to_string()).number() == each);
  CHECK(DeviceId::parse("0000000000000001") < DeviceId::parse("8000000000000000"));
}

TEST_CASE("anything else is not a device id") {
  for (const char* text : {"",
                           "0",
                           "00DB1234567890A",
                           "00DB1234567890A00",
                           "00-DB-12-34-56-78-90",
                           "00-DB-12-34-56-78-90-A",
                           "00-DB-12-34-56-78-90-A0-",
                           "-00-DB-12-34-56-78-90-A0",
                           "00-DB-12-34-56-78-90-G0",
                           "00_DB_12_34_56_78_90_A0",
                           "00 DB 12 34 56 78 90 A0",
                           "0-0DB-12-34-56-78-90-A0",
                           "00DB-1234-5678-90A0",
                           "00-DB123456-7890-A0",
                           " 00DB1234567890A0",
                           "00DB1234567890A0 ",
                           "0x00DB1234567890",
                           "00--DB-12-34-56-78-90-A",
                           "+0DB1234567890A0",
                           "00DB1234567890\xC3\xA0",
                           "-----------------------"}) {
    CAPTURE(std::string(text));
    CHECK(message_of<BadInput>([&] { (void)DeviceId::parse(text); }) != "");
  }
  CHECK_THROWS_AS((void)DeviceId::parse(std::string_view("00DB12345678\0A0", 15)), BadInput);
  // What is quoted back is cut: the message fits a line.
  CHECK(message_of<BadInput>([] { (void)DeviceId::parse(std::string(10000, 'A')); }).size() < 200);
}

TEST_CASE("a key id is 32 hex digits, printed in lower case") {
  const auto id = KeyId::parse("000102030405060708090A0B0C0D0E0f");
  CHECK(id.to_string() == "000102030405060708090a0b0c0d0e0f");
  CHECK(id.raw()[15] == 15);
  CHECK(KeyId(id.raw()) == id);
  for (const char* text :
       {"", "0", "000102030405060708090A0B0C0D0E0", "000102030405060708090A0B0C0D0E0F0",
        "000102030405060708090A0B0C0D0E0F00", "000102030405060708090A0B0C0D0E0G",
        "0x0102030405060708090A0B0C0D0E0F", "00-01020304050607-08090A0B0C0D0E"})
    CHECK_THROWS_AS((void)KeyId::parse(text), BadInput);
  std::set<std::string> random;
  for (int i = 0; i < 100; ++i) random.insert(KeyId::random().to_string());
  CHECK(random.size() == 100);
}

TEST_CASE("hex is written in upper case and read in any") {
  CHECK(to_hex(Bytes{0x00, 0x9A, 0xFF}) == "009AFF");
  CHECK(to_hex({}).empty());
  CHECK(from_hex("009aFf") == Bytes{0x00, 0x9A, 0xFF});
  CHECK(from_hex("").empty());
  Bytes all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<std::uint8_t>(i));
  CHECK(from_hex(to_hex(all)) == all);
  const std::pair<const char*, const char*> bad[] = {
      {"0", "odd"},           {"000", "odd"},         {"0g", "position 2"},   {"g0", "position 1"},
      {"00 1", "position 3"}, {"0x01", "position 2"}, {"00\n0", "position 3"}};
  for (const auto& [text, says] : bad) {
    CAPTURE(std::string(text));
    CHECK(test::contains(message_of<BadInput>([&] { (void)from_hex(text); }), says));
  }
}

TEST_CASE("a time is read from RFC 3339 and written in UTC with milliseconds") {
  struct {
    const char *text, *written;
  } const good[] = {
      {"2026-11-22T18:00:00.000Z", "2026-11-22T18:00:00.000Z"},
      {"2026-11-22T18:00:00Z", "2026-11-22T18:00:00.000Z"},
      {"2026-11-22T18:00Z", "2026-11-22T18:00:00.000Z"},
      {"2026-11-22T18:00:59.5Z", "2026-11-22T18:00:59.500Z"},
      {"2026-11-22T18:00:59.05Z", "2026-11-22T18:00:59.050Z"},
      {"2026-11-22T18:00:59.999Z", "2026-11-22T18:00:59.999Z"},
      {"2021-12-17T00:00:00+00:00", "2021-12-17T00:00:00.000Z"},
      {"2021-12-17T00:00:00-00:00", "2021-12-17T00:00:00.000Z"},
      {"2021-01-01T00:30:00+01:00", "2020-12-31T23:30:00.000Z"},  // over the year's end
      {"2020-12-31T23:30:00-01:00", "2021-01-01T00:30:00.000Z"},
      {"2021-03-28T00:30+01:00", "2021-03-27T23:30:00.000Z"},
      {"2021-01-01T00:00:00+23:59", "2020-12-31T00:01:00.000Z"},
      {"2020-02-29T12:00:00Z", "2020-02-29T12:00:00.000Z"},
      {"2000-02-29T12:00:00Z", "2000-02-29T12:00:00.000Z"},
      {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"},
      {"1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"},
      {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"},
      {"9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"},
  };
  for (const auto& [text, written] : good) {
    CAPTURE(std::string(text));
    CHECK(format_time(parse_time(text)) == written);
  }
  CHECK(parse_time("1970-01-01T00:00:00.001Z").time_since_epoch().count() == 1);
  CHECK(parse_time("2021-12-17T00:00:00Z").time_since_epoch().count() == 1639699200000);
  CHECK(parse_time("1969-12-31T23:59:59.999Z").time_since_epoch().count() == -1);
}

TEST_CASE("a time without zone, an impossible date and other forms are refused") {
  for (const char* text :
       {"",
        "now",
        "2026-11-22",
        "2026-11-22T18:00:00",
        "2026-11-22T18:00",
        "2026-11-22T18Z",
        "2026-11-22 18:00:00Z",
        "2026-11-22T18:00:00 Z",
        " 2026-11-22T18:00:00Z",
        "2026-11-22T18:00:00Z ",
        "2026-11-22T18:00:00ZZ",
        "2026-11-22T18:00:00Z+01:00",
        "2021-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T18:60:00Z",
        "2026-11-22T18:00:60Z",
        "2026-11-22T18:00:00.Z",
        "2026-11-22T18:00:00.1234Z",
        "2026-11-22T18:00:00,5Z",
        "2026-11-22T18:00.5Z",
        "2026-11-22T18:00:00+0100",
        "2026-11-22T18:00:00+1:00",
        "2026-11-22T18:00:00+01",
        "2026-11-22T18:00:00+24:00",
        "2026-11-22T18:00:00+01:60",
        "2026-11-22T18:00:00*01:00",
        "2026-1-22T18:00:00Z",
        "26-11-22T18:00:00Z",
        "-026-11-22T18:00:00Z",
        "12026-11-22T18:00:00Z",
        "2026-11-22T1:00:00Z",
        "2026-11-22T18:0:00Z",
        "20261122T180000Z",
        "2026-W47-7T18:00:00Z",
        "0000-01-01T00:00:00+01:00",  // the year before, which has no four digits
        "9999-12-31T23:59:00-00:01",
        "1763834400"}) {
    CAPTURE(std::string(text));
    CHECK_THROWS_AS((void)parse_time(text), BadInput);
  }
}

namespace {

template <class Enum>
struct Word {
  Enum value;
  const char* text;
};

/// Every word both ways; every other spelling is refused, and the refusal lists the words.
template <class Enum, std::size_t count>
void check_words(const Word<Enum> (&words)[count], Enum (*parse)(std::string_view),
                 const std::function<std::string_view(Enum)>& print) {
  for (const auto& [value, text] : words) {
    CAPTURE(std::string(text));
    CHECK(parse(text) == value);
    if (print) CHECK(print(value) == text);
    for (const auto& wrong : {std::string(text) + " ", " " + std::string(text),
                              std::string(text) + "x", std::string(text).substr(1)}) {
      const auto message = message_of<BadInput>([&] { (void)parse(wrong); });
      for (const auto& each : words) CHECK(test::contains(message, each.text));
    }
  }
  CHECK_THROWS_AS((void)parse(""), BadInput);
}

}  // namespace

TEST_CASE("words of the field, both ways") {
  check_words<KeyRole>({{KeyRole::guek, "guek"},
                        {KeyRole::gbek, "gbek"},
                        {KeyRole::gak, "gak"},
                        {KeyRole::kek, "kek"}},
                       parse_role, [](KeyRole v) { return to_string(v); });
  check_words<DeviceKind>({{DeviceKind::esme, "ESME"},
                           {DeviceKind::gsme, "GSME"},
                           {DeviceKind::chf, "CHF"},
                           {DeviceKind::gpf, "GPF"},
                           {DeviceKind::ppmid, "PPMID"}},
                          parse_kind, [](DeviceKind v) { return to_string(v); });
  check_words<Reason>({{Reason::post_commissioning, "post-commissioning"},
                       {Reason::periodic, "periodic"},
                       {Reason::suspected_compromise, "suspected-compromise"},
                       {Reason::recommissioning, "recommissioning"},
                       {Reason::operational, "operational"}},
                      parse_reason, [](Reason v) { return to_string(v); });
  check_words<Activation>(
      {{Activation::immediate, "immediate"}, {Activation::next_association, "next-association"}},
      parse_activation, [](Activation v) { return to_string(v); });
  check_words<SecuritySuite>(
      {{SecuritySuite::suite_0, "0"}, {SecuritySuite::suite_1, "1"}, {SecuritySuite::suite_2, "2"}},
      parse_suite, {});
  for (const char* text : {"GUEK", "Guek", "3", "esme"})
    CHECK_THROWS_AS((void)parse_role(text), BadInput);
  for (const char* text : {"3", "00", "-1", "suite 0"})
    CHECK_THROWS_AS((void)parse_suite(text), BadInput);
}

TEST_CASE("words that are only printed") {
  const Word<KeyState> states[] = {{KeyState::none, "none"},
                                   {KeyState::pre_active, "pre-active"},
                                   {KeyState::active, "active"},
                                   {KeyState::suspended, "suspended"},
                                   {KeyState::deactivated, "deactivated"},
                                   {KeyState::compromised, "compromised"},
                                   {KeyState::destroyed, "destroyed"},
                                   {KeyState::destroyed_compromised, "destroyed-compromised"}};
  for (const auto& [value, text] : states) CHECK(to_string(value) == text);
  const Word<Delivery> deliveries[] = {
      {Delivery::planned, "planned"},     {Delivery::released, "released"},
      {Delivery::in_doubt, "in-doubt"},   {Delivery::unproven, "unproven"},
      {Delivery::confirmed, "confirmed"}, {Delivery::not_held, "not-held"}};
  for (const auto& [value, text] : deliveries) CHECK(to_string(value) == text);
  const Word<DeviceStatus> statuses[] = {{DeviceStatus::commissioned, "commissioned"},
                                         {DeviceStatus::suspended, "suspended"},
                                         {DeviceStatus::decommissioned, "decommissioned"}};
  for (const auto& [value, text] : statuses) CHECK(to_string(value) == text);
}

TEST_CASE("a suite says how long its keys are") {
  const std::tuple<SecuritySuite, std::size_t, std::size_t> lengths[] = {
      {SecuritySuite::suite_0, 16, 24},
      {SecuritySuite::suite_1, 16, 24},
      {SecuritySuite::suite_2, 32, 40}};
  for (const auto& [suite, key, wrapped] : lengths) {
    CHECK(key_length(suite) == key);
    CHECK(wrapped_length(suite) == wrapped);
  }
  // The role's value is DLMS's key_id.
  CHECK(static_cast<int>(KeyRole::guek) == 0);
  CHECK(static_cast<int>(KeyRole::gbek) == 1);
  CHECK(static_cast<int>(KeyRole::gak) == 2);
  CHECK(static_cast<int>(KeyRole::kek) == 3);
}
