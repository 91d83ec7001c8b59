// SPDX-License-Identifier: Apache-2.0
#include "dlms/action_response.hpp"

#include <doctest/doctest.h>

#include "smets1kms/errors.hpp"
#include "support/expect.hpp"

using namespace smets1kms;
using namespace smets1kms::dlms;
using test::contains;
using test::message_of;

namespace {

bool success(const std::string& hex, std::optional<std::uint8_t> invoke = std::nullopt) {
  return reports_success(from_hex(hex), invoke);
}

/// What real stacks give (dlms.md), each whole.
struct Row {
  const char* what;
  const char* reply;
  bool success;
};
constexpr Row rows[] = {
    {"success", "C701C10000", true},
    {"success, another invoke byte", "C701420000", true},
    {"success, invoke byte 00", "C701000000", true},
    {"success, invoke byte FF", "C701FF0000", true},
    {"null-data returned", "C701C100010000", true},
    {"an octet-string returned", "C701C1000100090401020304", true},
    {"an empty octet-string", "C701C10001000900", true},
    {"an octet-string with a long length", "C701C1000100098103010203", true},
    {"a length of two bytes", "C701C100010009820001AA", true},
    {"a boolean",
     "C701C1000100"
     "0301",
     true},
    {"a bit-string of 9 bits",
     "C701C1000100"
     "0409FFFF",
     true},
    {"double-long",
     "C701C1000100"
     "0500000001",
     true},
    {"double-long-unsigned",
     "C701C1000100"
     "0600000001",
     true},
    {"visible-string",
     "C701C1000100"
     "0A024142",
     true},
    {"utf8-string",
     "C701C1000100"
     "0C024142",
     true},
    {"bcd",
     "C701C1000100"
     "0D12",
     true},
    {"integer",
     "C701C1000100"
     "0FFF",
     true},
    {"long",
     "C701C1000100"
     "100001",
     true},
    {"unsigned",
     "C701C1000100"
     "1101",
     true},
    {"long-unsigned",
     "C701C1000100"
     "120001",
     true},
    {"long64",
     "C701C1000100"
     "140000000000000001",
     true},
    {"long64-unsigned",
     "C701C1000100"
     "150000000000000001",
     true},
    {"enum",
     "C701C1000100"
     "1600",
     true},
    {"float32",
     "C701C1000100"
     "1700000000",
     true},
    {"float64",
     "C701C1000100"
     "180000000000000000",
     true},
    {"date-time",
     "C701C1000100"
     "1907E60101FF000000FF800000",
     true},
    {"date",
     "C701C1000100"
     "1A07E60101FF",
     true},
    {"time",
     "C701C1000100"
     "1B00000000",
     true},
    {"don't-care",
     "C701C1000100"
     "FF",
     true},
    {"a structure",
     "C701C1000100"
     "02021600"
     "0900",
     true},
    {"an array of structures",
     "C701C1000100"
     "0102"
     "020116000201"
     "1601",
     true},
    {"an empty array",
     "C701C1000100"
     "0100",
     true},
    {"a data-access-result returned", "C701C100010103", false},
    {"data-access-result success", "C701C100010100", false},
    {"hardware-fault", "C701C10100", false},
    {"temporary-failure", "C701C10200", false},
    {"read-write-denied", "C701C10300", false},
    {"other-reason", "C701C1FA00", false},
    {"a result that no standard has", "C701C1EE00", false},
    {"not ok, with null-data", "C701C10C010000", false},
    {"not ok, with a data-access-result", "C701C10C01010D", false},
    {"exception-response", "D80102", false},
    {"exception-response, invocation counter error", "D8010600000042", false},
    {"ConfirmedServiceError", "0E010601", false},
};

/// What is no ACTION response, and what the refusal says of it.
constexpr std::pair<const char*, const char*> refused[] = {
    {"", "it is empty"},
    {"CF1630012345674613D3FF9B69D813CAFCDC34EAAF0FACED",
     "ciphered reply, tag CF: decipher it first"},
    {"D7053001020304", "ciphered reply, tag D7"},
    {"DB084D4D4D0000BC614E00", "ciphered reply, tag DB"},
    {"DC084D4D4D0000BC614E00", "ciphered reply, tag DC"},
    {"DD0000", "ciphered reply, tag DD"},
    {"DF0000", "signed reply, tag DF"},
    {"CC00", "ciphered GET response, tag CC"},
    {"CD00", "ciphered SET response, tag CD"},
    {"CB3E300123", "ciphered ACTION request, tag CB"},
    {"E0800001", "block of a general block transfer, tag E0"},
    {"00010001001000"
     "05C701C10000",
     "wrapper frame, which begins with 0001"},
    {"E6E700C701C10000", "frame with an LLC header, which begins with E6E700"},
    {"E6E600C301C1", "frame with an LLC header"},
    {"7EA0", "HDLC frame, tag 7E"},
    {"C001C1", "GET request, tag C0"},
    {"C101C1", "SET request, tag C1"},
    {"C301C1004000002B0000FF0201", "ACTION request, tag C3"},
    {"C401C10000", "GET response, tag C4"},
    {"C501C100", "SET response, tag C5"},
    {"C702C10000", "block of an ACTION response, which begins with C702"},
    {"C704C10000", "block of an ACTION response, which begins with C704"},
    {"C703C1020000"
     "0000",
     "ACTION response with a list, which has a result for each key"},
    {"C70000", "it is of no kind that there is"},
    {"C705C10000", "it is of no kind that there is"},
    {"61", "not known, tag 61"},
    {"00C701C10000", "not known, tag 00"},
    {"C701C1000000", "1 bytes follow its end"},
    {"C701C10000C701C10000", "5 bytes follow its end"},
    {"C701C1FA0000", "1 bytes follow its end"},
    {"C701C10001000000", "1 bytes follow its end"},
    {"C701C10001010300", "1 bytes follow its end"},
    {"D8010200", "1 bytes follow its end"},
    {"0E01060100", "1 bytes follow its end"},
    {"C701C10003", "its return parameters are not readable"},
    {"C701C100FF", "its return parameters are not readable"},
    {"C701C1000102", "its return parameters are not readable"},
    {"C701C100010013", "a type that is not known, 13"},
    {"C701C1000100098501", "a length of 5 bytes"},
    {"C701C1000100"
     "0984FFFFFFFF",
     "cut off"},
    {"C701C1000100"
     "0184FFFFFFFF",
     "cut off"},
};

}  // namespace

