// SPDX-License-Identifier: Apache-2.0
#include "audit/record.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "support/expect.hpp"

using namespace smets1kms::audit;
using test::message_of;

namespace {

constexpr std::uint64_t largest = (std::uint64_t{1} << 53) - 1;

bool is_number(Field field) {
  return field == Field::device_seq || field == Field::generation || field == Field::mono_ns ||
         field == Field::mono_us || field == Field::transfer || field == Field::v ||
         field == Field::wrapped_len;
}

/// A record as the lifecycle writes one.
Record sample() {
  Record record;
  record.set(Field::v, 1)
      .set(Field::op, "key.generate")
      .set(Field::phase, "outcome")
      .set(Field::op_id, "CHG-1234.7")
      .set(Field::device, "00-DB-12-34-56-78-90-A0");
  record.set(Field::device_seq, 12)
      .set(Field::device_prev, to_hex(sha256("x")))
      .set(Field::time, "2026-11-22T18:00:00.000Z")
      .set(Field::mono_ns, largest);
  record.set(Field::attributes, "local,sensitive,always_sensitive")
      .set(Field::role, "guek")
      .set(Field::generation, 0)
      .set(Field::wrapped_len, 24)
      .set(Field::reason, "");
  return record;
}

Record everything() {
  Record record;
  for (std::size_t i = 0; i < field_count; ++i) {
    const auto field = static_cast<Field>(i);
    if (is_number(field))
      record.set(field, i);
    else
      record.set(field, "value of " + std::string(field_name(field)));
  }
  return record;
}

std::string file(const std::string& name) {
  std::ifstream in(std::string(TEST_DATA) + "/" + name, std::ios::binary);
  REQUIRE(in.good());
  std::stringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

/// True if the reader takes `bytes`; then they must be what the writer makes of it.
bool taken_verbatim(const std::string& bytes) {
  try {
    const auto record = Record::decode(bytes);
    REQUIRE(record.encode() == bytes);
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

}  // namespace

TEST_CASE("a record's bytes: members sorted, no white space") {
  CHECK(Record().encode() == "{}");
  CHECK(Record().set(Field::v, 1).set(Field::op, "key.generate").encode() ==
        R"({"op":"key.generate","v":1})");
  CHECK(Record().set(Field::op, "").set(Field::mono_ns, 0).encode() == R"({"mono_ns":0,"op":""})");
  CHECK(Record().set(Field::v, largest).encode() == R"({"v":9007199254740991})");
  CHECK(Record().set(Field::v, 1).set(Field::v, 2).encode() == R"({"v":2})");
  std::string printable_ascii;
  for (char c = 0x20; c < 0x7F; ++c)
    if (c != '"' && c != '\\') printable_ascii += c;
  CHECK(Record().set(Field::detail, printable_ascii).encode() ==
        R"({"detail":")" + printable_ascii + R"("})");
}

TEST_CASE("what was written is read back, and only that") {
  for (const auto& record : {Record(), sample(), everything()}) {
    const auto bytes = record.encode();
    CAPTURE(bytes);
    CHECK(Record::decode(bytes) == record);
    CHECK(Record::decode(bytes).encode() == bytes);
  }
  const auto record = Record::decode(sample().encode());
  CHECK(record.text(Field::op) == "key.generate");
  CHECK(record.number(Field::device_seq) == 12);
  CHECK(record.text(Field::device_seq).empty());
  CHECK_FALSE(record.number(Field::op).has_value());
  CHECK_FALSE(record.get(Field::salt).has_value());
}

TEST_CASE("the list of fields is sorted, each name in the alphabet") {
  for (std::size_t i = 0; i < field_count; ++i) {
    const auto name = field_name(static_cast<Field>(i));
    CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") ==
          std::string_view::npos);
    if (i > 0) CHECK(field_name(static_cast<Field>(i - 1)) < name);
  }
  // Where a key, a PIN or an error's text could hide there is no field.
  for (const char* never : {"key", "value", "wrapped", "pin", "check_value", "error", "message"})
    for (std::size_t i = 0; i < field_count; ++i) CHECK(field_name(static_cast<Field>(i)) != never);
}

TEST_CASE("the writer refuses what the encoding can't hold") {
  for (const std::string& text :
       {std::string("a\"b"), std::string("a\\b"), std::string("a\nb"), std::string("\t"),
        std::string("\x1F"), std::string("\x7F"), std::string("\xC3\xA9"), std::string("\x80"),
        std::string(1, '\0')})
    CHECK_THROWS_AS(Record().set(Field::detail, text), std::invalid_argument);
  CHECK_THROWS_AS(Record().set(Field::v, largest + 1), std::invalid_argument);
  CHECK_THROWS_AS(Record().set(Field::v, "1"), std::invalid_argument);
  CHECK_THROWS_AS(Record().set(Field::detail, 1), std::invalid_argument);

  const std::size_t frame = std::string(R"({"detail":""})").size();
  CHECK(Record().set(Field::detail, std::string(max_record_length - frame, 'x')).encode().size() ==
        max_record_length);
  CHECK_THROWS_AS(
      (void)Record().set(Field::detail, std::string(max_record_length - frame + 1, 'x')).encode(),
      std::invalid_argument);
}

TEST_CASE("the reader refuses every deviation from the strict form") {
  REQUIRE(taken_verbatim(R"({"device_seq":1,"op":"key.generate","v":1})"));
  const std::string bad[] = {
      // frame
      "", "{", "}", "[]", "null", "1", "\"op\"", "{}{}", "{} ", " {}", "{}\n", "\xEF\xBB\xBF{}",
      R"({"op":"a")", R"({"op":"a"]})", R"(["op":"a"])", R"({"op":"a"}})", R"({"op":"a"}x)",
      std::string("{}\0", 3), std::string("{\0}", 3),
      // white space
      R"({ "op":"a"})", R"({"op" :"a"})", R"({"op": "a"})", R"({"op":"a" })",
      R"({"op":"a", "v":1})", R"({"op":"a" ,"v":1})", "{\"op\":\"a\",\n\"v\":1}",
      "{\"op\":\t\"a\"}", R"({"v":1 })", R"({"v": 1})",
      // commas and colons
      R"({"op":"a",})", R"({,"op":"a"})", R"({"op":"a""v":1})", R"({"op":"a",,"v":1})",
      R"({"op""a"})", R"({"op","a"})", R"({"op"::"a"})", R"({"op":})", R"({"op"})",
      // order, duplicates, names
      R"({"v":1,"op":"a"})", R"({"op":"a","op":"a"})", R"({"op":"a","op":"b"})",
      R"({"op":"a","phase":"b","op_id":"c"})", R"({"zzz":"a"})", R"({"aaa":"a"})", R"({"o":"a"})",
      R"({"op_":"a"})", R"({"OP":"a"})", R"({"":"a"})", R"({"op ":"a"})", R"({op:"a"})",
      R"({'op':'a'})",
      // strings
      R"({"op":"a\"b"})", R"({"op":"a\\b"})", R"({"op":"\u0041"})", R"({"op":"a\/b"})",
      R"({"\u006fp":"a"})", "{\"op\":\"a\nb\"}", "{\"op\":\"\t\"}", "{\"op\":\"\x1F\"}",
      "{\"op\":\"\x7F\"}", "{\"op\":\"\xC3\xA9\"}", "{\"op\":\"\x80\"}",
      std::string("{\"op\":\"\0\"}", 10), R"({"op":"a)", R"({"op":'a'})", R"({"op":a})",
      // integers
      R"({"v":01})", R"({"v":00})", R"({"v":-1})", R"({"v":-0})", R"({"v":+1})", R"({"v":1.0})",
      R"({"v":1.})", R"({"v":.5})", R"({"v":1e3})", R"({"v":1E3})", R"({"v":0x1})",
      R"({"v":9007199254740992})", R"({"v":18446744073709551616})", R"({"v":18446744073709551617})",
      R"({"v":99999999999999999999999999})", R"({"v":NaN})", R"({"v":})",
      // types
      R"({"v":"1"})", R"({"op":1})", R"({"op":true})", R"({"op":false})", R"({"op":null})",
      R"({"v":null})", R"({"v":true})", R"({"op":{}})", R"({"op":[]})", R"({"v":[1]})",
      R"({"op":{"op":"a"}})"};
  for (const auto& bytes : bad) {
    CAPTURE(bytes);
    CHECK_FALSE(taken_verbatim(bytes));
    CHECK(test::contains(message_of<std::invalid_argument>([&] { (void)Record::decode(bytes); }),
                         "byte "));
  }
  for (const char* bytes : {"{}", R"({"v":0})", R"({"v":10})", R"({"v":9007199254740991})",
                            R"({"op":""})", R"({"op":"a b","v":1})"})
    CHECK(taken_verbatim(bytes));
}

