// SPDX-License-Identifier: Apache-2.0
#include "audit_cli/commands.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>

#include "audit/export.hpp"
#include "audit/record_rules.hpp"
#include "registry/database_log.hpp"

namespace smets1kms::audit_cli {

namespace fs = std::filesystem;

const std::vector<Command>& commands() {
  static const std::vector<Command> all{
      {"verify", "check an export, a database or a device's bundle against a public audit key",
       verify},
      {"prove", "write a bundle that proves one device's whole history without the rest of the log",
       prove},
      {"report",
       "what the rules asked of each device, by when, and whether it was done: HTML, JSON, CSV",
       report, true},
      {"show", "read records, heads and what there is, without checking it", show},
  };
  return all;
}

options::variables_map parse(const Invocation& invocation, const char* usage, const char* text,
                             const options::options_description& own) {
  options::options_description all("Options");
  all.add(own);
  all.add_options()("help,h", "show this");
  options::options_description hidden;
  hidden.add(all).add_options()("path", options::value<std::string>());
  options::positional_options_description positional;
  positional.add("path", 1);
  options::variables_map values;
  try {
    options::store(options::command_line_parser(invocation.arguments)
                       .options(hidden)
                       .positional(positional)
                       .run(),
                   values);
    if (values.count("help") != 0) {
      std::cout << "usage: smets1-audit [--json] " << usage << "\n\n" << text << "\n\n" << all;
      throw HelpShown{};
    }
    options::notify(values);
  } catch (const options::error& error) {
    throw Usage(std::string(error.what()) + "\nusage: smets1-audit [--json] " + usage +
                "\n(--help says more)");
  }
  return values;
}

std::string needed(const options::variables_map& values, const char* name, const char* what) {
  if (values.count(name) == 0)
    throw Usage(std::string(what) + " is missing (--help says what it is)");
  return values[name].as<std::string>();
}

std::unique_ptr<audit::Log> open_log(const fs::path& path) {
  if (fs::is_directory(path)) {
    // One of whose manifest is gone is an export all the same, and a damaged one.
    if (!fs::exists(path / "manifest") && !fs::exists(path / "records"))
      throw std::runtime_error(path.string() +
                               " is not an export: there is no manifest in it, and no records");
    return std::make_unique<audit::ExportReader>(path);
  }
  std::array<char, 16> head{};
  std::ifstream in(path, std::ios::binary);
  if (!in)
    throw std::runtime_error(
        path.string() +
        " can't be read: give an export (a directory), a registry's database or a bundle");
  in.read(head.data(), head.size());
  if (std::string_view(head.data(), head.size()) != std::string_view("SQLite format 3\0", 16))
    throw std::runtime_error(path.string() + " is neither an export, nor a database, nor a bundle");
  return std::make_unique<registry::DatabaseLog>(path);
}

std::optional<audit::Bundle> open_bundle(const fs::path& path) {
  std::array<char, 64> head{};
  std::ifstream in(path, std::ios::binary);
  if (fs::is_directory(path) || !in.read(head.data(), head.size()) ||
      !audit::is_bundle({head.data(), head.size()}))
    return std::nullopt;
  return audit::Bundle::parse(content_of(path));
}

std::string content_of(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  std::ifstream in(file, std::ios::binary);
  if (error || !in) throw std::runtime_error(file.string() + " can't be read");
  if (size > std::uintmax_t{64} << 20)
    throw std::runtime_error(file.string() + " is longer than 64 MiB");
  std::string content(size, '\0');
  in.read(content.data(), static_cast<std::streamsize>(size));
  return content;
}

namespace {

audit::Note read_note(const std::string& file) {
  try {
    return audit::Note::parse(content_of(file));
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error(file +
                             " is not a checkpoint, such as --keep-head writes: " + error.what());
  }
}

audit::AuditKey read_key(const std::string& file) {
  try {
    return audit::AuditKey::from_pem(content_of(file));
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error(file + ": " + error.what());
  }
}

}  // namespace

void add_checks(options::options_description& own) {
  own.add_options()(
      "key", options::value<std::vector<std::string>>()->composing(),
      "public audit key, PEM; several where keys rolled over. From its owner, not from the log")(
      "since", options::value<std::string>(), "head kept from an earlier visit (a checkpoint)")(
      "origin", options::value<std::string>(),
      "the log's name, if known; otherwise --since or the first head says it");
}

audit::VerifyOptions checks_of(const options::variables_map& values) {
  audit::VerifyOptions checks;
  if (values.count("key") != 0)
    for (const auto& file : values["key"].as<std::vector<std::string>>())
      checks.keys.push_back(read_key(file));
  if (values.count("since") != 0) checks.since = read_note(values["since"].as<std::string>());
  if (values.count("origin") != 0) checks.origin = values["origin"].as<std::string>();
  return checks;
}

Exit exit_of(audit::Verdict verdict) {
  return verdict == audit::Verdict::verified ? done
         : verdict == audit::Verdict::failed ? failed
                                             : inconclusive;
}

void write_new(const std::string& file, const std::string& content) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  const bool written =
      descriptor >= 0 &&
      ::write(descriptor, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
      ::fsync(descriptor) == 0;
  const int error = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (!written)
    throw std::runtime_error(
        file + ": " + std::strerror(error) +
        (error == EEXIST ? ": it is never overwritten; name another file" : ""));
}

std::uint64_t device_of(const std::string& text) {
  std::string plain;
  for (const char c : text)
    if (c != '-' && c != ':')
      plain += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string spelt;
  for (std::size_t i = 0; i < plain.size(); ++i)
    spelt += (i != 0 && i % 2 == 0 ? "-" : "") + std::string(1, plain[i]);
  if (const auto device = audit::parse_device(spelt)) return *device;
  throw Usage("'" + text + "' is not a device: 16 hex digits, like 00-DB-12-34-56-78-90-A0");
}

void ProgressLine::show(const char* what, std::uint64_t done, std::uint64_t total) {
  using namespace std::chrono_literals;
  const auto now = std::chrono::steady_clock::now();
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  if (now - begin_ < 1s || now - last_ < (terminal ? 100ms : 5000ms)) return;
  last_ = now;
  const auto percent = total == 0 ? 0 : 100 * done / total;
  std::fprintf(stderr, terminal ? "\r%llu %s, %llu %% " : "%llu %s, %llu %%\n",
               static_cast<unsigned long long>(done), what,
               static_cast<unsigned long long>(percent));
  drawn_ = terminal;
}

ProgressLine::~ProgressLine() {
  if (drawn_) std::fputc('\n', stderr);
}

void print_lines(const Json& json) {
  std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

}  // namespace smets1kms::audit_cli
