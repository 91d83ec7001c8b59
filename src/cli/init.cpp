// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "cli/enrolment_options.hpp"

namespace smets1kms::cli {
namespace {

constexpr const char* text =
    "Makes the registry (the database that the configuration names) and, in the token, the RSA key "
    "pair under\n"
    "which manufacturers send their transport keys. The public half is written as PEM: give it to "
    "the\n"
    "manufacturer. A second pair signs the audit trail; its public half, audit.pem, is for "
    "assessors. The private\n"
    "halves never leave the token. Run again, it changes nothing; files that are there stay. The "
    "token must be\n"
    "initialised already (its label, its PINs): that is its vendor's tool.\n"
    "With enrolment = \"officer\" this is the security officer's (--so-pin-source, or a prompt); "
    "'enrol' does it too.";

}  // namespace

int init(const Invocation& invocation) {
  options::options_description own;
  add_authority(own);
  own.add_options()("public-key",
                    options::value<std::string>()->default_value("transport-import.pem"),
                    "file for the import key's public half")(
      "so-pin-source", options::value<std::string>(),
      "where the security officer's PIN comes from: file:PATH or fd:N");
  const auto values = parse(invocation,
                            "init --requested-by ID --authorised-by ID --reference REF "
                            "[--public-key FILE] [--so-pin-source SOURCE]",
                            text, own);
  const auto who = authority(values);
  ProgressLine line;
  const auto config = invocation.config();
  const auto pem = Enrolment(config, who, so_pin_source(values), callbacks(line)).make_keys();
  const auto file = values["public-key"].as<std::string>();
  write_public_key(file, pem);
  write_audit_key(config);
  if (invocation.json)
    std::cout << Json{{"registry", config.database.string()},
                      {"public_key_file", file},
                      {"public_key", pem}}
                     .dump()
              << '\n';
  else
    std::cout << "registry    " << config.database.string() << "\nimport key  " << file
              << "  (send it to the manufacturer)\n"
              << "audit key   audit.pem  (give it to your assessors: they verify the audit trail "
                 "with it)\n"
              << "next        smets1-kms device import FLEET.csv --signature FILE --transport-key "
                 "NAME=FILE …\n";
  return 0;
}

}  // namespace smets1kms::cli
