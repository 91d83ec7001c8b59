// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "command_line/command.hpp"
#include "command_line/input.hpp"
#include "command_line/text.hpp"
#include "support/expect.hpp"
#include "unit/scratch.hpp"

using namespace smets1kms;
using namespace smets1kms::command_line;
using test::contains;
using test::message_of;
using Json = nlohmann::json;

namespace {

struct Counted {
  std::uint64_t count = 0;
  std::optional<std::string> name{};
};
const Fields<Counted>& counted_fields() {
  static const Fields<Counted> fields("example-count-1", "How many there are",
                                      {{"count", "how many", &Counted::count, "COUNT"},
                                       {"name", "what they are called", &Counted::name, "NAME"}});
  return fields;
}

void count_them(const Invocation& in) {
  if (in.values.has("needs")) (void)in.values.needed("thing"), (void)in.values.needed("tag");
  if (in.values.has("fail")) throw Refused(RefusalReason::in_doubt, "the device is in doubt");
  if (in.values.has("partly")) {
    in.out << "1 of 2\n";
    throw Unsuccessful(Exit::failed, "partly-failed", "one of two failed");
  }
  in.console.detail("counting");
  in.console.note("counted");
  const Counted counted{.count = in.values.number("count").value_or(7), .name = {}};
  show(in, counted_fields(), counted, [&](std::ostream& out) {
    out << counted.count << " things of " << in.values.text("thing") << '\n';
  });
}

Program program() {
  const auto none = [](const Invocation& in) { in.out << "done\n"; };
  return {.name = "example",
          .summary = "counts",
          .epilogue = "Exit: 0 done.",
          .has_config = true,
          .commands = {
              {"status",
               "how it is",
               "[THING] [--count N]",
               "Says how it is.",
               {positional("thing", "THING", "of what"), number("count", "N", "how many", 1, 9),
                repeated("tag", "TAG", "may be repeated"), flag("fail", "fails"),
                flag("needs", "needs some"), flag("partly", "fails for one"),
                text("out", "FILE", "a file", "here")},
               count_them,
               {counted_fields()}},
              {"device import", "brings devices", "FILE", "Brings them.", {}, none},
              {"device list",
               "lists devices",
               "",
               "Lists them.",
               {},
               [](const Invocation& in) { in.out << in.config_file().string() << '\n'; }},
              {"report",
               "writes a report",
               "--json FILE",
               "Writes it.",
               {text("json", "FILE", "as JSON, to a file")},
               [](const Invocation& in) {
                 in.out << (in.json ? "json " : "text ") << in.values.count({"json"})
                        << in.values.text("json") << '\n';
               }},
              {"terminal", "tries to steer it", "", "Tries.", {}, [](const Invocation& in) {
                 in.out << "a\x1B[2Jb\n";
                 throw BadInput("file\x07\nexample: all is well");
               }}}};
}

struct Ran {
  int code;
  std::string out, err;
};
Ran ran(const std::vector<std::string>& words) {
  std::ostringstream out, err;
  const int code = run(program(), words, {out, err, false});
  return {code, out.str(), err.str()};
}
std::string last_line(const std::string& text) {
  const auto end = text.rfind('\n'), begin = text.rfind('\n', end - 1);
  return text.substr(begin == std::string::npos ? 0 : begin + 1, end - begin - 1);
}

struct Environment {
  explicit Environment(const char* value) { ::setenv("SMETS1_KMS_CONFIG", value, 1); }
  ~Environment() { ::unsetenv("SMETS1_KMS_CONFIG"); }
};

}  // namespace

