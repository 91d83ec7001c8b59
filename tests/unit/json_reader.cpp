// SPDX-License-Identifier: Apache-2.0
#include "base/json_reader.hpp"

#include <doctest/doctest.h>

#include "support/expect.hpp"

using namespace smets1kms;
using smets1kms::JsonObject;
using test::message_of;

TEST_CASE("a JSON object on a line is read, with what nobody asks for in it") {
  const JsonObject object(
      R"({"a":"x","b":null,"n":-3,"big":18446744073709551615,"f":1.5,"deep":{"a":[{"a":1}]}})", "f",
      1);
  CHECK(object.text("a") == "x");
  CHECK(object.has("b"));
  CHECK(object.is_null("b"));
  CHECK_FALSE(object.is_null("a"));
  CHECK_FALSE(object.is_null("none"));
  CHECK(object.integer("n", -5, 0) == -3);
  CHECK(object.has("deep"));
  for (const char* name : {"a", "n", "big", "f", "none"}) {
    CAPTURE(name);
    CHECK_THROWS_AS((void)object.integer(name, 0, 255), BadFile);
  }
  for (const char* name : {"b", "n", "none"}) CHECK_THROWS_AS((void)object.text(name), BadFile);
}

TEST_CASE("two members of one name, numbers out of range and what is no object are refused") {
  const std::pair<const char*, const char*> texts[] = {
      {R"({"reply":null,"reply":"C7"})", R"(f:7:21: the member "reply" stands here twice)"},
      {R"({"a":{"b":1,"b":1}})", R"(f:7:15: the member "b" stands here twice)"},
      {R"({"a":1,"\u0061":2})", R"(f:7:15: the member "a" stands here twice)"},
      {R"({"a":1e999})", "f:7:11: a number that is out of range"},
      {"", "f:7:1: not a JSON object on one line"},
      {"[]", "f:7:1: not a JSON object on one line"},
      {R"({"a":1)", "f:7:6: not a JSON object on one line"},
      {R"({"a":1} x)", "f:7:9: not a JSON object on one line"},
      {"{\"a\":\"\xFF\"}", "f:7:7: not a JSON object on one line"},
  };
  for (const auto& [text, says] : texts) {
    CAPTURE(text);
    const auto message =
        message_of<BadFile>([content = text] { (void)JsonObject(content, "f", 7); });
    CAPTURE(message);
    CHECK(message.starts_with(says));
  }
}
