// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

namespace smets1kms::cli {

const std::vector<Command>& commands() {
  static const std::vector<Command> all{
      {"init", "make the registry and the token's import key; run it once", init},
      {"enrol", "the security officer's ceremony: make its keys, bring KEKs in, admit new ones",
       enrol},
      {"doctor",
       "check configuration, token, PIN source, registry; run it first when something is wrong",
       doctor},
      {"device import", "bring devices with their KEKs from a manufacturer's fleet file",
       device_import},
      {"device list", "list the devices", device_list},
      {"device show", "show a device, its keys and its audit trail", device_show},
      {"device suspend", "record that a device is out of service for a time", device_suspend},
      {"device resume", "record that a suspended device is in service again", device_resume},
      {"device decommission", "record that a device was taken out of service for good",
       device_decommission},
      {"device recommission", "record that a decommissioned device is in service again",
       device_recommission},
      {"due", "what the policy asks for, by when, by which rule, and what it waits for", due},
      {"rotate", "make new keys in the token and release their transfers", rotate},
      {"confirm", "record what devices answered to transfers", confirm},
      {"resolve", "end a doubt: which key did a probe show the device to hold", resolve},
      {"retire", "deactivate keys that devices no longer use", retire},
      {"destroy", "destroy keys in the token and the registry", destroy},
      {"compromise", "mark a key, a KEK with all it wrapped, or the whole token as suspected",
       compromise},
      {"status", "how many devices and keys are in which state, what waits for a person", status},
      {"prove", "prove over challenges which key a device holds", prove},
      {"vault status", "the sealed vault: how many keys rest under which storage key",
       vault_status},
      {"vault renew", "new storage keys: new keys go under them", vault_renew},
      {"vault reseal", "wrap every key under an older storage key anew, then destroy that",
       vault_reseal},
      {"checkpoint",
       "sign and print the head of the audit trail; change its key; go on after a restore",
       checkpoint},
      {"export", "give the audit trail to an assessor, as a directory that grows", export_trail},
  };
  return all;
}

/// An option is written out: half of one must not start a fleet's rotation.
static constexpr int whole_words =
    options::command_line_style::default_style & ~options::command_line_style::allow_guessing;

options::variables_map parse(const Invocation& invocation, const char* usage, const char* text,
                             const options::options_description& own,
                             const options::positional_options_description& positional) {
  options::options_description all("Options");
  all.add(own);
  all.add_options()("help,h", "show this");
  options::variables_map values;
  try {
    options::store(options::command_line_parser(invocation.arguments)
                       .options(all)
                       .positional(positional)
                       .style(whole_words)
                       .run(),
                   values);
    if (values.count("help") != 0) {
      std::cout << "usage: smets1-kms [--config kms.toml] [--json] " << usage << "\n\n"
                << text << "\n\n"
                << all;
      throw HelpShown{};
    }
    options::notify(values);
  } catch (const options::error& error) {
    throw Usage(std::string(error.what()) + "\nusage: smets1-kms [--config kms.toml] [--json] " +
                usage + "\n(--help says more)");
  }
  return values;
}

std::string needed(const options::variables_map& values, const char* name) {
  if (values.count(name) == 0)
    throw Usage(std::string("--") + name + " is missing (--help says what it is)");
  return values[name].as<std::string>();
}

JsonLines::JsonLines(const std::string& file) : file_(file) {
  if (file == "-") {
    out_ = ::fdopen(::dup(STDOUT_FILENO), "w");
    return;
  }
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0)
    throw BadInput(file + ": " + std::strerror(errno) +
                   (errno == EEXIST ? ": it is never overwritten; name another file" : ""));
  out_ = ::fdopen(descriptor, "w");
}

JsonLines::~JsonLines() {
  std::fclose(out_);
  if (file_ != "-" && !written_)
    ::unlink(file_.c_str());  // it was made here, and would only be in the way of the next try
}

void JsonLines::write(const Json& json) {
  const std::string line = json.dump() + "\n";
  written_ = true;
  if (std::fwrite(line.data(), 1, line.size(), out_) != line.size() || std::fflush(out_) != 0)
    throw Error(file_ + ": can't be written (" + std::strerror(errno) +
                "). What was released stays in the registry: run the command again with the same "
                "--operation-id, or 'device show'");
}

void read_json_lines(const std::string& file,
                     const std::function<void(const Json& json, std::size_t line)>& visit) {
  std::ifstream in(file);
  if (!in) throw BadInput(file + ": can't be read");
  std::string text;
  for (std::size_t line = 1; std::getline(in, text); ++line) {
    if (text.empty()) continue;
    Json json;
    try {
      json = Json::parse(text);
    } catch (const Json::parse_error& error) {
      throw BadFile(file, line, error.byte, "not a JSON object on one line");
    }
    try {
      visit(json, line);
    } catch (const BadFile&) {
      throw;
    } catch (const BadInput& error) {
      throw BadFile(file, line, 1, error.what());
    }
  }
  if (in.bad()) throw BadInput(file + ": can't be read");
}

std::string member(const Json& json, const char* name, const std::string& file, std::size_t line) {
  if (!json.is_object() || !json.contains(name) || !json[name].is_string())
    throw BadFile(file, line, 1,
                  std::string("the member \"") + name + "\" is missing, or not a string");
  return json[name].get<std::string>();
}

}  // namespace smets1kms::cli
