// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "cli/enrolment_options.hpp"

namespace smets1kms::cli {
namespace {

constexpr const char* text =
    "The security officer's ceremony, apart from the service that rotates keys (which never has "
    "his PIN). It\n"
    "  - makes, the first time, the RSA key under which manufacturers send transport keys (its "
    "public half goes to\n"
    "    --public-key) and the key under which new KEKs wait for him;\n"
    "  - with a fleet file, imports its devices: each KEK is unwrapped in the token and marked "
    "trusted;\n"
    "  - admits every KEK that a rotation has made since (as trusted; until then it wraps "
    "nothing).\n"
    "With --move, after a change of vault.keep, a fleet file brings the KEKs of known devices over "
    "to the other vault.\n"
    "Fresh device keys can be wrapped under trusted KEKs only, and a thief of the service's PIN "
    "can't make one.\n"
    "The officer's PIN: --so-pin-source file:PATH (mode 0600) or fd:N; without it, a prompt.";

}  // namespace

int enrol(const Invocation& invocation) {
  options::options_description own;
  add_fleet_file(own);
  own.add_options()("public-key",
                    options::value<std::string>()->default_value("transport-import.pem"),
                    "file for the import key's public half");
  add_authority(own);
  add_operation_id(own);
  const auto values =
      parse(invocation,
            "enrol [FLEET.csv --signature FILE --transport-key NAME=FILE … [--move]] "
            "--requested-by ID --authorised-by ID --reference REF [--so-pin-source SOURCE]",
            text, own, fleet_file_position());
  const auto who = authority(values);
  for (const char* name : {"signature", "transport-key", "move", "operation-id"})
    if (values.count("file") == 0 && values.count(name) != 0 && !values[name].defaulted())
      throw Usage(std::string("--") + name + " goes with a fleet file: enrol FLEET.csv");
  const auto file = values.count("file") != 0 ? std::optional(fleet_file(values)) : std::nullopt;
  ProgressLine line;
  const auto config = invocation.config();
  if (config.token.enrolment == EnrolmentMode::plain)
    throw BadInput(
        "this configuration has enrolment = \"plain\": there is no officer's ceremony; use 'init' "
        "and 'device import'");
  Enrolment ceremony(config, who, so_pin_source(values), callbacks(line));
  const auto key_file = values["public-key"].as<std::string>();
  write_public_key(key_file, ceremony.make_keys());
  write_audit_key(config);
  ImportResult imported;
  if (file) imported = ceremony.import_fleet(*file, operation_id(values));
  const auto admitted = ceremony.admit_waiting();
  for (const auto& failure : admitted.failures) remark(failure);
  for (const auto& kek : admitted.passed_over) remark(kek);
  if (invocation.json) {
    std::cout
        << Json{{"public_key_file", key_file},        {"imported", imported.imported},
                {"replaced", imported.replaced},      {"moved", imported.moved},
                {"not_moved", imported.not_moved},    {"already_known", imported.already_known},
                {"signer", imported.signer},          {"admitted", admitted.admitted},
                {"failed", admitted.failures.size()}, {"passed_over", admitted.passed_over.size()}}
               .dump()
        << '\n';
  } else {
    std::cout << "import key  " << key_file
              << "  (the manufacturer encrypts transport keys to it)\n";
    if (file) print_import(imported);
    std::cout << admitted.admitted << " new KEKs admitted\n";
  }
  return admitted.failures.empty() ? 0 : 1;
}

}  // namespace smets1kms::cli
