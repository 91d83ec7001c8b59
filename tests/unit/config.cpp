// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/config.hpp"

#include <doctest/doctest.h>

#include "smets1kms/errors.hpp"
#include "support/expect.hpp"
#include "unit/scratch.hpp"

using namespace smets1kms;
using test::message_of;

namespace {

constexpr const char* least = R"(version = 1
[token]
module = "/m.so"
uri = "pkcs11:token=t"
[registry]
database = "r.db"
[import]
unsigned_files = "taken-for-testing"
)";

std::string changed(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), by);
}

}  // namespace

TEST_CASE("the configuration that is shipped loads, and says what it says") {
  const auto config = Config::load(SHIPPED_CONFIG);
  CHECK(config.token.module == "/usr/lib/softhsm/libsofthsm2.so");
  CHECK(config.token.uri == "pkcs11:token=smets1-demo?pin-source=file:token.pin");
  CHECK(config.token.init_reserved.empty());
  CHECK(config.token.sessions == 8);
  CHECK(config.token.enrolment == EnrolmentMode::officer);
  CHECK(config.token.environment.empty());
  CHECK(config.keep == VaultKind::token);
  CHECK(config.manufacturers == config.file.parent_path() / "manufacturers.pem");
  CHECK(config.file == std::filesystem::path(SHIPPED_CONFIG));
  CHECK(config.database == config.file.parent_path() / "registry.db");
  CHECK(config.models.size() == 3);
  CHECK(config.models.at("EXAMPLE-E1").activation == Activation::immediate);
  CHECK(config.models.at("EXAMPLE-E1").logical_name ==
        std::array<std::uint8_t, 6>{0, 0, 43, 0, 0, 255});
  CHECK(config.models.at("EXAMPLE-G1").logical_name ==
        std::array<std::uint8_t, 6>{0, 0, 43, 0, 1, 255});
  CHECK(config.models.at("EXAMPLE-N1").activation == Activation::next_association);
}

TEST_CASE("what is left out has its default; paths are relative to the file") {
  const test::Scratch scratch;
  const auto config = Config::load(scratch.write("kms.toml", least));
  CHECK(config.token.sessions == 8);
  CHECK(config.token.profile.empty());
  CHECK(config.token.enrolment == EnrolmentMode::officer);
  CHECK(config.manufacturers.empty());
  CHECK(config.models.empty());
  CHECK(config.database == scratch.path("r.db"));
  CHECK(Config::load(scratch.write("kms.toml", changed(least, "r.db", "/var/lib/kms/r.db")))
            .database == "/var/lib/kms/r.db");
  CHECK(Config::load(scratch.write("kms.toml", changed(least, "r.db", "sub/r.db"))).database ==
        scratch.path("sub/r.db"));

  // The file named relatively: the same.
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(scratch.path(""));
  const auto relative = Config::load("kms.toml");
  std::filesystem::current_path(here);
  CHECK(relative.database == scratch.path("sub/r.db"));
}