TEST_CASE("the reader takes 4096 bytes and not one more") {
  std::string bytes =
      Record().set(Field::detail, std::string(max_record_length - 13, 'x')).encode();
  CHECK(bytes.size() == max_record_length);
  CHECK(taken_verbatim(bytes));
  bytes.insert(12, "x");
  CHECK_FALSE(taken_verbatim(bytes));
}

TEST_CASE("any single change of a record is refused, or is another record's own bytes") {
  const auto record = sample();
  const auto bytes = record.encode();
  std::size_t taken = 0, refused = 0;
  const auto look = [&](const std::string& changed) {
    if (changed == bytes) return;
    if (!taken_verbatim(changed)) {
      ++refused;
      return;
    }
    ++taken;
    REQUIRE(Record::decode(changed) != record);
    REQUIRE(leaf_hash(changed) != leaf_hash(bytes));
  };
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      auto changed = bytes;
      changed[i] = static_cast<char>(value);
      look(changed);
    }
    look(bytes.substr(0, i));                               // cut off
    look(bytes.substr(0, i) + bytes.substr(i + 1));         // a byte lost
    look(bytes.substr(0, i) + bytes[i] + bytes.substr(i));  // a byte twice
    look(bytes.substr(0, i) + ' ' + bytes.substr(i));
    if (i + 1 < bytes.size()) {
      auto swapped = bytes;
      std::swap(swapped[i], swapped[i + 1]);
      look(swapped);
    }
  }
  CHECK(taken > 0);  // a letter of a value for another
  CHECK(refused > taken);
}

