// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/pin_source.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "base/text_reader.hpp"
#include "pkcs11/error.hpp"

namespace pkcs11 {

namespace {

constexpr std::size_t longest_pin = 4096;

/// A buffer that is wiped however its scope is left.
struct Scratch {
  std::array<std::uint8_t, longest_pin + 1> bytes{};
  ~Scratch() { wipe(bytes); }
};

[[noreturn]] void unusable(const std::string& what) { throw TokenUnavailable(what); }

/// Reads to the end. Refuses doubtful bytes: one try with a wrong PIN may lock the token.
Secret read_pin(int descriptor, const std::string& source) {
  Scratch scratch;  // one byte more than allowed shows that there is too much
  auto* bytes = reinterpret_cast<char*>(scratch.bytes.data());
  const auto used = smets1kms::read_some(descriptor, bytes, scratch.bytes.size(), source);
  if (used > longest_pin)
    unusable(source + " is longer than " + std::to_string(longest_pin) +
             " bytes: it should hold the PIN and nothing else");
  auto pin = smets1kms::without_mark({bytes, used});
  if (pin.ends_with('\n')) pin.remove_suffix(pin.ends_with("\r\n") ? 2 : 1);
  if (pin.empty()) unusable(source + " is empty: write the PIN into it");
  if (pin.find('\n') != std::string_view::npos)
    unusable(source + " has more than one line: it should hold the PIN and nothing else");
  if (smets1kms::find_control(pin) != std::string_view::npos)
    unusable(source + " has a control character in its line: write the PIN into it as UTF-8 text");
  return Secret(
      std::span(scratch.bytes).subspan(static_cast<std::size_t>(pin.data() - bytes), pin.size()));
}

/// True if no user but this process's is in the group, by its members and by the local accounts
/// with it as main group. False for a group from a directory service.
bool is_ours_alone(gid_t group) {
  std::array<gid_t, 1024> ours{};
  const int count = ::getgroups(static_cast<int>(ours.size()), ours.data());
  const auto* end = ours.data() + std::max(count, 0);
  if (group != ::getegid() && std::find(std::as_const(ours).data(), end, group) == end)
    return false;
  const smets1kms::Stream users(std::fopen("/etc/passwd", "re")),
      groups(std::fopen("/etc/group", "re"));
  std::array<char, 65536> text{};
  std::string name;
  passwd user{}, *found_user = nullptr;
  while (users && ::fgetpwent_r(users.get(), &user, text.data(), text.size(), &found_user) == 0) {
    if (user.pw_uid == ::geteuid()) name = user.pw_name;
    if (user.pw_gid == group && user.pw_uid != ::geteuid()) return false;
  }
  struct group entry {
  }, *found = nullptr;
  bool is_local = false;
  while (groups && ::fgetgrent_r(groups.get(), &entry, text.data(), text.size(), &found) == 0) {
    if (entry.gr_gid != group) continue;
    is_local = true;
    for (char** member = entry.gr_mem; *member != nullptr; ++member)
      if (*member != name) return false;
  }
  return is_local ||
         (::getgrgid_r(group, &entry, text.data(), text.size(), &found) == 0 && found == nullptr);
}

Secret read_pin_file(const std::string& path) {
  // The file that was opened is the one that is checked.
  const auto file = smets1kms::open_to_read(path, smets1kms::FileKind::regular);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw smets1kms::FileError(path, "can't be read", errno);
  const auto state = judge_pin_file(path, status);
  if (state.verdict == PinFileState::Verdict::refused)
    unusable("PIN file " + path + " " + state.what + "; run: " + state.remedy);
  return read_pin(file.get(), "PIN file " + path);
}

Secret read_descriptor(int number) {
  (void)::fcntl(number, F_SETFD, FD_CLOEXEC);  // no program that is started later inherits it
  return read_pin(number, "PIN descriptor fd:" + std::to_string(number));
}

Secret ask(const Prompt& prompt, const std::string& token_label) {
  const std::string source = "the PIN of token \"" + token_label + "\"";
  if (!prompt) unusable(source + " has no source: add ?pin-source=file:/path to the token URI");
  Secret pin = prompt("PIN of token \"" + token_label + "\": ");
  if (pin.empty()) unusable(source + " was not given");
  return pin;
}

PinSource from_descriptor(const std::string& digits) {
  PinSource source{.kind = PinSource::Kind::descriptor};
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
  return {.kind = PinSource::Kind::file, .path = std::move(path)};
}

}  // namespace

PinFileState judge_pin_file(const std::string& path, const struct stat& status) {
  using enum PinFileState::Verdict;
  const std::string instead = ", or hand the PIN over with pin-source=fd:N";
  if (status.st_uid != ::geteuid() && status.st_uid != 0)
    return {refused, "belongs to user " + std::to_string(status.st_uid) + ", who could change it",
            "chown it to the user that runs this program" + instead};
  const auto open_to = status.st_mode & (S_IRWXG | S_IRWXO);
  if (open_to == 0) return {good, "", ""};
  if (open_to == S_IRGRP && is_ours_alone(status.st_gid))
    return {
        shared,
        "can be read by group " + std::to_string(status.st_gid) + ", which is this process's alone",
        "chmod 600 " + path + instead};
  return {refused, "can be used by others than its owner", "chmod 600 " + path + instead};
}

/// Refuses "|command": RFC 7512 section 2.4 leaves the forms of pin-source to the implementation,
/// and this one would let a configuration file run programs.
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

std::string PinSource::warning() const {
  struct stat status {};
  if (kind != Kind::file || ::stat(path.c_str(), &status) != 0) return {};
  const auto state = judge_pin_file(path, status);
  if (state.verdict != PinFileState::Verdict::shared) return {};
  return "PIN file " + path + " " + state.what + "; better: " + state.remedy;
}

std::shared_ptr<const Secret> PinSource::read(const Prompt& prompt,
                                              const std::string& token_label) const {
  try {
    if (kind == Kind::file) return std::make_shared<const Secret>(read_pin_file(path));
    if (kept->process != ::getpid())
      *kept = {std::make_shared<const Secret>(kind == Kind::descriptor ? read_descriptor(descriptor)
                                                                       : ask(prompt, token_label)),
               ::getpid()};
    return kept->pin;
  } catch (const smets1kms::FileError& error) {
    unusable((kind == Kind::file ? "PIN file " : "") + std::string(error.what()));
  }
}

}  // namespace pkcs11
