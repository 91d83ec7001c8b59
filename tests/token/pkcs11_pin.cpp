// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "token/pkcs11_support.hpp"

namespace {

std::string text_of(const Secret& secret) {
  return {secret.reveal().begin(), secret.reveal().end()};
}

std::string file_with(const std::string& content, mode_t mode = 0600) {
  const std::string path = TestToken::current().directory + "/pin-test";
  unlink(path.c_str());
  std::ofstream(path) << content;
  REQUIRE(chmod(path.c_str(), mode) == 0);
  return path;
}

Secret read_from(const std::string& pin_source) {
  const auto read = PinSource::parse(pin_source, "").read({}, "test");
  Bytes copy(read->reveal().begin(), read->reveal().end());
  return Secret(copy);
}

/// A descriptor from which `content` can be read once.
int pipe_with(const std::string& content) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  REQUIRE(write(ends[1], content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  close(ends[1]);
  return ends[0];
}

}  // namespace

TEST_CASE("forms of pin-source") {
  struct {
    const char* text;
    const char* path;
  } const files[] = {{"file:/etc/pin", "/etc/pin"},       {"/etc/pin", "/etc/pin"},
                     {"file:///etc/pin", "/etc/pin"},     {"user.pin", "/base/user.pin"},
                     {"file:user.pin", "/base/user.pin"}, {"dir/a:b", "/base/dir/a:b"}};
  for (const auto& row : files) {
    CAPTURE(row.text);
    const PinSource source = PinSource::parse(row.text, "/base");
    CHECK(source.kind == PinSource::Kind::file);
    CHECK(source.path == row.path);
  }
  CHECK(PinSource::parse("fd:3", "").descriptor == 3);
  CHECK(PinSource::parse(std::nullopt, "").kind == PinSource::Kind::prompt);
  for (const char* text : {"", "file:", "fd:", "fd:-1", "fd:x", "fd:3x", "|cat /etc/pin", "env:PIN",
                           "file://host/pin"}) {
    CAPTURE(text);
    CHECK_THROWS_AS((void)PinSource::parse(text, "/base"), BadConfiguration);
  }
}

TEST_CASE("a PIN file gives its one line") {
  const std::pair<std::string, std::string> contents[] = {
      {"1234", "1234"},
      {"1234\n", "1234"},
      {"1234\r\n", "1234"},
      {"user:pass word", "user:pass word"},
      {"\xC3\xA9t\xC3\xA9\n", "\xC3\xA9t\xC3\xA9"},
      {"\xEF\xBB\xBF"
       "1234\r\n",
       "1234"}};
  for (const auto& row : contents) {
    CAPTURE(row.first);
    CHECK(text_of(read_from("file:" + file_with(row.first))) == row.second);
  }
  CHECK(read_from(file_with(std::string(4096, 'x'), 0400)).size() == 4096);
}

TEST_CASE("a PIN file that is doubtful is refused, with the fix") {
  const std::pair<std::string, const char*> contents[] = {
      {"", "is empty"},
      {"\n", "is empty"},
      {"1234\n5678\n", "more than one line"},
      {"1234\n\n", "more than one line"},
      {"\xEF\xBB\xBF", "is empty"},
      {"12\t34\x1B", "a control character"},
      {std::string("\xFF\xFE"
                   "1\0",
                   4),
       "a control character"},
      {std::string(4097, 'x'), "longer than 4096"}};
  for (const auto& [content, says] : contents) {
    const std::string message =
        message_of<TokenUnavailable>([&, &text = content] { (void)read_from(file_with(text)); });
    CAPTURE(message);
    CHECK(contains(message, says));
    CHECK_FALSE(contains(message, "1234"));
  }
  for (const mode_t mode : {0604U, 0660U, 0650U, 0601U, 0777U}) {
    const std::string path = file_with("1234", mode);
    CHECK(contains(message_of<TokenUnavailable>([&] { (void)read_from(path); }),
                   "chmod 600 " + path));
  }
  const std::string& directory = TestToken::current().directory;
  CHECK(contains(message_of<TokenUnavailable>([&] { (void)read_from(directory); }),
                 "not a regular file"));
  CHECK(contains(message_of<TokenUnavailable>([&] { (void)read_from(directory + "/none"); }),
                 "No such file"));
}

TEST_CASE("a PIN file that a group can read" * doctest::skip(geteuid() != 0)) {
  const std::string path = file_with("1234", 0440);
  const gid_t ours = getegid(), foreign = 54321;
  const std::string alone = "group " + std::to_string(ours) + ", which is this process's alone";
  REQUIRE(chown(path.c_str(), 0, ours) == 0);
  CHECK(text_of(read_from(path)) == "1234");
  const auto warning = PinSource::parse(path, "").warning();
  CHECK(contains(warning, "PIN file " + path + " can be read by " + alone));
  CHECK(contains(warning, "pin-source=fd:N"));
  REQUIRE(chown(path.c_str(), 0, foreign) == 0);
  const auto refusal = message_of<TokenUnavailable>([&] { (void)read_from(path); });
  CHECK(contains(refusal, "can be used by others than its owner; run: chmod 600 " + path));
  CHECK(contains(refusal, "or hand the PIN over with pin-source=fd:N"));
  CHECK(PinSource::parse(path, "").warning().empty());
  unlink(path.c_str());
}

TEST_CASE("a FIFO in place of the PIN file does not hold us up") {
  const std::string path = TestToken::current().directory + "/pin-fifo";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  CHECK(
      contains(message_of<TokenUnavailable>([&] { (void)read_from(path); }), "not a regular file"));
  unlink(path.c_str());
}

TEST_CASE("a symlink is followed and the file behind it checked") {
  const std::string link = TestToken::current().directory + "/pin-link";
  const std::string path = file_with("1234");
  REQUIRE(symlink(path.c_str(), link.c_str()) == 0);
  CHECK(text_of(read_from(link)) == "1234");
  REQUIRE(chmod(path.c_str(), 0644) == 0);
  CHECK_THROWS_AS((void)read_from(link), TokenUnavailable);
  unlink(link.c_str());
}

TEST_CASE("a PIN file of another user is refused" * doctest::skip(geteuid() != 0)) {
  const std::string path = file_with("1234");
  REQUIRE(chown(path.c_str(), 65534, 65534) == 0);
  CHECK(contains(message_of<TokenUnavailable>([&] { (void)read_from(path); }),
                 "belongs to user 65534"));
  unlink(path.c_str());
}

TEST_CASE("a PIN from a descriptor") {
  const int good = pipe_with("1234\n");
  CHECK(text_of(read_from("fd:" + std::to_string(good))) == "1234");
  CHECK(
      contains(message_of<TokenUnavailable>([&] { (void)read_from("fd:" + std::to_string(good)); }),
               "is empty"));
  close(good);
  CHECK(
      contains(message_of<TokenUnavailable>([&] { (void)read_from("fd:" + std::to_string(good)); }),
               "can't be read"));
}

TEST_CASE("a PIN from the prompt, which is told the token's name") {
  std::string asked;
  const PinSource source = PinSource::parse(std::nullopt, "");
  const Prompt invoke = [&](const std::string& what) {
    asked = what;
    return TestToken::secret("1234");
  };
  CHECK(text_of(*source.read(invoke, "test")) == "1234");
  const PinSource copy = source;
  CHECK(text_of(*copy.read({}, "test")) == "1234");  // nobody is asked twice
  copy.forget();
  CHECK(asked == "PIN of token \"test\": ");
  CHECK_THROWS_AS((void)source.read([](const std::string&) { return Secret(); }, "test"),
                  TokenUnavailable);
  CHECK(contains(message_of<TokenUnavailable>([&] { (void)source.read({}, "test"); }),
                 "pin-source=file:"));
}

TEST_CASE("a secret wipes its source, moves and does not copy") {
  Bytes bytes{1, 2, 3};
  Secret first(bytes);
  CHECK(bytes == Bytes{0, 0, 0});
  Secret second = std::move(first);
  CHECK(first.empty());  // NOLINT(bugprone-use-after-move): that it is empty is what is checked
  CHECK(second.size() == 3);
  CHECK(second.reveal()[2] == 3);
  first = std::move(second);
  CHECK(first.size() == 3);
  CHECK(second.empty());  // NOLINT(bugprone-use-after-move)
  CHECK(Secret().reveal().empty());
  static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);
}