TEST_CASE("a command is found by its words, and --help is before and behind it") {
  CHECK(ran({"status"}).out == "7 things of \n");
  CHECK(ran({"status", "keys", "--count=3"}).out == "3 things of keys\n");
  CHECK(ran({"status", "--thing", "keys", "--count", "9"}).out == "9 things of keys\n");
  CHECK(ran({"device", "import"}).out == "done\n");
  CHECK(ran({"device", "--quiet", "import"}).out == "done\n");

  for (const auto& words : std::vector<std::vector<std::string>>{{"status", "--help"},
                                                                 {"--help", "status"},
                                                                 {"-h", "status"},
                                                                 {"help", "status"},
                                                                 {"status", "-h"}}) {
    const auto help = ran(words);
    CHECK(help.code == 0);
    CHECK(help.out.starts_with("usage: example status [THING] [--count N]\n\nSays how it is.\n"));
    CHECK(contains(help.out, "--count N"));
    CHECK(contains(help.out, "--config"));
    CHECK(help.err.empty());
  }
  CHECK(contains(ran({"help", "device", "import"}).out, "usage: example device import FILE"));
  for (const auto& words : std::vector<std::vector<std::string>>{{"--help"}, {"help"}, {"-h"}}) {
    const auto help = ran(words);
    CHECK(help.code == 0);
    CHECK(contains(help.out, "\n  device import         brings devices\n"));
    CHECK(contains(help.out, "\n  schema "));
    CHECK(contains(help.out, "Exit: 0 done."));
  }
  const auto group = ran({"device", "--help"});
  CHECK(contains(group.out, "  device list "));
  CHECK_FALSE(contains(group.out, "status"));
  CHECK(ran({"help", "device"}).out == group.out);
  CHECK(ran({"--version"}).out.starts_with("example 0."));
  CHECK(ran({"status", "--version"}).out == ran({"--version"}).out);
}

TEST_CASE(
    "wrong usage is exit code 2, says what was meant, and prints nothing to standard output") {
  const auto refused = [](const std::vector<std::string>& words) {
    const auto result = ran(words);
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    CHECK(result.err.starts_with("example: "));
    return result.err;
  };
  CHECK(contains(refused({"stauts"}), "'stauts' is not a command; did you mean 'status'?"));
  CHECK(contains(refused({"import"}), "did you mean 'device import'?"));
  CHECK(contains(refused({"device", "imprt"}), "did you mean 'device import'?"));
  CHECK(contains(refused({"device"}), "'device import', 'device list'"));
  CHECK(contains(refused({"help", "stauts"}), "did you mean 'status'?"));
  CHECK(contains(refused({"bananas"}), "'example --help' lists them"));
  CHECK(contains(refused({}), "no command is given"));
  CHECK(contains(refused({"status", "--cuont", "3"}), "did you mean '--count'?"));
  CHECK(
      contains(refused({"status", "--cou", "3"}), "'--cou' is not an option here"));  // not guessed
  CHECK(contains(refused({"--jsn", "status"}), "did you mean '--json'?"));
  CHECK(contains(refused({"--count", "3", "status"}), "'--count' is not an option here"));
  CHECK(contains(refused({"status", "--nonsense"}), "--help lists them"));
  CHECK(std::ranges::count(refused({"status", "--nonsense"}), '\n') == 1);
  CHECK(contains(refused({"status", "keys", "more"}), "too many words"));
  CHECK(contains(refused({"device", "list", "more"}), "options only"));
  CHECK(contains(refused({"status", "--count"}), "--count"));
  CHECK(contains(refused({"status", "--count", "1", "--count", "2"}), "--count is given twice"));
  for (const char* number : {"ten", "-1", "0", "10", "1.5", "99999999999999999999"}) {
    CAPTURE(number);
    CHECK(contains(refused({"status", "--count", number}), "a whole number from 1 to 9"));
  }
  CHECK(contains(refused({"status", "--count", ""}), "--count is given and empty"));
  CHECK(contains(refused({"--config"}), "--config"));
  CHECK(contains(refused({"status", "--needs"}), "THING is missing"));
  CHECK(contains(refused({"status", "--needs", "x"}), "--tag is missing"));
}

