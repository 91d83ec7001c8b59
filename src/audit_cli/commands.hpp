// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/program_options.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "audit/bundle.hpp"

/// The assessor's command. It reads; it needs no token, no configuration and no trust in the
/// service.
namespace smets1kms::audit_cli {

namespace options = boost::program_options;
using Json = nlohmann::ordered_json;
/// To standard output, indented; a name from outside that is not UTF-8 is shown with replacements.
void print_lines(const Json& json);

enum Exit { done = 0, refused = 1, wrong_usage = 2, failed = 4, inconclusive = 5 };

class Usage : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
struct HelpShown {};

struct Invocation {
  bool json = false;
  std::vector<std::string> arguments;  ///< behind the command's name
};

struct Command {
  const char* name;
  const char* summary;
  int (*run)(const Invocation&);
  bool writes_json = false;  ///< behind its name --json is its own option, with a file
};
[[nodiscard]] const std::vector<Command>& commands();

/// Parses a command's own arguments; the first without a name is PATH. `--help` prints usage, text
/// and options, and throws HelpShown.
[[nodiscard]] options::variables_map parse(const Invocation& invocation, const char* usage,
                                           const char* text,
                                           const options::options_description& own);
[[nodiscard]] std::string needed(const options::variables_map& values, const char* name,
                                 const char* what);

/// An export (directory) or a database (file). Throws audit::VerificationFailed where it is
/// damaged, std::runtime_error where it is something else.
[[nodiscard]] std::unique_ptr<audit::Log> open_log(const std::filesystem::path& path);
/// Nullopt where the file is no bundle. Throws audit::VerificationFailed.
[[nodiscard]] std::optional<audit::Bundle> open_bundle(const std::filesystem::path& path);
/// The whole of a file of at most 64 MiB. Throws std::runtime_error.
[[nodiscard]] std::string content_of(const std::filesystem::path& file);
/// --key, --since and --origin: what a log is checked against. Throws audit::VerificationFailed,
/// std::runtime_error.
void add_checks(options::options_description& own);
[[nodiscard]] audit::VerifyOptions checks_of(const options::variables_map& values);
[[nodiscard]] Exit exit_of(audit::Verdict verdict);
/// As std::ofstream, but never over a file that is there. Throws std::runtime_error.
void write_new(const std::string& file, const std::string& content);
/// "00-DB-12-34-56-78-90-A0", or 16 hex digits in any case. Throws Usage.
[[nodiscard]] std::uint64_t device_of(const std::string& text);

/// A line on standard error for what takes more than a second: drawn anew on a terminal, every five
/// seconds elsewhere.
class ProgressLine {
 public:
  ~ProgressLine();
  void show(const char* what, std::uint64_t done, std::uint64_t total);

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now(), last_ = begin_;
  bool drawn_ = false;
};

int verify(const Invocation&);
int prove(const Invocation&);
int show(const Invocation&);
int report(const Invocation&);

}  // namespace smets1kms::audit_cli
