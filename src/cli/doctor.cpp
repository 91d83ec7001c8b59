#include "smets1kms/doctor.hpp"

#include <iostream>

#include "cli/commands.hpp"

namespace smets1kms::cli {

int doctor(const Invocation& invocation) {
  (void)parse(invocation, "doctor",
              "Checks configuration, p11-kit, module, token, login, mechanisms, registry, disk and clock, and says what to do about\nwhat it finds. Changes "
              "nothing; tries the PIN once.",
              {});
  ProgressLine line;
  const auto config = invocation.config();
  auto checks = diagnose(config, surroundings(line));
  checks.insert(checks.begin(), {Check::Verdict::ok, "configuration", config.file.string(), ""});
  bool failed = false, no_registry = false;
  Json json = Json::array();
  Table table({"", "WHAT", "FOUND"});
  for (const auto& check : checks) {
    failed = failed || check.verdict == Check::Verdict::failure;
    no_registry = no_registry || (check.subject == "registry" && check.verdict == Check::Verdict::failure);
    json.push_back({{"verdict", to_string(check.verdict)}, {"subject", check.subject}, {"finding", check.finding}, {"remedy", check.remedy}});
    table.add({std::string(to_string(check.verdict)), check.subject, check.finding + (check.remedy.empty() ? "" : "  -> " + check.remedy)});
  }
  if (invocation.json) {
    std::cout << Json{{"ok", !failed}, {"checks", json}}.dump() << '\n';
  } else {
    table.print();
    std::cout << "\nnext: " << (no_registry ? "smets1-kms init" : failed ? "mend what failed, then smets1-kms doctor" : "smets1-kms status") << '\n';
  }
  return failed ? 1 : 0;
}

}  // namespace smets1kms::cli
