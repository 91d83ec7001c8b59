// SPDX-License-Identifier: Apache-2.0
/// @file
/// The shell that smets1-kms and smets1-audit share. A command is one file that returns a Command;
/// a program is a table of them.
#pragma once
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "base/fields.hpp"
#include "command_line/console.hpp"
#include "command_line/errors.hpp"
#include "command_line/options.hpp"

namespace smets1kms::command_line {

/// Input and outputs of a command.
struct Invocation {
  Values values;
  bool json;
  std::ostream& out;    ///< results for people: control characters are escaped
  std::ostream& exact;  ///< bytes as they are: JSON, a signed head
  Console& console;
  /// Returns the configuration's file: --config, $SMETS1_KMS_CONFIG, kms.toml here, or that of the
  /// host. Throws BadInput where there is none, or it is a directory.
  [[nodiscard]] std::filesystem::path config_file() const;
};

struct Command {
  const char* name;     ///< "device import"
  const char* summary;  ///< the line in the list of commands
  const char* usage;    ///< the text behind the name
  const char* help;
  Options options;
  std::function<void(const Invocation&)> run;  ///< returns when it is done; throws otherwise
  std::vector<std::reference_wrapper<const Shape>> outputs{};  ///< the outputs of --json
};

struct Program {
  const char* name;
  const char* summary;
  const char* epilogue;  ///< the text at the end of --help
  bool has_config;       ///< takes --config
  std::vector<Command> commands;
  /// Function for the exceptions that only this program has; nullopt: the others.
  std::optional<Failure> (*failure_of)(const std::exception&) = nullptr;
};

struct Streams {
  std::ostream& out;
  std::ostream& err;
  bool err_is_terminal;
};
/// Runs the command that the words name and reports how it ended. Returns the exit code.
[[nodiscard]] int run(const Program& program, const std::vector<std::string>& words,
                      const Streams& streams);
/// Does the same with the arguments of `main`, on standard output and standard error.
[[nodiscard]] int run(const Program& program, int count, char** arguments);

/// Writes one output: JSON with --json, otherwise `people` is called to print it to
/// `invocation.out`.
template <class T, class People>
void show(const Invocation& invocation, const Fields<T>& fields, const T& value, People&& people) {
  if (!invocation.json) return void(people(invocation.out));
  write_line(invocation.exact, fields, value);
}

/// Prints the fields that have a heading, one a line, with it in front.
void print_facts(std::ostream& out, const std::vector<std::string>& headings,
                 const std::vector<std::string>& cells);
template <class T>
void print_facts(std::ostream& out, const Fields<T>& fields, const T& value) {
  print_facts(out, fields.headings(), fields.cells(value));
}

/// Prints items as a table.
template <class T, class Items>
void print_table(std::ostream& out, const Fields<T>& fields, const Items& items) {
  Table table(out, fields.headings());
  for (const T& each : items) table.add(fields.cells(each));
}

/// Writes many outputs of one kind: a line of JSON each, or a table for people.
template <class T>
class Rows {
 public:
  Rows(const Invocation& invocation, const Fields<T>& fields)
      : invocation_(invocation),
        fields_(fields),
        table_(invocation.out, invocation.json ? std::vector<std::string>() : fields.headings()) {}
  void add(const T& value) {
    show(invocation_, fields_, value, [&](std::ostream&) { table_.add(fields_.cells(value)); });
  }
  /// Writes the rows of the table that are held back, before something else is printed.
  void finish() {
    if (!invocation_.json) table_.finish();
  }

 private:
  const Invocation& invocation_;
  const Fields<T>& fields_;
  Table table_;
};

}  // namespace smets1kms::command_line
