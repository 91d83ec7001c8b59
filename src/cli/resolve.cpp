// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "cli/commands.hpp"

namespace smets1kms::cli {

int resolve(const Invocation& invocation) {
  options::options_description own;
  add_key(own);
  own.add_options()("holds", options::value<std::string>(),
                    "new: the device holds this key; old: it kept the one before")(
      "evidence", options::value<std::string>(),
      "how it was seen: which probe, which message it accepted");
  add_authority(own);
  add_operation_id(own);
  const auto values =
      parse(invocation,
            "resolve --device ID --role R --generation N --holds new|old --evidence TEXT "
            "--requested-by ID --authorised-by ID --reference REF",
            "Ends the doubt about a transfer without a good answer, by what a probe of the device "
            "showed (an\n"
            "association with the old key, or with the new one). Role by role: after a transfer of "
            "two keys the device\n"
            "may hold any of the four combinations. A KEK can't be probed: rotate the GAK instead.",
            own);
  const auto holds = needed(values, "holds");
  if (holds != "new" && holds != "old") throw Usage("--holds is new or old");
  const auto which = key(values);
  const auto who = authority(values);
  const auto evidence = needed(values, "evidence");
  ProgressLine line;
  auto kms = KeyManager::open(invocation.config(), callbacks(line));
  kms.resolve(which, holds == "new" ? ProbeResult::new_key : ProbeResult::old_key, evidence, who,
              operation_id(values));
  if (invocation.json)
    std::cout << Json{{"device_id", which.device.to_string()},
                      {"role", to_string(which.role)},
                      {"generation", which.generation},
                      {"holds", holds}}
                     .dump()
              << '\n';
  else
    std::cout << "resolved: " << which.device.to_string()
              << (holds == "new" ? " holds " : " does not hold ") << to_string(which.role) << " "
              << which.generation << '\n';
  return 0;
}

}  // namespace smets1kms::cli
