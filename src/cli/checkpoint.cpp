// SPDX-License-Identifier: Apache-2.0
#include "cli/enrolment_options.hpp"

namespace smets1kms::cli {
namespace {

const Fields<std::string> checkpoint_fields("smets1-kms-checkpoint-1",
                                            "The head that 'checkpoint' signed",
                                            {{"head", "a C2SP tlog-checkpoint",
                                              [](const std::string& head) { return head; }}});

void run_checkpoint(const Invocation& in) {
  const bool new_key = in.values.has("new-key"), after_restore = in.values.has("after-restore");
  if (new_key && after_restore) throw Usage("either --new-key or --after-restore");
  const auto key_file = in.values.text("new-key");
  const auto who = new_key || after_restore ? authority_of(in) : Authority{};
  const auto config = config_of(in);
  if (new_key && std::filesystem::exists(key_file))
    throw BadInput(key_file + " exists: it is never overwritten; name another file");
  auto kms = after_restore ? KeyManager::open_restored(config, who, callbacks_of(in))
                           : KeyManager::open(config, callbacks_of(in));
  if (new_key) write_public_key(key_file, kms.renew_audit_key(who));
  const auto head = kms.checkpoint();
  show(in, checkpoint_fields, head, [&](std::ostream&) { in.exact << head; });
}

}  // namespace

Command checkpoint() {
  return {"checkpoint",
          "sign and print the head of the audit trail; change its key; go on after a restore",
          "[--new-key FILE | --after-restore] [--requested-by ID --authorised-by ID --reference "
          "REF]",
          R"(
Writes a sign of life and the map of every device's last record into the audit trail, signs its head
in the token, keeps it there too, and prints it (a C2SP tlog-checkpoint): give it to the assessor,
or keep it where the registry's owner can't change it. Run it from a timer, at least as often as
audit.heartbeat_hours says. A change of key, and going on after a restore, need two identities.)",
          joined({{text("new-key", "FILE",
                        "a new key signs from now on (one head is signed by both); its public half "
                        "goes to this new file"),
                   flag("after-restore",
                        "the registry was restored from a backup on purpose, or the file of heads "
                        "is lost: record that and go on")},
                  authority_options()}),
          run_checkpoint,
          {checkpoint_fields}};
}

}  // namespace smets1kms::cli
