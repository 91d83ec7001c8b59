// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/enrolment/fleet_file.hpp"

#include <doctest/doctest.h>

#include "smets1kms/errors.hpp"
#include "support/expect.hpp"

using namespace smets1kms;
using lifecycle::read_fleet_file;
using test::message_of;

namespace {

const std::string header =
    "device_id,kind,model,system_title,security_suite,supports,commissioned_at,kek_wrapped,kek_"
    "transport\n";
const std::string header10 = header.substr(0, header.size() - 1) + ",no_kek_reason\n";
const std::string kek16 = "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5";
const std::string kek32 =
    "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21";
const std::string good =
    "00-DB-12-34-56-78-90-A0,ESME,EXAMPLE-E1,4D4D4D0000000001,0,guek+gak,2026-11-20T09:30:00Z," +
    kek16 + ",mfr-a\n";

Config config_with_models() {
  Config config;
  config.models["EXAMPLE-E1"] = {};
  return config;
}

std::vector<lifecycle::FleetLine> read(const std::string& content) {
  return read_fleet_file("fleet.csv", content, config_with_models());
}

/// `good` with a field (from 0) in place of its own, and more at its end.
std::string with(std::size_t field, const std::string& value, const std::string& more = {}) {
  std::size_t start = 0;
  for (std::size_t i = 0; i < field; ++i) start = good.find(',', start) + 1;
  auto line = good;
  line.replace(start, line.find_first_of(",\n", start) - start, value);
  return line.insert(line.size() - 1, more);
}

}  // namespace

TEST_CASE("a good fleet file, read") {
  const auto second =
      "00DB1234567890A1,PPMID,EXAMPLE-E1,4d4d4d0000000002,2,kek+gak+gbek+guek,2026-11-20T09:30:00+"
      "01:00," +
      kek32 + ",mfr-b\n";
  const auto lines = read(header + good + second);
  REQUIRE(lines.size() == 2);
  const auto& first = lines[0];
  CHECK(first.line == 2);
  CHECK(first.device.id.to_string() == "00-DB-12-34-56-78-90-A0");
  CHECK(first.device.kind == DeviceKind::esme);
  CHECK(first.device.model == "EXAMPLE-E1");
  CHECK(first.device.system_title == from_hex("4D4D4D0000000001"));
  CHECK(first.device.suite == SecuritySuite::suite_0);
  CHECK(first.device.supports == std::vector{KeyRole::guek, KeyRole::gak});
  CHECK(first.device.commissioned_at == parse_time("2026-11-20T09:30:00Z"));
  CHECK(first.device.status == DeviceStatus::commissioned);
  CHECK(first.kek_wrapped == from_hex(kek16));
  CHECK(first.kek_transport == "mfr-a");
  CHECK(first.kek_column == good.find(kek16) + 1);
  CHECK(lines[1].line == 3);
  CHECK(lines[1].device.suite == SecuritySuite::suite_2);
  CHECK(lines[1].device.supports ==
        std::vector{KeyRole::guek, KeyRole::gbek, KeyRole::gak, KeyRole::kek});
  CHECK(lines[1].device.commissioned_at == parse_time("2026-11-20T08:30:00Z"));
  CHECK(lines[1].kek_wrapped.size() == 40);
}

TEST_CASE("a line without a KEK has the reason; with a KEK it has none") {
  for (const auto& [text, transport] :
       {std::pair(with(7, "", ",lost by its maker"), "mfr-a"),
        {with(7, "", ",lost by its maker").replace(good.find(kek16) + 1, 5, ""), ""}}) {
    CAPTURE(text);
    const auto second =
        "00DB1234567890A1,GPF,EXAMPLE-E1,4d4d4d0000000002,0,guek,2026-11-20T09:30Z,,,~!";
    const auto lines =
        read(header10 + text + second + "\n00DB1234567890A2" + good.substr(23, 17) +
             "4D4D4D0000000003" + with(7, kek16, ",").substr(good.find("0001,0") + 4));
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].device.no_kek_reason == "lost by its maker");
    CHECK(lines[0].kek_wrapped.empty());
    CHECK(lines[0].kek_transport == transport);
    CHECK(lines[1].device.no_kek_reason == "~!");
    CHECK(lines[2].device.no_kek_reason.empty());
    CHECK(lines[2].kek_wrapped == from_hex(kek16));
  }
  CHECK(read(header10 + with(7, "", "," + std::string(100, 'x'))).size() == 1);
}

