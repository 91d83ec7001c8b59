// SPDX-License-Identifier: Apache-2.0
#include "command_line/command.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "command_line/text.hpp"
#include "smets1kms/version.hpp"

namespace smets1kms::command_line {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

constexpr const char* host_config = "/etc/smets1-kms/kms.toml";

Options global_options(bool has_config) {
  Options all;
  if (has_config)
    all.push_back(repeated("config,c", "FILE",
                           "the configuration; without it $SMETS1_KMS_CONFIG, kms.toml here, or "
                           "/etc/smets1-kms/kms.toml"));
  all.insert(all.end(),
             {flag("json", "results and errors as JSON"), flag("quiet", "no progress and no notes"),
              flag("verbose", "more of what goes on"), flag("help,h", "show this"),
              flag("version", "show the version")});
  return all;
}

/// Returns a text of several lines with a blank line before it.
std::string paragraph(const char* text) {
  return std::string(*text == '\n' ? "" : "\n") + text + "\n";
}

class Shell {
 public:
  Shell(const Program& program, const Streams& streams)
      : program_(program),
        streams_(streams),
        buffer_(streams.out.rdbuf()),
        out_(&buffer_),
        console_(streams.err, program.name, streams.err_is_terminal),
        globals_(global_options(program.has_config)),
        commands_(program.commands) {
    commands_.push_back({"help",
                         "show a command's usage and options",
                         "[COMMAND]",
                         "Shows what --help behind the command shows.",
                         {positional("command", "COMMAND", "its name"),
                          positional("second", "WORD", "the second word of its name")},
                         [this](const Invocation& in) { help(in); }});
    commands_.push_back(
        {"schema",
         "list the JSON outputs, or show the JSON Schema of one",
         "[NAME] [--directory DIR]",
         "Each output of --json names its schema and version in the member \"schema\". A new "
         "member keeps\n"
         "the version; one that goes, or changes its meaning, raises it.",
         {positional("name", "NAME", "the output, like the member \"schema\" names it"),
          text("directory", "DIR", "write all of them to files there")},
         [this](const Invocation& in) { schemas(in); }});
  }

  int run(const Arguments& arguments) {
    bool json = std::ranges::count(arguments, "--json") != 0;
    const Command* command = nullptr;
    try {
      start(arguments, command, json);
      if (!out_.flush())
        throw std::runtime_error(
            "standard output can't be written: what was done is recorded, what was to be shown is "
            "lost");
      return static_cast<int>(Exit::done);
    } catch (const std::exception& error) {
      const auto known = program_.failure_of != nullptr ? program_.failure_of(error) : std::nullopt;
      return report(known ? *known : failure_of(error), json,
                    dynamic_cast<const Unsuccessful*>(&error) != nullptr);
    }
  }

 private:
  void start(const Arguments& arguments, const Command*& command, bool& json) {
    Arguments before;
    std::size_t at = 0;
    // Global options are passed over, each with its value.
    const auto next_word = [&]() -> std::string {
      for (; at < arguments.size() && arguments[at].starts_with('-'); ++at) {
        before.push_back(arguments[at]);
        if (program_.has_config && (arguments[at] == "--config" || arguments[at] == "-c") &&
            at + 1 < arguments.size())
          before.push_back(arguments[++at]);
      }
      return at < arguments.size() ? arguments[at++] : std::string();
    };
    std::string name = next_word();
    if (is_group(name))
      if (const auto second = next_word(); !second.empty()) name += " " + second;
    command = find(name);

    auto values = parse(before, globals_);
    if (command != nullptr) {
      Options all = command->options;
      for (const auto& global : globals_)
        if (!is_own(*command, global))
          all.push_back(global);
        else if (std::string_view(global.name) == "json")
          json = values.take("json");
      auto own = parse({arguments.begin() + static_cast<std::ptrdiff_t>(at), arguments.end()}, all);
      if (own.has("help")) return print_help(*command);
      own.add(values);
      values = own;
    }
    if (values.has("version")) return void(out_ << program_.name << ' ' << version() << '\n');
    if (values.has("help")) return command != nullptr ? print_help(*command) : print_help(name);
    if (command == nullptr) refuse(name);
    console_.set(values.has("quiet"), values.has("verbose"));
    command->run({values, json, out_, streams_.out, console_});
  }

  /// True if a command has an option of its own under the name of a global one.
  static bool is_own(const Command& command, const Option& global) {
    return std::ranges::any_of(command.options, [&](const Option& own) {
      return std::string_view(own.name) == global.name;
    });
  }
  const Command* find(const std::string& name) const {
    const auto found = std::ranges::find(commands_, name, &Command::name);
    return found == commands_.end() ? nullptr : &*found;
  }
  bool is_group(const std::string& word) const {
    return !word.empty() && std::ranges::any_of(commands_, [&](const Command& command) {
      return std::string_view(command.name).starts_with(word + " ");
    });
  }
  [[noreturn]] void refuse(const std::string& name) const {
    const std::string help = std::string("; '") + program_.name + " --help' lists them";
    if (name.empty()) throw Usage("no command is given" + help);
    if (is_group(name)) {
      std::string names;
      for (const auto& command : commands_)
        if (std::string_view(command.name).starts_with(name + " "))
          names += (names.empty() ? "'" : ", '") + std::string(command.name) + "'";
      throw Usage("'" + name + "' is the first word of several commands: " + names);
    }
    Arguments names;
    for (const auto& command : commands_) {
      if (std::string_view(command.name).ends_with(" " + name)) names.assign(1, command.name);
      names.emplace_back(command.name);
      names.push_back(names.back().substr(0, names.back().find(' ')));
    }
    const auto by_last_word =
        std::ranges::find_if(names, [&](const auto& each) { return each.ends_with(" " + name); });
    const auto meant = by_last_word != names.end() ? *by_last_word : nearest(name, names);
    throw Usage("'" + name + "' is not a command" +
                (meant.empty() ? help : "; did you mean '" + meant + "'?"));
  }

