// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "pkcs11/error.hpp"
#include "pkcs11/uri.hpp"

namespace pkcs11 {

namespace {

constexpr std::size_t longest_pin = 4096;

/// A buffer that is wiped however its scope is left.
struct Scratch {
  std::array<std::uint8_t, longest_pin + 1> bytes{};
  std::size_t used = 0;
  ~Scratch() { wipe(bytes); }
};

struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) close(number);
  }
};

[[noreturn]] void unusable(const std::string& what) { throw TokenUnavailable(what); }

/// Reads to the end. One byte more than allowed shows that there is too much.
void read_all(int descriptor, Scratch& scratch, const std::string& source) {
  while (scratch.used < scratch.bytes.size()) {
    const ssize_t got =
        read(descriptor, scratch.bytes.data() + scratch.used, scratch.bytes.size() - scratch.used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) unusable(source + " can't be read: " + std::strerror(errno));
    if (got == 0) return;
    scratch.used += static_cast<std::size_t>(got);
  }
  unusable(source + " is longer than " + std::to_string(longest_pin) +
           " bytes: it should hold the PIN and nothing else");
}

/// A try with the wrong bytes may be the one that locks the token, so doubtful ones are not sent.
Secret accept(Scratch& scratch, const std::string& source) {
  std::size_t length = scratch.used;
  if (length > 0 && scratch.bytes[length - 1] == '\n') --length;
  if (length > 0 && length < scratch.used && scratch.bytes[length - 1] == '\r') --length;
  if (length == 0) unusable(source + " is empty: write the PIN into it");
  const std::span<std::uint8_t> pin(scratch.bytes.data(), length);
  if (std::find(pin.begin(), pin.end(), '\n') != pin.end())
    unusable(source + " has more than one line: it should hold the PIN and nothing else");
  return Secret(pin);
}

void check_owner(int descriptor, const std::string& path) {
  struct stat status {};
  const std::string source = "PIN file " + path;
  if (fstat(descriptor, &status) != 0) unusable(source + ": " + std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    unusable(source + " is not a regular file: write the PIN into a file of mode 0600");
  if (status.st_uid != geteuid() && status.st_uid != 0)
    unusable(source + " belongs to user " + std::to_string(status.st_uid) +
             ", who could change it; chown it to the user that runs this program");
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    unusable(source + " can be used by others than its owner; run: chmod 600 " + path);
}

Secret read_file(const std::string& path) {
  // The file that was opened is the one that is checked. O_NONBLOCK: a FIFO must not hold us up.
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
  if (file.number < 0) unusable("PIN file " + path + " can't be opened: " + std::strerror(errno));
  check_owner(file.number, path);
  Scratch scratch;
  read_all(file.number, scratch, "PIN file " + path);
  return accept(scratch, "PIN file " + path);
}

Secret read_descriptor(int number) {
  const std::string source = "PIN descriptor fd:" + std::to_string(number);
  (void)fcntl(number, F_SETFD, FD_CLOEXEC);  // no program that is started later inherits it
  Scratch scratch;
  read_all(number, scratch, source);
  return accept(scratch, source);
}

Secret ask(const Prompt& prompt, const std::string& token_label) {
  const std::string source = "the PIN of token \"" + token_label + "\"";
  if (!prompt) unusable(source + " has no source: add ?pin-source=file:/path to the token URI");
  Secret pin = prompt("PIN of token \"" + token_label + "\": ");
  if (pin.empty()) unusable(source + " was not given");
  return pin;
}

PinSource from_descriptor(const std::string& digits) {
  PinSource source;
  source.kind = PinSource::Kind::descriptor;
  const char* const end = digits.data() + digits.size();
  const auto [stopped, error] = std::from_chars(digits.data(), end, source.descriptor);
  if (error != std::errc{} || stopped != end || source.descriptor < 0)
    throw BadConfiguration("pin-source: fd:N needs the number of an open descriptor");
  return source;
}

PinSource from_path(std::string path, const std::string& base_directory) {
  if (path.empty())
    throw BadConfiguration(
        "pin-source is empty: write file:/path, fd:N, or leave it out to be asked");
  if (path.front() != '/' && !base_directory.empty()) path = base_directory + "/" + path;
  PinSource source;
  source.kind = PinSource::Kind::file;
  source.path = std::move(path);
  return source;
}

}  // namespace

/// RFC 7512 section 2.4 leaves the forms of pin-source to the implementation; its "|command" would
/// let a configuration file run programs, and is refused.
PinSource PinSource::parse(const std::optional<std::string>& pin_source,
                           const std::string& base_directory) {
  if (!pin_source) return {};
  const std::string& text = *pin_source;
  if (text.starts_with("fd:")) return from_descriptor(text.substr(3));
  if (text.starts_with("file:///")) return from_path(text.substr(7), base_directory);
  if (text.starts_with("file://"))
    throw BadConfiguration("pin-source: file://HOST is not on this machine; write file:/path");
  if (text.starts_with("file:")) return from_path(text.substr(5), base_directory);
  if (text.starts_with("|"))
    throw BadConfiguration("pin-source: commands are not run; write file:/path or fd:N");
  if (const std::size_t colon = text.find(':'); colon < text.find('/'))
    throw BadConfiguration("pin-source: unknown form \"" + text.substr(0, colon) +
                           ":\"; write file:/path or fd:N");
  return from_path(text, base_directory);
}

std::shared_ptr<const Secret> PinSource::read(const Prompt& prompt,
                                              const std::string& token_label) const {
  if (kind == Kind::file) return std::make_shared<const Secret>(read_file(path));
  if (kept->process != getpid())
    *kept = {std::make_shared<const Secret>(kind == Kind::descriptor ? read_descriptor(descriptor)
                                                                     : ask(prompt, token_label)),
             getpid()};
  return kept->pin;
}

}  // namespace pkcs11
