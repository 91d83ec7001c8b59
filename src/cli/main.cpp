// SPDX-License-Identifier: Apache-2.0
#include <sys/prctl.h>
#include <sys/resource.h>

#include <iostream>

#include "cli/commands.hpp"
#include "smets1kms/version.hpp"

namespace {

using namespace smets1kms;
using namespace smets1kms::cli;

enum Exit { done = 0, refused = 1, wrong_usage = 2, token_unavailable = 3 };

void print_help() {
  std::cout << "smets1-kms " << smets1kms::version()
            << ": the keys of SMETS1 DLMS devices, made and kept in a PKCS#11 token\n\n"
               "usage: smets1-kms [--config kms.toml] [--json] COMMAND [OPTIONS]\n\n";
  for (const auto& command : commands())
    std::cout << "  " << command.name << std::string(22 - std::string(command.name).size(), ' ')
              << command.summary << '\n';
  std::cout
      << "\nEach command has --help. A first rotation: init, device import, rotate, confirm.\n"
         "Exit: 0 done; 1 refused or failed; 2 wrong usage; 3 token unavailable.\n";
}

/// Splits what stands before the command from the command and its own arguments.
const Command* find_command(std::vector<std::string> words, Invocation& invocation) {
  invocation.config_file = "kms.toml";
  std::size_t i = 0;
  for (; i < words.size() && words[i].starts_with("-"); ++i) {
    if (words[i] == "--json")
      invocation.json = true;
    else if (words[i] == "--config" && i + 1 < words.size())
      invocation.config_file = words[++i];
    else if (words[i] == "--help" || words[i] == "-h")
      return nullptr;
    else
      throw Usage(words[i] +
                  " is not an option; before the command: --config FILE, --json, --help");
  }
  if (i == words.size()) throw Usage("no command is given; 'smets1-kms --help' lists them");
  for (const auto& command : commands()) {
    const std::string name = command.name;
    const bool two_words = name.find(' ') != std::string::npos;
    if (name != words[i] + (two_words && i + 1 < words.size() ? " " + words[i + 1] : "")) continue;
    for (std::size_t rest = i + (two_words ? 2 : 1); rest < words.size(); ++rest) {
      if (words[rest] == "--json")
        invocation.json = true;  // behind the command too
      else
        invocation.arguments.push_back(words[rest]);
    }
    return &command;
  }
  throw Usage("'" + words[i] + "' is not a command; 'smets1-kms --help' lists them");
}

int run(int count, char** arguments) {
  Invocation invocation;
  const Command* command = find_command({arguments + 1, arguments + count}, invocation);
  if (command == nullptr) {
    print_help();
    return done;
  }
  return command->run(invocation);
}

int fail(Exit code, const std::string& what) {
  remark(what);
  return code;
}

}  // namespace

int main(int count, char** arguments) {
  // No PIN in a core file, and no other process of this user attaches to read one.
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::prctl(PR_SET_DUMPABLE, 0);
  try {
    const int code = run(count, arguments);
    return std::cout.flush() || code != done
               ? code
               : fail(refused,
                      "standard output can't be written: what was done is recorded ('device "
                      "show'), what was to be shown is lost");
  } catch (const HelpShown&) {
    return done;
  } catch (const Usage& error) {
    return fail(wrong_usage, error.what());
  } catch (const TokenUnavailable& error) {
    return fail(token_unavailable, error.what());
  } catch (const std::exception& error) {
    return fail(refused, error.what());
  }
}