  /// Prints the list of the commands that begin with a word; empty: of all.
  void print_help(const std::string& group) {
    if (!group.empty() && !is_group(group)) refuse(group);
    if (group.empty())
      out_ << program_.name << ' ' << version() << ": " << program_.summary << "\n\n";
    out_ << "usage: " << program_.name << ' ' << (group.empty() ? "COMMAND" : group) << " …\n\n";
    for (const auto& command : commands_) {
      const std::string name = command.name;
      if (group.empty() || name.starts_with(group + " "))
        out_ << "  " << name
             << std::string(std::max<std::size_t>(22, name.size() + 1) - name.size(), ' ')
             << command.summary << '\n';
    }
    print_options(out_, "With every command, in any place", globals_);
    if (group.empty()) out_ << paragraph(program_.epilogue);
  }
  void print_help(const Command& command) {
    out_ << "usage: " << usage_of(command) << '\n' << paragraph(command.help);
    auto others = globals_;
    std::erase_if(others, [&](const Option& global) { return is_own(command, global); });
    print_options(out_, "Options", command.options);
    print_options(out_, "With every command, in any place", others);
  }
  std::string usage_of(const Command& command) const {
    return std::string(program_.name) + " " + command.name + (*command.usage == '\0' ? "" : " ") +
           command.usage;
  }
  void help(const Invocation& in) {
    const auto name =
        in.values.text("command") + (in.values.has("second") ? " " + in.values.text("second") : "");
    if (const auto* command = find(name); command != nullptr) return print_help(*command);
    print_help(name);
  }

  void schemas(const Invocation& in) {
    std::vector<const Shape*> all{&failure_fields()};
    for (const auto& command : commands_)
      for (const Shape& shape : command.outputs)
        if (std::ranges::find(all, &shape) == all.end()) all.push_back(&shape);
    const auto name = in.values.text("name");
    const auto found = std::ranges::find(all, name, [](const Shape* each) { return each->name; });
    if (in.values.has("name") && found == all.end())
      throw Usage("'" + name + "' is not an output of " + program_.name + "; '" + program_.name +
                  " schema' lists them");
    if (in.values.has("name") && in.values.has("directory"))
      throw Usage("--directory takes all of them: leave the name out");
    if (in.values.has("name")) return void(in.exact << schema_of(**found));
    if (in.values.has("directory")) return write_schemas(all, in.values.text("directory"));
    static const Fields<Shape> fields(
        "smets1-schema-1", "A JSON output of the program",
        {{"name", "as in the member \"schema\"", &Shape::name, "SCHEMA"},
         {"description", "what it is", &Shape::description, "WHAT IT IS OF"}});
    Rows rows(in, fields);
    for (const Shape* shape : all) rows.add(*shape);
  }
  void write_schemas(const std::vector<const Shape*>& all, const fs::path& directory) {
    std::error_code error;
    fs::create_directories(directory, error);
    if (error) throw BadInput(directory.string() + " can't be made: " + error.message());
    for (const Shape* shape : all) {
      const fs::path file = directory / (shape->name + ".json");
      std::ofstream to(file);
      to << schema_of(*shape);
      if (!to.flush()) throw BadInput(file.string() + " can't be written");
    }
    out_ << all.size() << " schemas in " << directory.string() << '\n';
  }

  int report(const Failure& failure, bool json, bool was_told) {
    if (json) {
      std::ostringstream line;
      write_json(line, failure_fields().object(failure));
      console_.line(line.str());
    } else if (!was_told) {
      const bool names_it = failure.operation_id.empty() ||
                            failure.text.find(failure.operation_id) != std::string::npos;
      console_.warn(failure.text + (names_it ? "" : " (operation " + failure.operation_id + ")"));
    }
    return static_cast<int>(failure.code);
  }

  const Program& program_;
  const Streams& streams_;
  PrintableBuffer buffer_;
  std::ostream out_;
  Console console_;
  Options globals_;
  std::vector<Command> commands_;
};

}  // namespace

fs::path Invocation::config_file() const {
  const char* from_environment = std::getenv("SMETS1_KMS_CONFIG");
  const bool is_set = from_environment != nullptr && *from_environment != '\0';
  fs::path file = values.has("config")     ? values.text("config")
                  : is_set                 ? from_environment
                  : fs::exists("kms.toml") ? "kms.toml"
                                           : host_config;
  if (fs::is_directory(file))
    throw BadInput(file.string() + " is a directory: name the file in it (" +
                   (file / "kms.toml").string() + "?)");
  if (!values.has("config") && !is_set && !fs::exists(file))
    throw BadInput(
        "./kms.toml: can't be read, and neither can " + file.string() +
        ": there is no configuration; name it with --config FILE or in $SMETS1_KMS_CONFIG");
  return file;
}

void print_facts(std::ostream& out, const std::vector<std::string>& headings,
                 const std::vector<std::string>& cells) {
  std::size_t width = 0;
  for (const auto& heading : headings) width = std::max(width, columns_of(heading));
  for (std::size_t i = 0; i < cells.size(); ++i)
    out << headings[i] << std::string(width - columns_of(headings[i]) + 2, ' ')
        << printable(cells[i]) << '\n';
}

int run(const Program& program, const Arguments& arguments, const Streams& streams) {
  return Shell(program, streams).run(arguments);
}

int run(const Program& program, int count, char** arguments) {
  return run(program, {arguments + 1, arguments + count},
             {std::cout, std::cerr, ::isatty(STDERR_FILENO) == 1});
}

}  // namespace smets1kms::command_line