TEST_CASE(
    "global options stand in any place, and one of a command's own hides them behind its name") {
  const std::string expected = "{\"schema\":\"example-count-1\",\"count\":7}\n";
  CHECK(ran({"--json", "status"}).out == expected);
  CHECK(ran({"status", "--json"}).out == expected);
  CHECK(ran({"--config", "a.toml", "--json", "status", "--config", "b.toml"}).out == expected);
  CHECK(ran({"--json", "report", "--json", "file"}).out == "json 1file\n");
  CHECK(ran({"--json", "report"}).out == "json 0\n");
  CHECK(ran({"report", "--json", "file"}).out == "text 1file\n");
  CHECK(ran({"status"}).err == "example: counted\n");
  CHECK(ran({"status", "--quiet"}).err.empty());
  CHECK(ran({"--verbose", "status"}).err == "example: counting\nexample: counted\n");
}

TEST_CASE("the configuration is found in its order") {
  const test::Scratch scratch;
  const auto given = scratch.write("given.toml", "").string(),
             other = scratch.write("other.toml", "").string();
  const auto config = [](const std::vector<std::string>& words) { return ran(words).out; };
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(scratch.path("."));
  {
    const Environment set(other.c_str());
    for (const auto& words :
         std::vector<std::vector<std::string>>{{"--config", given, "device", "list"},
                                               {"device", "list", "--config", given},
                                               {"device", "-c", given, "list"},
                                               {"-c", other, "device", "list", "-c", given},
                                               {"--config=" + given, "device", "list"}})
      CHECK(config(words) == given + "\n");
    CHECK(config({"device", "list"}) == other + "\n");
  }
  if (!std::filesystem::exists("/etc/smets1-kms/kms.toml")) {
    const auto none = ran({"device", "list"});
    CHECK(none.code == 1);
    CHECK(contains(none.err, "kms.toml: can't be read"));
    CHECK(contains(none.err, "--config FILE"));
  }
  scratch.write("kms.toml", "");
  CHECK(config({"device", "list"}) == "kms.toml\n");
  const auto directory = ran({"--config", scratch.path(".").string(), "device", "list"});
  CHECK(directory.code == 1);
  CHECK(contains(directory.err, "is a directory"));
  std::filesystem::current_path(before);
}

TEST_CASE("with --json an error is an object on the last line of standard error") {
  const auto refused = ran({"--json", "status", "--fail"});
  CHECK(refused.code == 1);
  CHECK(refused.out.empty());
  const auto json = Json::parse(last_line(refused.err));
  CHECK(json["schema"] == "smets1-error-1");
  CHECK(json["error"] == "the device is in doubt");
  CHECK(json["reason"] == "in-doubt");
  CHECK(json["exit_code"] == 1);
  CHECK_FALSE(json.contains("operation_id"));
  CHECK(contains(json["remedy"], "resolve"));
  CHECK(Json::parse(last_line(ran({"stauts", "--json"}).err))["reason"] == "wrong-usage");
  CHECK(ran({"status", "--fail"}).err == "example: the device is in doubt\n");

  const auto partly = ran({"status", "--partly"});
  CHECK(partly.code == 1);
  CHECK(partly.out == "1 of 2\n");
  CHECK(partly.err.empty());  // people were told
  CHECK(Json::parse(last_line(ran({"--json", "status", "--partly"}).err))["reason"] ==
        "partly-failed");
}

TEST_CASE("each kind of exception has its exit code and reason") {
  const auto check = [](const std::exception& error, Exit code, const char* reason) {
    CHECK(failure_of(error).code == code);
    CHECK(failure_of(error).reason == reason);
  };
  check(Usage("x"), Exit::wrong_usage, "wrong-usage");
  check(BadInput("x"), Exit::failed, "bad-input");
  check(BadFile("f", 1, 2, "x"), Exit::failed, "bad-input");
  check(Refused(RefusalReason::dual_control, "x"), Exit::failed, "dual-control");
  check(RefusedByToken("C_WrapKey", "CKR_KEY_NOT_WRAPPABLE", "x"), Exit::failed,
        "refused-by-token");
  check(TokenUnavailable("x"), Exit::token_unavailable, "token-unavailable");
  check(StorageError("x"), Exit::registry_unavailable, "storage-unavailable");
  check(std::bad_alloc(), Exit::failed, "failed");
  check(std::runtime_error("x"), Exit::failed, "failed");
}

