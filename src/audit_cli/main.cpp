// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "audit/verdict.hpp"
#include "audit_cli/commands.hpp"
#include "registry/sqlite.hpp"
#include "smets1kms/errors.hpp"
#include "smets1kms/version.hpp"

namespace {

using namespace smets1kms;
using namespace smets1kms::audit_cli;

void print_help() {
  std::cout << "smets1-audit " << smets1kms::version()
            << ": checks the audit trail of smets1-kms. Needs no token and no trust in its host\n\n"
               "usage: smets1-audit [--json] COMMAND [OPTIONS]\n\n";
  for (const auto& command : commands())
    std::cout << "  " << command.name << std::string(10 - std::string(command.name).size(), ' ')
              << command.summary << '\n';
  std::cout << "\nEach command has --help. A first visit: get the public audit key from the "
               "token's owner, by another way than\n"
               "the log, compare its fingerprint, then 'smets1-audit verify DIR --key audit.pem "
               "--keep-head head.note'; on each\n"
               "later visit '--since head.note --keep-head' and a new name.\n"
               "Exit: 0 verified, done; 1 refused; 2 wrong usage; 4 FAILED; 5 INCONCLUSIVE.\n";
}

int run(int count, char** arguments) {
  Invocation invocation;
  const Command* command = nullptr;
  for (const std::string& word : std::vector<std::string>(arguments + 1, arguments + count)) {
    if (word == "--json" && (command == nullptr || !command->writes_json)) {
      invocation.json = true;
    } else if (command != nullptr) {
      invocation.arguments.push_back(word);
    } else if (word == "--help" || word == "-h") {
      print_help();
      return done;
    } else {
      for (const auto& each : commands())
        if (word == each.name) command = &each;
      if (command == nullptr)
        throw Usage("'" + word + "' is not a command; 'smets1-audit --help' lists them");
    }
  }
  if (command == nullptr) throw Usage("no command is given; 'smets1-audit --help' lists them");
  return command->run(invocation);
}

int fail(Exit code, const std::string& what) {
  std::cerr << "smets1-audit: " << what << '\n';
  return code;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const int code = run(count, arguments);
    return std::cout.flush() || code != done ? code
                                             : fail(refused, "standard output can't be written");
  } catch (const HelpShown&) {
    return done;
  } catch (const Usage& error) {
    return fail(wrong_usage, error.what());
  } catch (const audit::VerificationFailed& error) {
    return fail(failed, std::string("FAILED: ") + error.what());
  } catch (const sqlite::Damaged& error) {
    return fail(failed, std::string("FAILED: the database is damaged: ") + error.what());
  } catch (const audit::VerificationInconclusive& error) {
    return fail(inconclusive, std::string("INCONCLUSIVE: missing: ") + error.what());
  } catch (const std::exception& error) {
    return fail(refused, error.what());
  }
}
