// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/doctor.hpp"

#include <iostream>

#include "cli/commands.hpp"

namespace smets1kms::cli {

int doctor(const Invocation& invocation) {
  (void)parse(invocation, "doctor",
              "Checks configuration, PIN source, module, p11-kit, profile, token, login, "
              "mechanisms, protections, registry, disk and\nclock, and says what to "
              "do about what it finds. Changes nothing; tries the PIN once, and holds "
              "the\nregistry's lock for a moment, as a writer does.",
              {});
  ProgressLine line;
  const auto diagnosis = diagnose(invocation.config(), callbacks(line));
  Json json = Json::array();
  Table table({"", "WHAT", "FOUND"});
  for (const auto& check : diagnosis.checks) {
    json.push_back({{"verdict", to_string(check.verdict)},
                    {"subject", check.subject},
                    {"finding", check.finding},
                    {"remedy", check.remedy}});
    table.add({std::string(to_string(check.verdict)), check.subject,
               check.finding + (check.remedy.empty() ? "" : "  -> " + check.remedy)});
  }
  if (invocation.json) {
    std::cout
        << Json{{"ok", !diagnosis.failed()}, {"checks", json}, {"next", diagnosis.next}}.dump()
        << '\n';
  } else {
    table.print();
    std::cout << "\nnext: " << diagnosis.next << '\n';
  }
  return diagnosis.failed() ? 1 : 0;
}

}  // namespace smets1kms::cli