TEST_CASE("no control character and no byte that is not UTF-8 reaches the terminal") {
  const auto tried = ran({"terminal"});
  CHECK(tried.out == "a\\x1B[2Jb\n");
  CHECK(tried.err == "example: file\\x07\\x0Aexample: all is well\n");
  const std::pair<std::string_view, const char*> texts[] = {
      {"é…𐍈 plain", "é…𐍈 plain"},
      {"\x7F", "\\x7F"},
      {"\xC2\x9B", "\\u009B"},
      {"\xE2\x80\xAE", "\\u202E"},
      {"caf\xE9", "caf\\xE9"},
      {"\xC3", "\\xC3"},
      {"\xC0\x80", "\\xC0\\x80"},
      {"\xED\xA0\x80", "\\xED\\xA0\\x80"},
      {"\xF5\x80\x80\x80", "\\xF5\\x80\\x80\\x80"},
      {"a\tb", "a\\x09b"}};
  for (const auto& [text, expected] : texts) CHECK(printable(text) == expected);
  CHECK(printable("a\tb\n\r", false) == "a\tb\n\\x0D");
  CHECK(printable(std::string_view("\0", 1)) == "\\x00");
  CHECK(columns_of("é…𐍈") == 3);
}

TEST_CASE("a mistyped word is matched with the nearest") {
  const std::vector<std::string> words{"status", "rotate", "retire", "--device"};
  CHECK(nearest("stauts", words) == "status");
  CHECK(nearest("rotat", words) == "rotate");
  CHECK(nearest("retrie", words) == "retire");
  CHECK(nearest("--devcie", words) == "--device");
  CHECK(nearest("x", words).empty());
  CHECK(nearest("completely", words).empty());
  CHECK(nearest("", words).empty());
  CHECK(nearest(std::string(100000, 'r'), words).empty());
}

namespace {

enum class Colour : std::uint8_t { red, green };
std::string_view to_string(Colour colour) { return colour == Colour::red ? "red" : "green"; }

struct Inner {
  std::string text;
};
struct Everything {
  std::string text = "caf\xE9 \x1B \"quoted\"";
  bool flag = true;
  std::int32_t number = -3;
  std::size_t natural = 4;
  std::optional<std::string> missing{}, given{"given"};
  Colour colour = Colour::green;
  Bytes bytes{0xAB, 0x01};
  Time time = parse_time("2026-11-22T18:00:00Z");
  DeviceId device = DeviceId::parse("00DB1234567890A0");
  std::vector<KeyRole> roles{KeyRole::guek, KeyRole::gak};
  std::map<Colour, std::map<std::string, std::uint64_t>> counts{{Colour::red, {{"many", 5}}},
                                                                {Colour::green, {}}};
  std::vector<Inner> inner{{"one"}, {"two"}}, none{};
  std::optional<Inner> optional{};
  std::map<std::string, Inner> by_name{{"a", {"x"}}};
  Value::Json record{"{\"b\":1,\"a\":\"\xC3\xA9\"}"};
};

const Fields<Inner>& inner_fields() {
  static const Fields<Inner> fields("", "", {{"inner_text", "its text", &Inner::text}});
  return fields;
}
const Fields<Everything>& everything_fields() {
  static const Fields<Everything> fields(
      "example-all-2", "One of each",
      {{"text", "a text", &Everything::text, "TEXT"},
       {"flag", "a flag", &Everything::flag, "FLAG"},
       {"number", "a number", &Everything::number},
       {"natural", "a count", &Everything::natural},
       {"missing", "not there", &Everything::missing, "MISSING"},
       {"given", "there", &Everything::given},
       {"colour", "a word", &Everything::colour},
       {"bytes", "hex", &Everything::bytes},
       {"time", "a time", &Everything::time},
       {"device_id", "a device", &Everything::device},
       {"roles", "a list", &Everything::roles, "ROLES"},
       {"counts", "a map", &Everything::counts},
       spread(inner_fields(), [](const Everything& e) { return e.inner.back(); }),
       nested("inner", "objects", inner_fields(), &Everything::inner),
       nested("optional", "not there", inner_fields(), &Everything::optional),
       nested("stream", "as long as the fleet", inner_fields(),
              [](const Everything& e) -> Each<Inner> {
                return [&e](const auto& give) {
                  for (const auto& each : e.inner) give(each);
                };
              }),
       nested("by_name", "a map of lists", inner_fields(), &Everything::by_name),
       {"record", "as it is", &Everything::record},
       {"", "for people", [](const Everything&) { return std::string("x"); }, "SHOWN",
        [](const Everything&) { return std::string("shown"); }}});
  return fields;
}

}  // namespace

