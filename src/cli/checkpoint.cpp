// SPDX-License-Identifier: Apache-2.0
#include "cli/enrolment_options.hpp"
#include "command_line/files.hpp"

namespace smets1kms::cli {
namespace {

struct CheckpointResult {
  std::string head, vkey;
  std::optional<TimestampedHead> stamped{};
};

const Fields<TimestampedHead> stamped_fields(
    {{"records", "how many the head covers", &TimestampedHead::records},
     {"time", "what the authority says", &TimestampedHead::time}});
const Fields<CheckpointResult> checkpoint_fields(
    "smets1-kms-checkpoint-1", "The head that 'checkpoint' signed",
    {{"head", "a C2SP tlog-checkpoint", &CheckpointResult::head},
     {"vkey", "the audit key as a C2SP signed-note verifier key", &CheckpointResult::vkey},
     nested("stamped", "with --timestamp-response: the head that is stamped", stamped_fields,
            &CheckpointResult::stamped)});

void run_checkpoint(const Invocation& in) {
  const auto given = [&](const char* name) { return in.values.has(name); };
  const bool new_key = given("new-key"), after_restore = given("after-restore");
  if (in.values.count(
          {"new-key", "after-restore", "timestamp-request", "timestamp-response", "vkey"}) > 1)
    throw Usage(
        "one of --new-key, --after-restore, --timestamp-request, --timestamp-response, --vkey");
  if (given("tsa") && !given("timestamp-response"))
    throw Usage("--tsa goes with --timestamp-response");
  const auto who = new_key || after_restore ? authority_of(in) : Authority{};
  const auto config = config_of(in);
  for (const char* file : {"new-key", "timestamp-request"})
    if (given(file) && std::filesystem::exists(in.values.text(file)))
      throw BadInput(in.values.text(file) + " exists: it is never overwritten; name another file");
  CheckpointResult result;
  if (!given("vkey")) {
    auto kms = after_restore ? KeyManager::open_restored(config, who, callbacks_of(in))
                             : KeyManager::open(config, callbacks_of(in));
    if (new_key) write_public_key(in.values.text("new-key"), kms.renew_audit_key(who));
    if (given("timestamp-response"))
      result.stamped =
          kms.add_timestamp(read_file(in.values.text("timestamp-response")),
                            given("tsa") ? read_file(in.values.text("tsa")) : std::string());
    else
      result.head = kms.checkpoint();
    if (given("timestamp-request"))
      write_new_file(in.values.text("timestamp-request"), kms.timestamp_request());
  }
  auto identity = audit_identity(config);
  if (result.head.empty()) result.head = std::move(identity.head);
  result.vkey = std::move(identity.vkey);
  show(in, checkpoint_fields, result, [&](std::ostream& out) {
    if (result.stamped)
      out << "the head of " << result.stamped->records << " records was stamped at "
          << result.stamped->time << '\n';
    else
      in.exact << (given("vkey") ? result.vkey + "\n" : result.head);
  });
}

}  // namespace

Command checkpoint() {
  return {
      "checkpoint",
      "sign and print the head of the audit trail; change its key; go on after a restore",
      "[--new-key FILE | --after-restore | --timestamp-request FILE | --timestamp-response FILE | "
      "--vkey] [--requested-by ID --authorised-by ID --reference REF]",
      R"(
Writes a sign of life and the map of every device's last record into the audit trail, signs its head
in the token, keeps it there too, and prints it (a C2SP tlog-checkpoint): give it to the assessor,
or keep it where the registry's owner can't change it. Run it from a timer, at least as often as
audit.heartbeat_hours says. A change of key, and going on after a restore, need two identities.

A time stamp of the site's own authority (RFC 3161) binds the head to a time, also against whoever
learns the PIN later: --timestamp-request writes a request for the head that it prints; the
authority answers it; --timestamp-response keeps the answer, in the registry and in every export,
where 'smets1-audit verify --tsa' checks it.)",
      joined({{text("new-key", "FILE",
                    "a new key signs from now on (one head is signed by both); its public half "
                    "goes to this new file"),
               flag("after-restore",
                    "the registry was restored from a backup on purpose, or the file of heads "
                    "is lost: record that and go on"),
               text("timestamp-request", "FILE",
                    "new file for a request (RFC 3161, DER) for a time stamp on the head"),
               text("timestamp-response", "FILE",
                    "the authority's answer to the last request (DER): compare and keep it; "
                    "no head is signed"),
               text("tsa", "FILE",
                    "with --timestamp-response: the authority's certificates (PEM), to check "
                    "the signature as well"),
               flag("vkey",
                    "print the audit key as a verifier key of C2SP signed notes, and sign "
                    "nothing")},
              authority_options()}),
      run_checkpoint,
      {checkpoint_fields}};
}

}  // namespace smets1kms::cli