TEST_CASE("names from outside are made to fit") {
  CHECK(printable("host-1.example", 64) == "host-1.example");
  CHECK(printable("a\"b\\c\n\xC3\xA9", 64) == "a?b?c???");
  CHECK(printable("abcdef", 3) == "abc");
  CHECK(printable("", 3).empty());
  CHECK(printable("  a b ", 64) == "a b");
  CHECK(printable("ab cd", 3) == "ab");
  CHECK(printable("   ", 64).empty());
}

TEST_CASE("leaf hashes are those of RFC 6962") {
  const std::pair<std::string, const char*> leaves[] = {
      {"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
      {std::string(1, '\0'), "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"},
      {"\x10", "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7"},
      {"\x20\x21", "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7"},
      {"\x30\x31", "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"},
      {"\x40\x41\x42\x43", "4271a26be0d8a84f0bd54c8c302e7cb3a3b5d1fa6780a40bcce2873477dab658"},
      {"\x50\x51\x52\x53\x54\x55\x56\x57",
       "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"},
      {"`abcdefghijklmno", "46f6ffadd3d06a09ff3c5860d2755c8b9819db7df44251788c7d8e3180de8eb1"},
      {"L123456", "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"},
      {file("vectors/example-record-0.json"),
       "b0f98a16d6e577c25ef1c7c8ee42f346ef7793ab2ff8f9195e36f0784ec473f6"},
      {file("vectors/example-record-1.json"),
       "af1fe9d4e640c5a8b1304c681e67807a7fc088325292a81ac6e8ee6b49a9271f"},
  };
  for (const auto& [bytes, hash] : leaves) {
    CAPTURE(bytes);
    CHECK(to_hex(leaf_hash(bytes)) == hash);
    CHECK(to_hex(sha256(bytes)) != hash);  // the prefix counts
  }
  CHECK(to_hex(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(to_hex(sha256("abc")) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("a record of another log is not one of ours") {
  CHECK_FALSE(taken_verbatim(file("vectors/example-record-0.json")));
  CHECK_FALSE(taken_verbatim(file("vectors/example-record-1.json")));
}
