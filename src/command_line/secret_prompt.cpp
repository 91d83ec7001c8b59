// SPDX-License-Identifier: Apache-2.0
#include "command_line/secret_prompt.hpp"

#include <bsd/readpassphrase.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "command_line/text.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::command_line {
namespace {

constexpr std::size_t longest_secret = 256;

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
  std::array<char, longest_secret + 2> text{};
  ~Line() { ::explicit_bzero(text.data(), text.size()); }
};

}  // namespace

Bytes ask_secret(const std::string& what) {
  Line line;
  const IgnoredSignal interrupt(SIGINT), quit(SIGQUIT);
  const char* given = ::readpassphrase(printable(what).c_str(), line.text.data(), line.text.size(),
                                       RPP_REQUIRE_TTY);
  if (given == nullptr && errno == ENOTTY)
    throw TokenUnavailable(
        "a PIN is needed and there is no terminal to ask on: name a file that holds it (the "
        "user's: ?pin-source=file:/path in the token URI; the security officer's: --so-pin-source "
        "file:/path)");
  const std::size_t length = given == nullptr ? 0 : std::strlen(given);
  if (length == 0) throw TokenUnavailable("no PIN was given");
  if (length > longest_secret) throw TokenUnavailable("the PIN is longer than 256 bytes");
  return {given, given + length};
}

}  // namespace smets1kms::command_line
