// SPDX-License-Identifier: Apache-2.0
#include "cli/enrolment_options.hpp"
#include "command_line/files.hpp"

namespace smets1kms::cli {
namespace {

struct Exported {
  std::string directory, origin, key_file;
  ExportResult result;
};
const Fields<Exported> export_fields(
    "smets1-kms-export-1", "What 'export' wrote",
    {{"directory", "where it is", &Exported::directory},
     {"origin", "the log's name", &Exported::origin, "origin"},
     {"records", "how many there are now", [](const Exported& e) { return e.result.records; },
      "records",
      [](const Exported& e) {
        return std::to_string(e.result.records) + ", " + std::to_string(e.result.added) +
               " of them new";
      }},
     {"added", "how many this export added", [](const Exported& e) { return e.result.added; }},
     {"head", "the signed head over them, a C2SP tlog-checkpoint",
      [](const Exported& e) { return e.result.head; }},
     {"", "",
      [](const Exported& e) {
        return "smets1-audit verify " + e.directory + " --key " + e.key_file;
      },
      "next"}});

void run_export(const Invocation& in) {
  const auto directory = in.values.needed("directory");
  const auto config = config_of(in);
  const auto identity = audit_identity(config);
  const bool is_usual =
      std::filesystem::exists("audit.pem") && read_file("audit.pem") == identity.public_key;
  const Exported exported{directory, identity.origin,
                          in.values.has("key") ? in.values.text("key")
                          : is_usual           ? "audit.pem"
                                               : "KEY.pem, which 'export --key' writes",
                          export_audit_log(config, directory, callbacks_of(in).progress)};
  if (in.values.has("key")) write_public_key(exported.key_file, identity.public_key);
  show(in, export_fields, exported,
       [&](std::ostream& out) { print_facts(out, export_fields, exported); });
}

}  // namespace

Command export_trail() {
  return {"export",
          "give the audit trail to an assessor, as a directory that grows",
          "DIR [--key FILE]",
          R"(
Appends to DIR what the audit trail has gained, up to its last signed head: all that an assessor
needs, and no key, wrapped or clear. He checks it with 'smets1-audit verify DIR --key audit.pem', on
a machine without token. No token is needed here either. Run again, it adds what is new.)",
          {positional("directory", "DIR", "new, or an earlier export of this registry"),
           text("key", "FILE", "write the public audit key to this file as well")},
          run_export,
          {export_fields}};
}

}  // namespace smets1kms::cli
