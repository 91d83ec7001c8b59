// SPDX-License-Identifier: Apache-2.0
#include "base/toml_reader.hpp"

#include <doctest/doctest.h>

#include "base/files.hpp"
#include "support/expect.hpp"
#include "unit/scratch.hpp"

using namespace smets1kms;
using smets1kms::TomlTable;
using test::contains;
using test::message_of;

namespace {

int parse_digit(const std::string& text) {
  if (text.size() != 1) throw BadInput("'" + text + "' is not a digit");
  return text[0] - '0';
}

/// Reads every kind of value there is.
void read(const std::string& text) {
  auto top = TomlTable::parse("version = 1\n" + text, "f");
  (void)top.text("text");
  (void)top.optional_text("maybe");
  (void)top.integer_or(5, "count", 1, 9);
  (void)top.texts("words");
  (void)top.local_time("when", "Mars");
  if (top.has("flag")) (void)top.flag("flag");
  if (top.has("list")) (void)top.list("list", parse_digit);
  auto inner = top.table("inner");
  (void)inner.parsed("digit", "3", parse_digit);
  inner.refuse_unknown();
  for (auto& each : top.tables("many", "many")) {
    (void)each.integer("n", 0, 1);
    each.refuse_unknown();
  }
  top.refuse_unknown();
}

}  // namespace

TEST_CASE("every kind of value is read from a TOML file") {
  const test::Scratch scratch;
  const auto file = scratch.write("f.toml",
                                  "\xEF\xBB\xBF"
                                  R"(version = 1
text = "x"
empty = ""
count = 7
flag = true
words = ["a", "b"]
digits = ["1", "2"]
when = 2021-12-17T10:20:30
[inner]
digit = "4"
deeper = { fact = 0x10 }
[[many]]
n = 1
[[many]]
n = 0
)");
  auto top = TomlTable::load(file, "");
  CHECK(top.text("text") == "x");
  CHECK(top.optional_text("empty") == "");
  CHECK_FALSE(top.optional_text("none"));
  CHECK(top.integer("count", 1, 9) == 7);
  CHECK(top.integer_or(12, "none", 1, 9) == 12);
  CHECK(top.flag("flag"));
  CHECK(top.texts("words") == std::vector<std::string>{"a", "b"});
  CHECK(top.texts("none").empty());
  CHECK(top.list("digits", parse_digit) == std::vector<int>{1, 2});
  using namespace std::chrono_literals;
  CHECK(top.local_time("when", "Mars") ==
        std::chrono::local_days(2021y / 12 / 17) + 10h + 20min + 30s);
  CHECK_FALSE(top.local_time("none", "Mars"));
  auto inner = top.table("inner");
  CHECK(inner.keys() == std::vector<std::string>{"deeper", "digit"});
  CHECK(inner.parsed("digit", parse_digit) == 4);
  CHECK(inner.parsed("none", "3", parse_digit) == 3);
  auto deeper = inner.table("deeper");
  CHECK(deeper.as_written("fact") == "0x10");
  CHECK(message_of<BadFile>([&] { (void)deeper.text("fact"); }) ==
        file.string() + ":11:19: inner.deeper.fact is not a string");
  CHECK(inner.table("none").keys().empty());
  CHECK(message_of<BadFile>([&] { (void)inner.table("none").text("x"); }) ==
        file.string() + ":9:1: inner.none.x is missing");
  auto many = top.tables("many");
  REQUIRE(many.size() == 2);
  CHECK(many[1].integer("n", 0, 1) == 0);
  CHECK(top.tables("none").empty());
  top.refuse_unknown();
  CHECK_THROWS_AS(inner.refuse("digit", "no"), BadFile);
}

TEST_CASE("what is wrong in a TOML file is named with its line and column") {
  const std::pair<std::string, std::string> texts[] = {
      {"text = ", "f:2:8: "},
      {"text = 1", "f:2:8: text is not a string"},
      {"text = \"\"", "f:2:8: text is empty"},
      {"", "f:1:1: text is missing"},
      {"text = \"x\"\nmaybe = []", "f:3:9: maybe is not a string"},
      {"text = \"x\"\ncount = \"1\"", "f:3:9: count is not an integer"},
      {"text = \"x\"\ncount = 10", "f:3:9: count is 10: from 1 to 9"},
      {"text = \"x\"\nwords = [\"a\", 1]", "f:3:9: words is not an array of strings"},
      {"text = \"x\"\nwhen = 2021-12-17T00:00:00Z",
       "f:3:8: when is not a local time of Mars, like"},
      {"text = \"x\"\nflag = 1", "f:3:8: flag is not true or false"},
      {"text = \"x\"\nlist = []", "f:3:8: list is empty"},
      {"text = \"x\"\nlist = [\"1\", \"12\"]", "f:3:14: list: '12' is not a digit"},
      {"text = \"x\"\nlist = [\"1\", \"1\"]", "f:3:14: list says this twice"},
      {"text = \"x\"\ninner = 1", "f:3:9: inner is not a table"},
      {"text = \"x\"\n[inner]\ndigit = \"12\"", "f:4:9: inner.digit: '12' is not a digit"},
      {"text = \"x\"\n[inner]\n[inner.deep]\nfact = 1",
       "f:4:8: inner.deep is not a key of this file"},
      {"text = \"x\"\n[inner]\ndigt = \"1\"",
       "f:4:1: inner.digt is not a key of this file; here: digit"},
      {"text = \"x\"\n[many]\nn = 1", "f:3:1: many is not an array of tables"},
      {"text = \"x\"\n[[many]]\nn = 2", "f:4:5: many.n is 2: from 0 to 1"},
      {"text = \"x\"\n[[many]]\nm = 1", "f:3:1: many.n is missing"},
      {"text = \"x\"\ntxt = 1",
       "f:3:1: txt is not a key of this file; here: count, flag, inner, list, "},
  };
  for (const auto& [text, says] : texts) {
    CAPTURE(text);
    const auto message = message_of<BadFile>([&, &content = text] { read(content); });
    CAPTURE(message);
    CHECK(message.starts_with(says));
  }
  CHECK(contains(message_of<BadFile>([] { (void)TomlTable::parse("", "f"); }),
                 "f:1:1: version = 1 is missing: the first line"));
  CHECK(contains(message_of<BadFile>([] { (void)TomlTable::parse("version = 2", "f"); }),
                 "f:1:11: version is not 1"));
  CHECK(contains(message_of<FileError>([] { (void)TomlTable::load("/none", "Give one"); }),
                 "/none: can't be read: No such file or directory. Give one"));
}
