// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "cli/commands.hpp"

namespace smets1kms::cli {

int compromise(const Invocation& invocation) {
  options::options_description own;
  add_key(own);
  own.add_options()("token",
                    "every key of every device that the token ever had, in the place of one key")(
      "suspicion", options::value<std::string>(), "what happened, in a sentence");
  add_authority(own);
  add_operation_id(own);
  const auto values = parse(invocation,
                            "compromise --device ID --role R --generation N|--token --suspicion "
                            "TEXT --requested-by ID --authorised-by ID --reference REF",
                            "Marks a key as suspected of compromise (a project rule; SP 800-57 "
                            "calls the state compromised). Of a KEK,\n"
                            "wrapping under it stops at once and every key ever wrapped under it "
                            "is marked too; of the token (--token) every\n"
                            "KEK and key that it ever had, device by device: an interrupted one "
                            "goes on at the next command. Then:\n"
                            "notify the SMKI PMA and the SSC (the record names them); rotate "
                            "--due, or with --reason suspected-compromise;\n"
                            "in the place of a KEK its manufacturer provides another, and the "
                            "import of its fleet file brings it. A suspected KEK is\n"
                            "a trusted object until it is destroyed ('destroy', once its own "
                            "transfer is settled): whoever knows it, and the\n"
                            "PIN, can learn what he wraps under it.",
                            own);
  const auto which = key_unless(values, values.count("token") != 0, "--token");
  const auto who = authority(values);
  const auto suspicion = needed(values, "suspicion");
  ProgressLine line;
  auto kms = KeyManager::open(invocation.config(), callbacks(line));
  if (!which) {
    const auto result = kms.compromise_token(suspicion, who, operation_id(values));
    if (invocation.json)
      std::cout << Json{{"operation_id", result.operation_id},
                        {"devices", result.devices},
                        {"keys", result.keys}}
                       .dump()
                << '\n';
    else
      std::cout << result.keys << " keys of " << result.devices << " devices marked (operation "
                << result.operation_id << ")\n";
    return 0;
  }
  const auto result = kms.compromise(*which, suspicion, who, operation_id(values));
  Json json = Json::array();
  Table table({"DEVICE", "ROLE", "GEN"});
  for (const auto& each : result.compromised) {
    json.push_back({{"device_id", each.device.to_string()},
                    {"role", to_string(each.role)},
                    {"generation", each.generation}});
    table.add({each.device.to_string(), std::string(to_string(each.role)),
               std::to_string(each.generation)});
  }
  if (invocation.json)
    std::cout << Json{{"compromised", json}}.dump() << '\n';
  else
    table.print();
  return 0;
}

}  // namespace smets1kms::cli
