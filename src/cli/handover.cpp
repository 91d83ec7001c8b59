// SPDX-License-Identifier: Apache-2.0
#include "cli/selection.hpp"
#include "cli/transfer_file.hpp"
#include "command_line/input.hpp"

namespace smets1kms::cli {
namespace {

struct Received {
  std::size_t received = 0, repeated = 0, refused = 0, released = 0, released_before = 0;
};
const Fields<Received> received_fields(
    "smets1-kms-received-1", "What a file of receipts led to",
    {{"received", "keys that their targets have shown to hold", &Received::received},
     {"repeated", "receipts that were recorded before", &Received::repeated},
     {"refused", "receipts that were refused", &Received::refused},
     {"released", "transfers that they released", &Received::released},
     {"released_before", "transfers handed out again, that an earlier run released",
      &Received::released_before}});

/// Reads the whole file before anything is recorded: a bad line refuses it.
std::vector<Receipt> read_receipts(const std::string& file) {
  std::vector<Receipt> receipts;
  for_each_json_line(file, [&](const JsonObject& line) {
    const auto [device, role, generation] = key_of(line);
    receipts.push_back({.device = device,
                        .role = role,
                        .generation = generation,
                        .target = line.text("target"),
                        .proof = line.text("proof", from_hex)});
  });
  return receipts;
}

void receive(const Invocation& in) {
  const auto receipts = read_receipts(in.values.text("received"));
  auto kms = open_key_manager(in);
  TransferFile file(in, in.values.text("out"), {}, true);
  Grouped refused(in.console);
  Received done;
  auto receipt = receipts.begin();
  kms.record_receipts(
      [&] { return receipt == receipts.end() ? std::nullopt : std::optional(*receipt++); },
      [&](const ReceiptOutcome& outcome) {
        if (outcome.failure) {
          if (receipts.size() == 1) std::rethrow_exception(outcome.failure);
          const auto failure = failure_of(outcome.failure);
          return refused.add(outcome.receipt.device.to_string(), failure.reason, failure.text);
        }
        ++(outcome.repeated ? done.repeated : done.received);
        if (outcome.released) file.write({*outcome.released}, outcome.operation_id);
        // An earlier run released it, and may have died before it was in the file.
        const auto device = outcome.receipt.device;
        const auto number = outcome.released_before;
        if (in.values.has("out") && outcome.repeated && number != 0 && !file.has(device, number))
          file.write({kms.transfer(device, number)}, outcome.operation_id);
      });
  done.refused = refused.count();
  done.released_before = file.repeated();
  done.released = file.written() - file.repeated();
  if (!in.json || in.values.has("out"))
    show(in, received_fields, done, [&](std::ostream& out) {
      out << done.received << " receipts: " << done.released << " transfers released";
      if (done.released_before != 0) out << ", " << done.released_before << " handed out once more";
      if (done.repeated != 0) out << "; " << done.repeated << " receipts recorded before";
      if (done.refused != 0) out << "; " << done.refused << " refused";
      out << '\n';
    });
  refused.finish();
  if (refused.count() != 0)
    throw Unsuccessful(Exit::failed, "partly-failed",
                       counted(refused.count(), "receipt") + " of " +
                           std::to_string(receipts.size()) +
                           " refused: nothing is released for them");
}

void hand_out(const Invocation& in) {
  const auto& values = in.values;
  if (values.count({"device", "file", "all", "batch"}) != 1)
    throw Usage(
        "whose keys? --device EUI-64 (more than once for several), --file LIST, --all or --batch "
        "NAME: one of them, with --target NAME");
  HandoverSelection selection{.target = values.text("target"),
                              .devices = values.list("device", DeviceId::parse),
                              .batch = values.text("batch")};
  if (values.has("file")) selection.devices = read_devices(values.text("file"));
  auto kms = open_key_manager(in);
  const auto name = values.text("handover-out");
  HandoverFile file(in, name.empty() ? "-" : name, !name.empty());
  Grouped refused(in.console);
  file.complete(kms, selection, refused);
  file.finish();
  refused.finish();
  in.console.note(counted(file.written(), "key") +
                  " handed out once more; a key that was made before its target was admitted can't "
                  "be: 'rotate --missing-handover'");
  if (refused.count() != 0)
    throw Unsuccessful(Exit::failed, "partly-failed",
                       counted(refused.count(), "key") + " refused: not handed out");
}

void run_handover(const Invocation& in) {
  const auto& values = in.values;
  if (values.has("received") == (values.count({"device", "file", "all", "batch", "target"}) != 0))
    throw Usage("either --received FILE, or --target NAME with --device, --file, --all or --batch");
  if (values.has("received") ? values.has("handover-out") : values.has("out"))
    throw Usage("--out goes with --received (transfers), --handover-out with --target (keys)");
  if (values.has("received")) return receive(in);
  (void)values.needed("target");
  hand_out(in);
}

}  // namespace

Command handover() {
  return {
      "handover",
      "take the receipts of handover targets, or hand keys out to one once more",
      "--received FILE [--out FILE], or handover --target NAME "
      "--device ID|--file LIST|--all|--batch NAME [--handover-out FILE]",
      R"(
A handover target is a party that uses keys (a head end): 'enrol --handover' admits its certificate,
and 'rotate' wraps each new key for it as well (--handover-out). It opens them with its private key
and answers each with a receipt: a proof of the key over the challenge in the line, as 'prove' makes
it.
--received: a file of receipts, JSON lines with device_id, role, generation, target and proof (hex).
Each is checked in the token and recorded, and the wrapped key deleted. A transfer that was withheld
until then is released to --out (one that is there is gone on with). A wrong proof is refused and
recorded, and its transfer stays withheld.
--target: hands out once more what is stored and not received, the same bytes; recorded.)",
      {text("received", "FILE", "file of JSON lines: device_id, role, generation, target, proof"),
       text("out", "FILE",
            "file for the transfers that the receipts release, a line of JSON "
            "each; one that is there is gone on with"),
       text("target", "NAME", "the handover target"),
       repeated("device", "DEVICE", "EUI-64; may be repeated"),
       list_option("a list of devices: an EUI-64 a line, '#' begins a remark"),
       flag("all", "every device"), text("batch", "NAME", "the devices of this batch of rotations"),
       handover_out_option()},
      run_handover,
      {received_fields, transfer_fields(), handover_fields()}};
}

}  // namespace smets1kms::cli
