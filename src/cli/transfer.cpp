// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cli/transfer_file.hpp"
#include "command_line/text.hpp"

namespace smets1kms::cli {
namespace {

void run_transfer(const Invocation& in) {
  if (in.values.has("transfer") == in.values.has("batch"))
    throw Usage("either a transfer id, or --batch NAME");
  const auto which = in.values.optional("transfer", parse_transfer_id);
  auto kms = open_key_manager(in);
  TransferFile file(in, in.values.text("out"), {});
  Grouped refused(in.console);
  if (which) {
    const auto transfer = kms.transfer(which->first, which->second);
    const auto keys = kms.fleet().keys(transfer.device());
    const auto key = std::ranges::find(keys, transfer.number(), &Key::transfer);
    file.write({transfer}, key == keys.end() ? std::string() : key->operation);
  } else {
    file.complete(kms, in.values.text("batch"), refused);
  }
  refused.finish();
  in.console.note(counted(file.written(), "transfer") +
                  " handed out once more: send them only if it is certain that they were not sent");
  if (refused.count() != 0)
    throw Unsuccessful(
        Exit::failed, "partly-failed",
        counted(refused.count(), "device") + " refused: nothing of theirs is handed out");
}

}  // namespace

Command transfer() {
  return {"transfer",
          "hand out again transfers that were released and wait for their answer",
          "TRANSFER|--batch NAME [--out FILE]",
          R"(
For a caller that lost them: the same bytes again, only while a transfer is released without an
answer; recorded. Sending a GUEK or GBEK twice repeats GCM nonces: send them only if it is certain
that they were not sent; otherwise 'confirm --no-answer', and 'resolve'.)",
          {positional("transfer", "TRANSFER", "its id, like 00-DB-12-34-56-78-90-A0/1"),
           text("batch", "NAME", "every one of this batch of rotations"),
           text("out", "FILE", "new file for the transfers, a line of JSON each")},
          run_transfer,
          {transfer_fields()}};
}

}  // namespace smets1kms::cli