TEST_CASE("every key has its effect") {
  const test::Scratch scratch;
  const auto config = Config::load(scratch.write("kms.toml", R"(version = 1
[token]
module = "softhsm2"
uri = "pkcs11:token=t"
init_reserved = "configdir='sql:x'"
profile = "luna"
enrolment = "plain"
sessions = 1024
[token.environment]
SOFTHSM2_CONF = "/etc/softhsm2.conf"
OTHER = "2"
[registry]
database = "r.db"
[import]
manufacturers = "certificates.pem"
[models."A B"]
logical_name = "1.2.3.4.5.6"
[models.N]
activation = "next-association"
)"));
  CHECK(config.token.init_reserved == "configdir='sql:x'");
  CHECK(config.token.profile == "luna");
  CHECK(config.token.sessions == 1024);
  CHECK(config.token.enrolment == EnrolmentMode::plain);
  CHECK(config.manufacturers == scratch.path("certificates.pem"));
  CHECK(config.token.environment == std::map<std::string, std::string>{
                                        {"SOFTHSM2_CONF", "/etc/softhsm2.conf"}, {"OTHER", "2"}});
  CHECK(config.models.at("A B").logical_name == std::array<std::uint8_t, 6>{1, 2, 3, 4, 5, 6});
  CHECK(config.models.at("A B").activation == Activation::immediate);
  CHECK(config.models.at("N").activation == Activation::next_association);
  CHECK(config.models.at("N").logical_name == std::array<std::uint8_t, 6>{0, 0, 43, 0, 0, 255});
}

TEST_CASE("what is wrong is named with its line and column") {
  const test::Scratch scratch;
  const auto with = [](const char* more) { return std::string(least).append(more); };
  struct {
    std::string text, place, says;
  } const bad[] = {
      // syntax
      {changed(least, "[token]", "[token"), "2:7", ""},
      {changed(least, "\"/m.so\"", "/m.so"), "3:10", ""},
      {changed(least, "database", "database = \"r.db\"\ndatabase"), "7:", "database"},
      {changed(least, "r.db\"", "r.db"), "6:", ""},
      {with("x = \"\xC3\"\n"), "9:", ""},
      // a key that is not known
      {changed(least, "[token]", "colour = 1\n[token]"), "2:1",
       "colour is not a key of this file; here: "},
      {changed(least, "uri", "pin = \"1234\"\nuri"), "4:1", "token.pin is not a key"},
      {changed(least, "uri", "Sessions = 4\nuri"), "4:1", "token.Sessions is not a key"},
      {with("  file = 1\n"), "9:3", "import.file is not a key"},
      {with("[modles.A]\n"), "9:", "modles is not a key"},
      {with("[models.A]\nlogical-name = \"0.0.43.0.0.255\"\n"), "10:1",
       "models.A.logical-name is not a key"},
      // another type
      {changed(least, "1", "\"1\""), "1:11", "version is not 1"},
      {changed(least, "\"/m.so\"", "7"), "3:10", "token.module is not a string"},
      {changed(least, "uri", "sessions = 8.0\nuri"), "4:12", "token.sessions is not an integer"},
      {changed(least, "uri", "sessions = \"8\"\nuri"), "4:12", "token.sessions is not an integer"},
      {changed(least, "uri", "init_reserved = [\"a\"]\nuri"), "4:17",
       "token.init_reserved is not a string"},
      {changed(least, "uri", "environment = \"A=1\"\nuri"), "4:15",
       "token.environment is not a table"},
      {changed(least, "uri", "environment = { A = 1 }\nuri"), "4:21",
       "token.environment.A is not a string"},
      {changed(least, "version = 1", "version = 1\nmodels = 3"), "2:10", "models is not a table"},
      {with("[models]\nA = \"immediate\"\n"), "10:5", "models.A is not a table"},
      {with("[models.A]\nactivation = true\n"), "10:14", "models.A.activation is not a string"},
      // out of range
      {changed(least, "1", "2"), "1:11", "version is not 1"},
      {changed(least, "1", "-1"), "1:11", "version is not 1"},
      {changed(least, "uri", "sessions = 1\nuri"), "4:12", "token.sessions is 1: from 2 to 1024"},
      {changed(least, "uri", "sessions = 1025\nuri"), "4:12", "token.sessions is 1025"},
      {changed(least, "uri", "sessions = 0\nuri"), "4:12", "token.sessions is 0"},
      {changed(least, "uri", "sessions = -9223372036854775808\nuri"), "4:12",
       "token.sessions is -9223372036854775808"},
      {with("[models.A]\nlogical_name = \"0.0.43.0.0.256\"\n"), "10:16",
       "models.A.logical_name: '0.0.43.0.0.256' is not a logical name"},
      {with("[models.A]\nactivation = \"soon\"\n"), "10:14",
       "models.A.activation: 'soon' is not a activation"},
      // missing or empty
      {changed(least, "version = 1", ""), "",
       "version = 1 is missing: the first line says which form"},
      {"", "", "version = 1 is missing: the first line says which form"},
      {changed(least, "module = \"/m.so\"", ""), "2:1", "token.module is missing"},
      {changed(least, "/m.so", ""), "", "token.module is empty"},
      {changed(least, "uri = \"pkcs11:token=t\"", ""), "2:1", "token.uri is missing"},
      {changed(least, "database = \"r.db\"", ""), "5:1", "registry.database is missing"},
      {changed(least, "uri", "enrolment = \"Plain\"\nuri"), "4:13",
       "token.enrolment: 'Plain' is not a way of enrolment: one of officer, plain"},
      {changed(least, "taken-for-testing", "yes"), "8:18",
       "import.unsigned_files: the only value is \"taken-for-testing\""},
      {with("manufacturers = \"m.pem\"\n"), "9:17", "import.manufacturers: either manufacturers"},
      {changed(least, "unsigned_files = \"taken-for-testing\"", ""), "7:1",
       "import.manufacturers: either manufacturers"},
      {changed(least, "[import]\nunsigned_files = \"taken-for-testing\"\n", ""), "",
       "import.manufacturers: either manufacturers"},
      {"version = 1\n", "", "token.module is missing"},
      {changed(least, "[registry]\ndatabase = \"r.db\"\n", ""), "", "registry.database is missing"},
  };
  const auto file = scratch.path("kms.toml");
  for (const auto& [text, place, says] : bad) {
    CAPTURE(std::string(text));
    scratch.write("kms.toml", text);
    const auto message = message_of<BadFile>([&] { (void)Config::load(file); });
    CAPTURE(message);
    CHECK(message.starts_with(file.string() + ":" + place));
    CHECK(test::contains(message, says));
    try {
      (void)Config::load(file);
    } catch (const BadFile& error) {  // lines and columns count from 1
      CHECK(error.line() >= 1);
      CHECK(error.column() >= 1);
    }
  }
}

TEST_CASE("a file that is not there is no line's fault") {
  const auto message = message_of<BadInput>([] { (void)Config::load("/nowhere/kms.toml"); });
  CHECK(message.starts_with("/nowhere/kms.toml: can't be read"));
  CHECK(test::contains(message, "--config"));
}

TEST_CASE("where new keys go") {
  const test::Scratch scratch;
  const auto with = [&](const std::string& vault) {
    return scratch.write("kms.toml", least + std::string("[vault]\n") + vault + "\n");
  };
  CHECK(Config::load(scratch.write("kms.toml", least)).keep == VaultKind::token);
  CHECK(Config::load(with("keep = \"token\"")).keep == VaultKind::token);
  CHECK(Config::load(with("keep = \"sealed\"")).keep == VaultKind::sealed);
  for (const char* bad : {"keep = \"wrapped\"", "keep = 1", "keep = \"\"", "kept = \"token\""}) {
    CAPTURE(std::string(bad));
    CHECK_THROWS_AS((void)Config::load(with(bad)), BadFile);
  }
}