TEST_CASE("one table of fields writes an output's JSON, its row and its schema") {
  std::ostringstream out;
  write_json(out, everything_fields().object(Everything{}));
  CHECK(
      out.str() ==
      R"({"schema":"example-all-2","text":"caf\ufffd \u001b \"quoted\"","flag":true,"number":-3,"natural":4,)"
      R"("given":"given","colour":"green","bytes":"AB01","time":"2026-11-22T18:00:00.000Z",)"
      R"("device_id":"00-DB-12-34-56-78-90-A0","roles":["guek","gak"],"counts":{"red":{"many":5},"green":{}},)"
      R"("inner_text":"two","inner":[{"inner_text":"one"},{"inner_text":"two"}],)"
      R"("stream":[{"inner_text":"one"},{"inner_text":"two"}],"by_name":{"a":{"inner_text":"x"}},"record":{"b":1,"a":"\u00e9"}})");
  CHECK(everything_fields().headings() ==
        std::vector<std::string>{"TEXT", "FLAG", "MISSING", "ROLES", "SHOWN"});
  CHECK(everything_fields().cells(Everything{}) ==
        std::vector<std::string>{Everything{}.text, "yes", "-", "guek, gak", "shown"});

  const auto schema = Json::parse(schema_of(everything_fields()));
  CHECK(schema["$id"] == "example-all-2.json");
  CHECK(schema["properties"]["schema"]["const"] == "example-all-2");
  CHECK(schema["properties"]["natural"] ==
        Json{{"type", "integer"}, {"minimum", 0}, {"description", "a count"}});
  CHECK(schema["properties"]["time"]["format"] == "date-time");
  CHECK(schema["properties"]["roles"]["items"]["type"] == "string");
  CHECK(schema["properties"]["counts"]["additionalProperties"]["additionalProperties"]["type"] ==
        "integer");
  CHECK(schema["properties"]["inner"]["items"]["required"] == Json{"inner_text"});
  const auto required = [&](const char* name) {
    return std::ranges::count(schema["required"], Json(name)) == 1;
  };
  for (const char* name : {"schema", "text", "stream", "record", "inner_text"})
    CHECK(required(name));
  for (const char* name : {"missing", "given", "optional", ""}) CHECK_FALSE(required(name));
  CHECK_FALSE(schema["properties"].contains(""));
}

TEST_CASE("JSON of another place is written only if it is JSON") {
  const auto written = [](const std::string& text) {
    std::ostringstream out;
    write_json(out, Value{Value::Json{text}});
    return out.str();
  };
  CHECK(written("{\"a\":\n[1]}") == "{\"a\":[1]}");
  CHECK(written("{\"a\":") == "\"{\\\"a\\\":\"");
}