TEST_CASE("replies as real stacks give them") {
  for (const auto& row : rows) {
    CAPTURE(std::string(row.what));
    CHECK(success(row.reply) == row.success);
  }
}

TEST_CASE("a reply that is cut off anywhere is refused, and says so") {
  for (const auto& row : rows) {
    const std::string whole = row.reply;
    for (std::size_t length = 2; length < whole.size(); length += 2) {
      CAPTURE(whole.substr(0, length));
      if (length == 8 && whole.starts_with("C701") && whole.substr(6, 2) != "00") {
        CHECK_FALSE(success(whole.substr(0, length)));  // some stacks end a refusal there
        continue;
      }
      CHECK(contains(message_of<BadInput>([&] { (void)success(whole.substr(0, length)); }),
                     "cut off"));
    }
  }
}

TEST_CASE("what is no ACTION response is named") {
  for (const auto& [reply, says] : refused) {
    CAPTURE(std::string(reply));
    CHECK(contains(message_of<BadInput>([&, text = reply] { (void)success(text); }), says));
  }
}

TEST_CASE("the invoke byte counts where the caller names the one that was sent") {
  CHECK(success("C701C10000", 0xC1));
  CHECK_FALSE(success("C701C10C00", 0xC1));
  CHECK(contains(message_of<BadInput>([] { (void)success("C701420000", 0xC1); }),
                 "its invoke byte is 42, the request had C1: it answers another request"));
  CHECK_THROWS_AS((void)success("C701420C00", 0xC1), BadInput);
  // These have no invoke byte.
  CHECK_FALSE(success("D80102", 0xC1));
  CHECK_FALSE(success("0E010601", 0xC1));
}

TEST_CASE("of all replies that differ from success in one byte, only other invoke bytes succeed") {
  const Bytes good{0xC7, 0x01, 0xC1, 0x00, 0x00};
  for (std::size_t i = 0; i < good.size(); ++i)
    for (int value = 0; value < 256; ++value) {
      auto other = good;
      other[i] = static_cast<std::uint8_t>(value);
      bool succeeds = false;
      try {
        succeeds = reports_success(other, std::nullopt);
      } catch (const BadInput&) {
      }
      CHECK(succeeds == (i == 2 || other == good));
    }
}
