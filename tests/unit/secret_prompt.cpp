// SPDX-License-Identifier: Apache-2.0
#include "command_line/secret_prompt.hpp"

#include <doctest/doctest.h>
#include <pty.h>
#include <sched.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "support/expect.hpp"

namespace {

using test::contains;

struct Dialogue {
  std::string result;  ///< the PIN in angle brackets, or the message
  std::string shown;   ///< what the terminal was sent
  bool echo_restored = false;
};

[[noreturn]] void ask_and_tell(int descriptor) {
  std::string told;
  try {
    const auto pin = smets1kms::command_line::ask_secret("PIN: ");
    told = "<" + std::string(pin.begin(), pin.end()) + ">";
  } catch (const std::exception& error) {
    told = error.what();
  }
  _exit(write(descriptor, told.data(), told.size()) < 0 ? 1 : 0);
}

/// Waits until a process waits itself: nobody types ^C faster than a program begins to read.
void wait_until_asleep(pid_t process) {
  for (std::string word; word != "S"; sched_yield()) {
    std::ifstream stat("/proc/" + std::to_string(process) + "/stat");
    stat >> word >> word >> word;  // number, name, state
  }
}

/// ask_secret in a child that has a terminal of its own, and somebody who types `keys`.
Dialogue talk(const std::string& keys) {
  int result[2], terminal = -1;
  REQUIRE(pipe(result) == 0);
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  REQUIRE(child >= 0);
  if (child == 0) ask_and_tell(result[1]);
  close(result[1]);

  Dialogue dialogue;
  std::array<char, 256> some{};
  const auto listen = [&](int descriptor, std::string& into) {
    const ssize_t got = read(descriptor, some.data(), some.size());
    if (got > 0) into.append(some.data(), static_cast<std::size_t>(got));
    return got > 0;
  };
  while (!contains(dialogue.shown, "PIN: ") && listen(terminal, dialogue.shown)) {
  }
  wait_until_asleep(child);
  REQUIRE(write(terminal, keys.data(), keys.size()) == static_cast<ssize_t>(keys.size()));
  while (listen(result[0], dialogue.result)) {
  }
  while (listen(terminal, dialogue.shown)) {  // until the child has closed its side
  }
  termios now{};
  dialogue.echo_restored =
      tcgetattr(terminal, &now) == 0 && (now.c_lflag & ECHO) != 0 && (now.c_lflag & ICANON) != 0;
  waitpid(child, nullptr, 0);
  close(terminal);
  close(result[0]);
  return dialogue;
}

}  // namespace

TEST_CASE("a PIN is asked for on the terminal, which never shows it and gets its echo back") {
  const std::pair<std::string, const char*> dialogues[] = {
      {"1234\r", "<1234>"},
      {"1234\n", "<1234>"},
      {"12\x7F"
       "34\r",
       "<134>"},
      {"abc\x15"
       "1234\r",
       "<1234>"},
      {"1234\x03", "no PIN was given"},
      {"\x04", "no PIN was given"},
      {"1234" + std::string(300, '5') + "\r", "longer than 256 bytes"},
  };
  for (const auto& [keys, says] : dialogues) {
    const Dialogue dialogue = talk(keys);
    CAPTURE(dialogue.result);
    CHECK(contains(dialogue.result, says));
    CHECK(contains(dialogue.shown, "PIN: "));
    CHECK_FALSE(contains(dialogue.shown, "34"));
    CHECK(dialogue.echo_restored);
  }
}

TEST_CASE("without a terminal there is no prompt") {
  int result[2];
  REQUIRE(pipe(result) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    setsid();  // leaves the controlling terminal
    ask_and_tell(result[1]);
  }
  close(result[1]);
  std::array<char, 256> told{};
  const ssize_t got = read(result[0], told.data(), told.size());
  REQUIRE(got > 0);
  CHECK(contains({told.data(), static_cast<std::size_t>(got)}, "no terminal"));
  waitpid(child, nullptr, 0);
  close(result[0]);
}