TEST_CASE("schema lists the outputs, shows one, and writes all") {
  CHECK(contains(ran({"schema"}).out, "example-count-1  How many there are\n"));
  const auto schema = Json::parse(ran({"schema", "example-count-1"}).out);
  CHECK(schema["title"] == "example-count-1");
  CHECK(ran({"schema", "nonsense"}).code == 2);
  const test::Scratch scratch;
  CHECK(ran({"schema", "--directory", scratch.path("all").string()}).code == 0);
  std::ifstream error(scratch.path("all/smets1-error-1.json"));
  CHECK(Json::parse(error)["title"] == "smets1-error-1");
  CHECK(std::filesystem::exists(scratch.path("all/example-count-1.json")));
}

TEST_CASE("a table is as wide as its first rows, and written as it grows") {
  std::ostringstream out;
  {
    Table table(out, {"A", "BEE", "C"});
    CHECK(table.empty());
    table.add({"é\x1B", "1", "end"});
    table.add({"long one", "22", ""});
    CHECK(out.str().empty());
    for (int i = 0; i < 1000; ++i) table.add({"x", "much longer", "y"});
    CHECK(out.str().size() > 1000);  // is not held in memory
  }
  CHECK(out.str().starts_with(
      "A         BEE          C\né\\x1B     1            end\nlong one  22\n"));
  CHECK(std::ranges::count(out.str(), '\n') == 1003);
}

TEST_CASE("progress: nothing in the first second, then a line every five, or a bar on a terminal") {
  using namespace std::chrono_literals;
  std::chrono::steady_clock::time_point now{1h};
  const auto shown = [&](bool terminal, bool quiet) {
    std::ostringstream err;
    {
      Console console(err, "example", terminal, [&] { return now; });
      console.set(quiet, false);
      for (int done = 0; done <= 200; ++done, now += 100ms) {
        console.progress("devices", static_cast<std::uint64_t>(done), 200);
        if (done == 150) console.warn("one failed");
      }
    }
    return err.str();
  };
  const auto lines = shown(false, false);
  CHECK(lines.starts_with("50 of 200 devices, 10/s, 15 s left\n"));
  CHECK(contains(lines, "example: one failed\n"));
  CHECK(lines.ends_with("200 of 200 devices, 10/s\n"));
  CHECK(std::ranges::count(lines, '\n') == 5);
  const auto bar = shown(true, false);
  CHECK(bar.starts_with("[#.............................] 10/200 devices, 10/s, 19 s left"));
  CHECK(contains(bar, "\r\x1B[Kexample: one failed\n"));
  CHECK(bar.ends_with("] 200/200 devices, 10/s\n"));
  CHECK(shown(true, true) == "example: one failed\n");

  std::ostringstream err;
  Console quick(err, "example", false, [&] { return now; });
  quick.progress("keys", 0, 2);
  now += 900ms;
  quick.progress("keys", 2, 2);
  CHECK(err.str().empty());
}

TEST_CASE("what failed for many devices is one line: the reason, how many, the first of them") {
  std::ostringstream err;
  Console console(err, "example", false);
  {
    Grouped failures(console);
    for (int i = 1; i <= 8; ++i) {
      const auto id = "00-0" + std::to_string(i);
      failures.add(id, "no-kek", "device " + id + " has no usable KEK");
    }
    failures.add("00-11", "in-doubt", "device 00-11 is in doubt since 1");
    failures.add("00-12", "in-doubt", "device 00-12 is in doubt since 2");
    failures.add("00-13", "", "the disk is full");
    CHECK(failures.count() == 11);
    CHECK(err.str().empty());
  }
  CHECK(err.str() ==
        "example: 2 times (in-doubt): 00-11, 00-12, the first: device 00-11 is in doubt since 1\n"
        "example: 8 times (no-kek): 00-01, 00-02, 00-03, 00-04, 00-05 and 3 more: device … has no "
        "usable KEK\n"
        "example: 00-13: the disk is full\n");
}

