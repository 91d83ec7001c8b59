// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "audit_cli/commands.hpp"

namespace smets1kms::audit_cli {

int prove(const Invocation& invocation) {
  options::options_description own;
  own.add_options()("device", options::value<std::string>(),
                    "the device, as 00-DB-12-34-56-78-90-A0")(
      "out", options::value<std::string>(),
      "file to write the bundle to (standard output without it)");
  const auto values = parse(invocation, "prove PATH --device ID [--out FILE]",
                            "Writes a bundle: the device's records, each with its proof under the "
                            "last signed head, and the proof that there are no\n"
                            "others up to the last device-head map. 'smets1-audit verify BUNDLE "
                            "--key audit.pem' checks it alone. Nothing is checked\n"
                            "here: whoever is given the bundle does that.",
                            own);
  const auto path = needed(values, "path", "PATH (an export or a database)");
  const auto device = device_of(needed(values, "device", "--device"));
  const auto bundle = audit::prove(*open_log(path), device);
  const auto text = bundle.format();
  if (values.count("out") == 0) {
    std::cout << text;
    return done;
  }
  const auto file = values["out"].as<std::string>();
  write_new(file, text);
  if (invocation.json)
    print_lines(Json{{"file", file},
                     {"records", bundle.records.size()},
                     {"complete_up_to", bundle.statement.index},
                     {"bytes", text.size()}});
  else
    std::cout << file << ": " << bundle.records.size() << " records, complete up to record "
              << bundle.statement.index << ", " << text.size() << " bytes\n";
  return done;
}

}  // namespace smets1kms::audit_cli
