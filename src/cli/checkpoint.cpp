// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "cli/enrolment_options.hpp"
#include "smets1kms/audit_log.hpp"

namespace smets1kms::cli {

int checkpoint(const Invocation& invocation) {
  options::options_description own;
  own.add_options()("new-key", options::value<std::string>()->value_name("FILE"),
                    "a new key signs from now on (one head is signed by both); its public half "
                    "goes to this new file")("after-restore",
                                             "the registry was restored from a backup on purpose, "
                                             "or the file of heads is lost: record that and go on");
  add_authority(own);
  const auto values = parse(invocation,
                            "checkpoint [--new-key FILE | --after-restore] [--requested-by ID "
                            "--authorised-by ID --reference REF]",
                            "Writes a sign of life and the map of every device's last record into "
                            "the audit trail, signs its head in the\n"
                            "token, keeps it there too, and prints it (a C2SP tlog-checkpoint): "
                            "give it to the assessor, or keep it where\n"
                            "the registry's owner can't change it. Run it from a timer, at least "
                            "as often as audit.heartbeat_hours says.\n"
                            "A change of key, and going on after a restore, need two identities.",
                            own);
  const bool new_key = values.count("new-key") != 0,
             after_restore = values.count("after-restore") != 0;
  if (new_key && after_restore) throw Usage("either --new-key or --after-restore");
  const auto config = invocation.config();
  const auto key_file = new_key ? values["new-key"].as<std::string>() : std::string();
  if (new_key && std::filesystem::exists(key_file))
    throw BadInput(key_file + " exists: it is never overwritten; name another file");
  ProgressLine line;
  auto kms = after_restore ? KeyManager::open_restored(config, authority(values), callbacks(line))
                           : KeyManager::open(config, callbacks(line));
  if (new_key) write_public_key(key_file, kms.renew_audit_key(authority(values)));
  const auto head = kms.checkpoint();
  if (invocation.json)
    std::cout << Json{{"head", head}}.dump() << '\n';
  else
    std::cout << head;
  return 0;
}

int export_trail(const Invocation& invocation) {
  options::options_description own;
  own.add_options()("directory", options::value<std::string>(),
                    "new, or an earlier export of this registry")(
      "key", options::value<std::string>()->value_name("FILE"),
      "write the public audit key to this file as well");
  options::positional_options_description positional;
  positional.add("directory", 1);
  const auto values =
      parse(invocation, "export DIR [--key FILE]",
            "Appends to DIR what the audit trail has gained, up to its last signed head: all that "
            "an assessor needs, and\n"
            "no key, wrapped or clear. He checks it with 'smets1-audit verify DIR --key "
            "audit.pem', on a machine without\n"
            "token. No token is needed here either. Run again, it adds what is new.",
            own, positional);
  ProgressLine line;
  const auto config = invocation.config();
  const auto directory = needed(values, "directory");
  const auto identity = audit_identity(config);
  const auto result =
      export_audit_log(config, directory, [&](const Progress& progress) { line.show(progress); });
  if (values.count("key") != 0)
    write_public_key(values["key"].as<std::string>(), identity.public_key);
  if (invocation.json)
    std::cout << Json{{"directory", directory},
                      {"origin", identity.origin},
                      {"records", result.records},
                      {"added", result.added},
                      {"head", result.head}}
                     .dump()
              << '\n';
  else
    std::cout << "origin      " << identity.origin << "\nrecords     " << result.records << ", "
              << result.added << " of them new\nnext        smets1-audit verify " << directory
              << " --key audit.pem\n";
  return 0;
}

}  // namespace smets1kms::cli