TEST_CASE("JSON lines: an object each, no member twice, every complaint with its place") {
  const JsonObject object(R"({"id":"x","none":null,"n":7,"deep":{"id":[1,{"id":2}]},"yes":true})",
                          "f", 3);
  CHECK(object.text("id") == "x");
  CHECK(object.number("n") == 7);
  CHECK(object.is_null("none"));
  CHECK_FALSE(object.is_null("id"));
  CHECK_FALSE(object.has("reply"));
  CHECK(object.shown("n") == "7");
  CHECK(object.shown("yes") == "true");
  CHECK(object.shown("deep") == R"({"id":[1,{"id":2}]})");
  CHECK(object.shown("reply") == "-");

  const auto refused = [](std::string_view text) {
    return message_of<BadFile>([&] { (void)JsonObject(text, "f", 3); });
  };
  CHECK(refused(R"({"transfer_id":1,"reply":null,"reply":"C701"})") ==
        R"(f:3:37: the member "reply" is there a second time)");
  CHECK(refused(R"({"a":{"b":1,"b":2}})") == R"(f:3:15: the member "b" is there a second time)");
  CHECK(refused(R"({"a":{"b":1},"b":[{"b":2}]})").empty());
  CHECK(refused(R"({"n":1e999})") == "f:3:11: a number is out of range");
  for (const char* text : {"", "{", "[]", "[{}]", "7", "null", "\"x\"", "{} {}", "{\"a\":}",
                           "{\"a\":01}", "nonsense", "{\"a\":\"\xFF\"}"}) {
    CAPTURE(text);
    CHECK(contains(refused(text), "not a JSON object on one line"));
  }
  const auto why = [&](const auto& read) {
    return message_of<BadFile>([&] { (void)read(object); });
  };
  CHECK(why([](const JsonObject& o) { return o.text("n"); }) ==
        R"(f:3:23: the member "n" is missing, or not a string)");
  CHECK(contains(why([](const JsonObject& o) { return o.text("reply"); }), "f:3:1: "));
  CHECK(contains(why([](const JsonObject& o) { return o.number("id"); }),
                 "the member \"id\" is \"x\": a whole number from 0 to"));
  CHECK(
      contains(why([](const JsonObject& o) { return o.number("reply"); }), "\"reply\" is missing"));
  CHECK(contains(why([](const JsonObject& o) { return o.number("n", 8, 9); }),
                 "f:3:23: the member \"n\" is 7: a whole number from 8 to 9 is expected"));
  CHECK(contains(why([](const JsonObject& o) { return o.text("id", DeviceId::parse); }),
                 "f:3:2: the member \"id\" "));
  for (const char* number : {"1.5", "-1", "99999999999999999999", "1e3"})
    CHECK(contains(message_of<BadFile>([&] {
                     (void)JsonObject("{\"n\":" + std::string(number) + "}", "f", 1).number("n");
                   }),
                   ": a whole number from 0 to"));

  const test::Scratch scratch;
  const auto file =
      scratch.write("in", "\xEF\xBB\xBF{\"a\":\"1\"}\r\n\r\n{\"a\":\"2\"}\r\n\r\n").string();
  std::string all;
  for_each_json_line(file, [&](const JsonObject& each) { all += each.text("a"); });
  CHECK(all == "12");
  CHECK(contains(message_of<BadFile>([&] {
                   for_each_json_line(file, [](const JsonObject& each) {
                     if (each.text("a") == "2") throw BadInput("two");
                   });
                 }),
                 "in:3:1: two"));
}

TEST_CASE("durations and numbers") {
  using namespace std::chrono_literals;
  CHECK(parse_duration("3d") == 72h);
  CHECK(parse_duration("36h") == 36h);
  CHECK(parse_duration("90m") == 90min);
  for (const char* text : {"", "3", "d", "-3d", "3 d", "3s", "1.5h", "999999d"})
    CHECK(contains(message_of<BadInput>([&] { (void)parse_duration(text); }),
                   "is not a duration like 3d, 36h or 90m"));
  CHECK(parse_number("18446744073709551615") == UINT64_MAX);
  CHECK(contains(message_of<BadInput>([] { (void)parse_number("18446744073709551616"); }),
                 "is not a whole number from 0 on"));
}
