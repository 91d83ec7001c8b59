// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "pkcs11/error.hpp"
#include "pkcs11/uri.hpp"

namespace pkcs11 {

namespace {

/// /dev/tty without echo. Keys arrive one by one and raise no signal, so that no key leaves the
/// terminal as it is now: the destructor always runs.
class QuietTerminal {
 public:
  QuietTerminal() : descriptor_(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {
    if (descriptor_ < 0)
      throw TokenUnavailable(
          "a PIN is needed and there is no terminal to ask on: name a file that holds it (the "
          "user's: ?pin-source=file:/path in the token URI; the security "
          "officer's: --so-pin-source file:/path)");
    if (tcgetattr(descriptor_, &before_) != 0) give_up();
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ICANON | ISIG);
    quiet.c_cc[VMIN] = 1;
    quiet.c_cc[VTIME] = 0;
    if (tcsetattr(descriptor_, TCSAFLUSH, &quiet) != 0) give_up();
  }
  QuietTerminal(const QuietTerminal&) = delete;
  QuietTerminal& operator=(const QuietTerminal&) = delete;
  ~QuietTerminal() {
    say("\n");
    (void)tcsetattr(descriptor_, TCSAFLUSH, &before_);
    close(descriptor_);
  }

  void say(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t written = write(descriptor_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  /// The next byte; 4 (end of transmission) at the end.
  [[nodiscard]] std::uint8_t key() const {
    for (;;) {
      std::uint8_t byte = 0;
      const ssize_t got = read(descriptor_, &byte, 1);
      if (got == 1) return byte;
      if (got < 0 && errno == EINTR) continue;
      return 4;
    }
  }

 private:
  [[noreturn]] void give_up() const {
    close(descriptor_);
    throw TokenUnavailable(
        "the terminal can't be told to hide the PIN: use ?pin-source=file:/path in the token URI");
  }
  int descriptor_;
  termios before_{};
};

struct Line {
  std::array<std::uint8_t, 256> bytes{};
  std::size_t length = 0;
  ~Line() { wipe(bytes); }
};

}  // namespace

Secret prompt_on_terminal(const std::string& what) {
  enum : std::uint8_t {
    interrupt = 3,
    end = 4,
    backspace = 8,
    newline = '\n',
    enter = '\r',
    kill = 21,
    quit = 28,
    erase = 127
  };
  Line line;
  const QuietTerminal terminal;
  terminal.say(what);
  for (;;) {
    const std::uint8_t key = terminal.key();
    switch (key) {
      case newline:
      case enter: return Secret(std::span(line.bytes.data(), line.length));
      case interrupt:
      case end:
      case quit: throw TokenUnavailable("no PIN was given");
      case backspace:
      case erase:
        if (line.length > 0) --line.length;
        break;
      case kill: line.length = 0; break;
      default:
        if (line.length == line.bytes.size())
          throw TokenUnavailable("the PIN is longer than 256 bytes");
        line.bytes[line.length++] = key;
    }
  }
}

}  // namespace pkcs11
