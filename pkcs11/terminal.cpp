// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/terminal.hpp"

#include <bsd/readpassphrase.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "pkcs11/error.hpp"

namespace pkcs11 {
namespace {

constexpr std::size_t longest_typed_pin = 256;

/// Scope in which a signal does not end the process: readpassphrase takes the one that interrupted
/// it for the end of the input, gives the terminal its echo back, and raises it again.
class IgnoredSignal {
 public:
  explicit IgnoredSignal(int number) : number_(number), before_(std::signal(number, SIG_IGN)) {}
  IgnoredSignal(const IgnoredSignal&) = delete;
  IgnoredSignal& operator=(const IgnoredSignal&) = delete;
  ~IgnoredSignal() { (void)std::signal(number_, before_); }

 private:
  int number_;
  void (*before_)(int);
};

struct Line {
  std::array<char, longest_typed_pin + 2> text{};
  [[nodiscard]] std::span<std::uint8_t> bytes(std::size_t size) {
    return {reinterpret_cast<std::uint8_t*>(text.data()), size};
  }
  ~Line() { wipe(bytes(text.size())); }
};

}  // namespace

Secret prompt_on_terminal(const std::string& what) {
  Line line;
  const IgnoredSignal interrupt(SIGINT), quit(SIGQUIT);
  const char* given =
      ::readpassphrase(what.c_str(), line.text.data(), line.text.size(), RPP_REQUIRE_TTY);
  if (given == nullptr && errno == ENOTTY)
    throw TokenUnavailable(
        "a PIN is needed and there is no terminal to ask on: name a file that holds it (the "
        "user's: ?pin-source=file:/path in the token URI; the security officer's: --so-pin-source "
        "file:/path)");
  const std::size_t length = given == nullptr ? 0 : std::strlen(given);
  if (length == 0) throw TokenUnavailable("no PIN was given");
  if (length > longest_typed_pin) throw TokenUnavailable("the PIN is longer than 256 bytes");
  return Secret(line.bytes(length));
}

}  // namespace pkcs11