TEST_CASE("a byte order mark, CRLF and a last line without end change nothing") {
  const auto with_crlf = [](std::string text) {
    for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2)
      text.insert(at, "\r");
    return text;
  };
  const auto plain = header + good;
  for (const auto& text :
       {plain, "\xEF\xBB\xBF" + plain, with_crlf(plain), "\xEF\xBB\xBF" + with_crlf(plain),
        plain.substr(0, plain.size() - 1), plain + "\r\n\n"}) {
    const auto lines = read(text);
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].kek_transport == "mfr-a");
    CHECK(lines[0].kek_column == good.find(kek16) + 1);
  }
}

TEST_CASE("a bad line is named by line and column") {
  const auto other_id = [](std::string line) {
    return line.replace(0, 23, "00-DB-12-34-56-78-90-A1");
  };
  const auto other_title = [&](std::string line) {
    return other_id(line).replace(good.find("0001,0"), 4, "0002");
  };
  const auto other = [&](std::string line) {
    return other_title(line).replace(good.find(kek16), 2, "00");
  };
  struct {
    std::string text, place, says;
  } const bad[] = {
      // the file
      {"", "1:1", "no device"},
      {header, "1:1", "no device"},
      {"\n" + header + good, "1:1", "device_id is expected here"},
      {good, "1:1", "device_id is expected here"},
      {"device_id,kind,Model" + header.substr(20) + good, "1:16", "model is expected here"},
      {header.substr(0, header.size() - 1) + ",more\n" + good, "1:101", "a field too many"},
      {header.substr(0, header.rfind(',')) + "\n" + good, "1:86", "kek_transport is expected here"},
      {"device_id\n" + good, "1:10", "kind is expected here"},
      {"\xEF\xBB\xBF\xEF\xBB\xBF" + header + good, "1:1", "device_id is expected here"},
      {header + "\n" + good, "2:1", "an empty line"},
      {header + good + "\n" + good, "3:1", "an empty line"},
      {header + "\r\n" + good, "2:1", "an empty line"},
      {header + good + "# a remark\n", "3:11", "kind is missing: 1 fields of 9"},
      {header + good + good, "3:1", "device 00-DB-12-34-56-78-90-A0 stands in line 2 already"},
      {header + good + other(good) + "00db1234567890a1" + good.substr(23), "4:1",
       "stands in line 3 already"},
      // what no two devices have
      {header + good + other_id(good), "3:41",
       "system_title 4D4D4D0000000001 stands in line 2 already"},
      {header + good + other_title(good), "3:90", "this very kek_wrapped stands in line 2 already"},
      {header + good + other_title(with(8, "another")), "3:90", "this very kek_wrapped"},
      {header + good + other(good) +
           "00db1234567890a2,GSME,EXAMPLE-E1,4d4d4d0000000002,0,guek,"
           "2026-11-20T09:30:00Z," +
           kek16 + ",mfr-a\n",
       "4:34", "system_title 4D4D4D0000000002 stands in line 3 already"},
      // a KEK, or the reason why there is none
      {header10 + good, "2:144", "no_kek_reason is missing: 9 fields of 10"},
      {header10 + with(7, "", ",lost,x"), "2:102", "a field too many: 11 of 10"},
      {header10 + with(7, "", ","), "2:90", "kek_wrapped has 0 bytes"},
      {header10 + with(7, "", ","), "2:90", "in the column no_kek_reason"},
      {header10 + with(7, "", ",").replace(90, 5, ""), "2:90", "in the column no_kek_reason"},
      {header10 + with(7, kek32, ","), "2:90", "kek_wrapped has 40 bytes"},
      {header10 + with(7, kek16, ",lost"), "2:145", "no_kek_reason: the line has a KEK, and"},
      {header10 + with(7, "00", ",lost"), "2:99", "no_kek_reason: the line has a KEK, and"},
      {header10 + with(7, "", "," + std::string(101, 'x')), "2:97", "no_kek_reason: 1 to 100"},
      {header10 + with(7, "", ",its maker\\"), "2:97", "no_kek_reason: 1 to 100"},
      {header10 + with(7, "", ",caf\xC3\xA9"), "2:97", "no_kek_reason: 1 to 100"},
      {header10 + with(7, "", ",the \"KEK\""), "2:97", "a quote"},
      {header10 + with(8, "mfr\\a", ",lost"), "2:139", "kek_transport: 1 to 64"},
      {header10 + with(8, "", ","), "2:139", "kek_transport: 1 to 64"},
      {header.substr(0, header.size() - 1) + ",no_kek_reasons\n" + good, "1:101",
       "a field too many"},
      {header10.substr(0, header10.size() - 1) + ",more\n" + good, "1:115",
       "a field too many: 11 of 10"},
      // the number of fields
      {header + good.substr(0, good.rfind(',')) + "\n", "2:138",
       "kek_transport is missing: 8 fields of 9"},
      {header + good.substr(0, good.size() - 1) + ",x\n", "2:145", "a field too many: 10 of 9"},
      {header + good.substr(0, good.size() - 1) + ",\n", "2:145", "a field too many: 10 of 9"},
      // quotes
      {header + "\"" + good.substr(0, 23) + "\"" + good.substr(23), "2:1", "a quote"},
      {header + with(2, "\"EXAMPLE,E1\""), "2:30", "a quote"},
      {header + with(8, "mfr\"a"), "2:139", "a quote"},
      // each field
      {header + with(0, "00-DB-12-34-56-78-90"), "2:1", "device_id: "},
      {header + with(0, ""), "2:1", "device_id: "},
      {header + " " + good, "2:1", "device_id: "},
      {header + with(1, "esme"), "2:25", "kind: 'esme' is not a kind of device: one of ESME"},
      {header + with(1, ""), "2:25", "kind: "},
      {header + with(2, "UNKNOWN"), "2:30", "model UNKNOWN is not in the configuration"},
      {header + with(2, ""), "2:30", "model: 1 to 64"},
      {header + with(2, std::string(65, 'M')), "2:30", "model: 1 to 64"},
      {header + with(2, "M\xC3\xA9"), "2:30", "model: 1 to 64"},
      {header + with(3, "4D4D4D00000001"), "2:41", "system_title: 8 bytes"},
      {header + with(3, "4D4D4D000000000101"), "2:41", "system_title: 8 bytes"},
      {header + with(3, "4D4D4D000000000"), "2:41", "system_title: hex text has an odd number"},
      {header + with(3, "4D4D4D000000000X"), "2:41",
       "system_title: not a hex digit at position 16"},
      {header + with(3, ""), "2:41", "system_title: 8 bytes"},
      {header + with(4, "3"), "2:58", "security_suite: '3'"},
      {header + with(4, ""), "2:58", "security_suite: "},
      {header + with(5, "guek+gek"), "2:60", "supports: 'gek' is not a key role"},
      {header + with(5, "guek+guek"), "2:60", "supports: guek twice"},
      {header + with(5, "guek+"), "2:60", "supports: '' is not a key role"},
      {header + with(5, "guek gak"), "2:60", "supports: 'guek gak'"},
      {header + with(5, ""), "2:60", "supports: "},
      {header + with(6, "2026-11-20"), "2:69", "commissioned_at: '2026-11-20' is not a time"},
      {header + with(6, "2026-11-20T09:30:00"), "2:69", "commissioned_at: "},
      {header + with(6, "2026-02-30T09:30:00Z"), "2:69", "commissioned_at: "},
      {header + with(7, kek16.substr(1)), "2:90", "kek_wrapped: hex text has an odd number"},
      {header + with(7, "x" + kek16.substr(1)), "2:90",
       "kek_wrapped: not a hex digit at position 1"},
      {header + with(7, kek16.substr(2)), "2:90", "kek_wrapped has 23 bytes"},
      {header + with(7, kek32), "2:90",
       "kek_wrapped has 40 bytes; a KEK of security suite 0 is 24 when wrapped"},
      {header + with(7, ""), "2:90", "kek_wrapped has 0 bytes"},
      {header + with(8, ""), "2:139", "kek_transport: 1 to 64"},
      {header + with(8, "mfr\ta"), "2:139", "kek_transport: 1 to 64"},
      {header + with(8, "mfr\ra"), "2:142", "a carriage return within a line"},
      // further down
      {header + good + other_id(with(1, "XSME")), "3:25", "kind: 'XSME'"},
  };
  for (const auto& [text, place, says] : bad) {
    CAPTURE(std::string(text));
    const auto message = message_of<BadFile>([&] { (void)read(text); });
    CAPTURE(message);
    CHECK(message.starts_with("fleet.csv:" + place + ": "));
    CHECK(test::contains(message, says));
  }
}

TEST_CASE("what a fleet file's refusal quotes is short, and never the wrapped key") {
  for (const auto& text :
       {header + with(7, kek16 + "00"), header + with(7, kek16 + "0"),
        header + with(7, kek16 + "zz"), header + with(2, std::string(5000, 'M'))}) {
    const auto message = message_of<BadFile>([&] { (void)read(text); });
    CHECK(message.size() < 300);
    CHECK_FALSE(test::contains(message, kek16.substr(0, 16)));
  }
}

TEST_CASE("an empty commissioned_at: the device is not in service yet") {
  const auto device = read(header + with(6, "")).at(0).device;
  CHECK(device.status == DeviceStatus::not_commissioned);
  CHECK_FALSE(device.commissioned_at);
}
