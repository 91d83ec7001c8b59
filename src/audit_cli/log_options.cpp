// SPDX-License-Identifier: Apache-2.0
#include "audit_cli/log_options.hpp"

#include "audit/export.hpp"
#include "command_line/text.hpp"
#include "registry/database_log.hpp"

namespace smets1kms::audit_cli {

namespace fs = std::filesystem;

namespace {

/// Returns what `parse` makes of a file of at most 1 MiB. Throws BadInput.
template <class Parse>
auto parsed(const std::string& file, const char* what, Parse parse) {
  try {
    return parse(read_file(file, std::size_t{1} << 20, FileKind::prompt));
  } catch (const std::invalid_argument& error) {
    throw BadInput(file + what + error.what());
  }
}

/// Returns the first bytes of a regular file.
std::string begin_of(const fs::path& file) try {
  const auto opened = open_to_read(file, FileKind::regular);
  std::string begin(64, '\0');
  begin.resize(read_some(opened.get(), begin.data(), begin.size(), file));
  return begin;
} catch (const FileError& error) {
  throw BadInput(file.string() + " can't be read" +
                 (error.code() == 0 ? " (it is not a regular file)" : "") +
                 ": give an export (a directory), a registry's database or a bundle");
}

}  // namespace

std::unique_ptr<audit::Log> open_log(const fs::path& path) {
  if (fs::is_directory(path)) {
    // An export whose manifest is gone is still an export, and a damaged one.
    if (!fs::exists(path / "manifest") && !fs::exists(path / "records"))
      throw BadInput(path.string() +
                     " is not an export: there is no manifest in it, and no records");
    return std::make_unique<audit::ExportReader>(path);
  }
  const auto begin = begin_of(path);
  if (audit::is_bundle(begin))
    throw BadInput(path.string() +
                   " is one device's history: 'smets1-audit verify' takes it; this "
                   "command needs an export or a database");
  if (!begin.starts_with(std::string_view("SQLite format 3\0", 16)))
    throw BadInput(path.string() + " is neither an export, nor a database, nor a bundle");
  return std::make_unique<registry::DatabaseLog>(path);
}

std::optional<audit::Bundle> open_bundle(const fs::path& path) {
  if (fs::is_directory(path) || !audit::is_bundle(begin_of(path))) return std::nullopt;
  return audit::Bundle::parse(read_file(path, default_limit, FileKind::regular));
}

Options check_options() {
  return {repeated(
              "key", "FILE",
              "public audit key, PEM; of a log whose key was renewed, any one. From its owner, not "
              "from the log"),
          text("since", "FILE", "head kept from an earlier visit (a checkpoint)"),
          text("tsa", "FILE",
               "certificates (PEM) of the site's time-stamping authorities, or of who certified "
               "them: the time stamps on heads are checked, and have to be there"),
          text("origin", "NAME",
               "the log's name, if known; otherwise --since or the first head says it")};
}

audit::VerifyOptions checks_of(const Invocation& in) {
  audit::VerifyOptions checks;
  for (const auto& file : in.values.list("key"))
    checks.keys.push_back(parsed(file, ": ", audit::AuditKey::from_pem));
  if (in.values.has("since"))
    checks.since = parsed(in.values.text("since"),
                          " is not a checkpoint, such as --keep-head writes: ", audit::Note::parse);
  if (in.values.has("tsa"))
    checks.timestamps = parsed(in.values.text("tsa"), ": ", audit::TimestampTrust::from_pem);
  if (in.values.has("origin")) checks.origin = in.values.text("origin");
  checks.progress = [&in](const char* what, std::uint64_t done, std::uint64_t total) {
    in.console.progress(what, done, total);
  };
  return checks;
}

void print_exactly(const Invocation& in, const std::string& text) {
  if (printable(text, false) != text)
    throw audit::VerificationFailed("what was to be printed holds control characters");
  in.exact << text;
}

void end_with(audit::Verdict verdict, const std::string& why) {
  if (verdict == audit::Verdict::failed)
    throw Unsuccessful(Exit::not_verified, "not-verified", why);
  if (verdict == audit::Verdict::inconclusive)
    throw Unsuccessful(Exit::inconclusive, "inconclusive", why);
}

}  // namespace smets1kms::audit_cli
