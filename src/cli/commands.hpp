// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/program_options.hpp>
#include <string>
#include <vector>

#include "cli/console.hpp"
#include "smets1kms/key_manager.hpp"

namespace smets1kms::cli {

namespace options = boost::program_options;

/// Wrong usage: exit code 2, with the command's help.
class Usage : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What every command is given.
struct Invocation {
  std::string config_file;
  bool json = false;
  std::vector<std::string> arguments;  ///< behind the command's name
  [[nodiscard]] Config config() const { return Config::load(config_file); }
};

/// A command: its name ("device import"), one line, and what runs it. The table is in commands.cpp.
struct Command {
  const char* name;
  const char* summary;
  int (*run)(const Invocation&);
};
[[nodiscard]] const std::vector<Command>& commands();

/// Parses a command's own arguments. `--help` prints usage, text and options and throws HelpShown.
struct HelpShown {};
[[nodiscard]] options::variables_map parse(
    const Invocation& invocation, const char* usage, const char* text,
    const options::options_description& own,
    const options::positional_options_description& positional = {});

/// --requested-by, --authorised-by, --reference: dual control.
void add_authority(options::options_description& own);
[[nodiscard]] Authority authority(const options::variables_map& values);
/// --device, --role, --generation: one key.
void add_key(options::options_description& own);
[[nodiscard]] KeyRef key(const options::variables_map& values);
/// The same, unless the option for `many` was given in its place: nullopt then. Throws Usage for
/// both, neither, and half of a key.
[[nodiscard]] std::optional<KeyRef> key_unless(const options::variables_map& values, bool many,
                                               const std::string& options_for_many);
/// --operation-id
void add_operation_id(options::options_description& own);
[[nodiscard]] std::string operation_id(const options::variables_map& values);
/// "3d", "36h", "90m". Throws Usage.
[[nodiscard]] std::chrono::milliseconds duration(const std::string& text);
/// An option that must be given.
[[nodiscard]] std::string needed(const options::variables_map& values, const char* name);
/// What `parse` makes of an option's text. Throws Usage, with the option's name, where it throws
/// BadInput.
template <class Parse>
[[nodiscard]] auto parsed(const char* name, const std::string& text, Parse&& parse) {
  try {
    return parse(text);
  } catch (const BadInput& error) {
    throw Usage(std::string("--") + name + ": " + error.what());
  }
}
/// The same for one that must be given.
template <class Parse>
[[nodiscard]] auto needed(const options::variables_map& values, const char* name, Parse&& parse) {
  return parsed(name, needed(values, name), parse);
}

/// Opens a file that must not exist yet, mode 0600, and writes lines of JSON; without a line it is
/// removed again. Throws BadInput.
class JsonLines {
 public:
  explicit JsonLines(const std::string& file);
  ~JsonLines();
  JsonLines(const JsonLines&) = delete;
  void write(const Json& json);

 private:
  std::string file_;
  std::FILE* out_;
  bool written_ = false;
};
/// Each line of a JSON lines file. Throws BadFile with the line, also for a BadInput of `visit`.
void read_json_lines(const std::string& file,
                     const std::function<void(const Json& json, std::size_t line)>& visit);
/// A member that must be a string. Throws BadFile.
[[nodiscard]] std::string member(const Json& json, const char* name, const std::string& file,
                                 std::size_t line);

int init(const Invocation&);
int enrol(const Invocation&);
int doctor(const Invocation&);
int device_import(const Invocation&);
int device_list(const Invocation&);
int device_show(const Invocation&);
int device_suspend(const Invocation&);
int device_resume(const Invocation&);
int device_decommission(const Invocation&);
int device_recommission(const Invocation&);
int due(const Invocation&);
int rotate(const Invocation&);
int confirm(const Invocation&);
int resolve(const Invocation&);
int retire(const Invocation&);
int destroy(const Invocation&);
int compromise(const Invocation&);
int status(const Invocation&);
int prove(const Invocation&);
int checkpoint(const Invocation&);
int vault_status(const Invocation&);
int vault_renew(const Invocation&);
int vault_reseal(const Invocation&);
int export_trail(const Invocation&);

}  // namespace smets1kms::cli
