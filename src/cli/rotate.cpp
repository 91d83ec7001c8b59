// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cli/selection.hpp"
#include "cli/transfer_file.hpp"

namespace smets1kms::cli {
namespace {

/// One run of a batch whose transfers went to a file.
struct Ran {
  BatchSummary summary;
  std::size_t released, released_before, withheld, handed, kept;
};
Ran ran_of(BatchSummary summary, const TransferFile& file, const HandoverFile* handovers) {
  return {std::move(summary),
          file.written(),
          file.repeated(),
          file.withheld(),
          handovers == nullptr ? 0 : handovers->written(),
          file.kept_for_targets()};
}
const Fields<Ran>& rotate_fields() {
  const auto of = [](auto member) { return [member](const Ran& r) { return r.summary.*member; }; };
  static const Fields<Ran> all(
      "smets1-kms-rotate-1", "What one run of a batch did; its transfers are in the file",
      {{"batch", "its name; none: one device",
        [](const Ran& r) { return unless_empty(r.summary.name); }},
       {"devices", "rotated in this run", of(&BatchSummary::rotated)},
       {"released", "transfers in the file that this run added", &Ran::released},
       {"released_before", "those of them that were handed out before", &Ran::released_before},
       {"withheld", "transfers that wait for receipts of handover targets", &Ran::withheld},
       {"handed_over", "keys for handover targets in their file that this run added", &Ran::handed},
       {"failed", "devices whose rotation was refused or failed", of(&BatchSummary::failed)},
       {"done_before", "devices that an earlier run did", of(&BatchSummary::done_before)},
       {"without_roles", "devices that lack a role asked for", of(&BatchSummary::without_roles)},
       {"without_kek", "devices without a KEK, or whose KEK the manufacturer must replace",
        of(&BatchSummary::without_kek)},
       {"not_judged", "devices whose facts contradict each other", of(&BatchSummary::not_judged)},
       {"interrupted", "true if it was stopped before its end", of(&BatchSummary::stopped)}});
  return all;
}

/// Throws Usage unless one way to name devices is given, with what goes with it.
void check_usage(const Values& values) {
  const bool due = values.has("due"), resume = values.has("resume");
  if (values.count({"device", "all", "file", "due", "missing-handover", "resume"}) != 1)
    throw Usage(
        "which devices? --device EUI-64 (more than once for several), --file LIST, --all, --due, "
        "--missing-handover TARGET or --resume BATCH: one of them");
  if (due && values.has("reason")) throw Usage("--due gives each rotation its own reason");
  if (!due && values.has("within")) throw Usage("--within goes with --due");
  for (const char* name : {"reason", "role", "batch", "operation-id", "justification", "together",
                           "under-proven-kek", "requested-by", "authorised-by", "reference"})
    if (resume && values.has(name))
      throw Usage(std::string("--resume goes on with a batch as it was begun, without --") + name);
  if (values.has("batch") && (!values.has("out") || values.has("operation-id")))
    throw Usage("--batch goes with --out FILE, and makes the operation ids itself");
  if (!due && !resume) (void)values.needed("reason", parse_reason);
}

Selection selection_of(const Values& values) {
  Selection selection;
  if (values.has("all")) selection.kind = Selection::Kind::all;
  if (values.has("missing-handover"))
    selection = {.kind = Selection::Kind::missing_handover,
                 .target = values.text("missing-handover")};
  if (values.has("due")) {
    selection.kind = Selection::Kind::due;
    selection.within = values.optional("within", parse_duration);
  }
  if (values.has("file")) selection.devices = read_devices(values.text("file"));
  for (const auto& device : values.list("device", DeviceId::parse))
    if (std::ranges::find(selection.devices, device) == selection.devices.end())
      selection.devices.push_back(device);
  return selection;
}

BatchRequest request_of(const Invocation& in) {
  const auto& values = in.values;
  return {.selection = selection_of(values),
          .name = values.text("batch"),
          .roles = values.list("role", parse_role),
          .reason = values.optional("reason", parse_reason),
          .authority = authority_of(in),
          .single_action = values.has("together"),
          .wrap_under = values.has("under-proven-kek") ? WrapUnder::proven : WrapUnder::automatic,
          .justification = values.text("justification")};
}

/// Reports a run; ends the command where work of it is left.
void summarise(const Invocation& in, const Ran& ran, const Grouped& failures) {
  const auto& summary = ran.summary;
  const bool to_file = in.values.has("out"), is_named = in.values.count({"batch", "resume"}) != 0;
  if (!in.json || to_file)
    show(in, rotate_fields(), ran, [&](std::ostream& out) {
      out << summary.rotated << (in.values.has("due") ? " rotations: " : " devices: ")
          << ran.released << " transfers released; " << summary.failed << " refused or failed";
      if (ran.withheld != 0)
        out << "; " << ran.withheld << " transfers withheld until their keys are received";
      if (ran.handed != 0) out << "; " << ran.handed << " keys handed over";
      if (summary.done_before > 0) out << "; " << summary.done_before << " done before";
      out << '\n';
      if (!is_named && !summary.name.empty()) out << "batch " << summary.name << '\n';
    });
  else if (!is_named)
    in.console.note("batch " + summary.name);
  const auto note = [&](std::size_t count, const char* text) {
    if (count != 0) in.console.note(std::to_string(count) + text);
  };
  note(summary.without_roles,
       " devices do not have all of these keys (their fleet file says so), and are passed over");
  note(summary.without_kek,
       " devices have no usable KEK: their manufacturer must provide one, and the import of "
       "its fleet file brings it");
  note(summary.not_judged,
       " devices can't be judged, their facts contradict each other ('due' says how), and are "
       "passed over");
  note(ran.kept,
       " keys are stored for their handover targets ('handover --target', or --handover-out)");
  note(ran.withheld,
       " transfers are released by the receipts of their targets: 'handover --received'");
  note(ran.released_before,
       " of these transfers were released before and are handed out once more: send them only if "
       "it is certain that they were not sent");
  if (summary.stopped) {
    in.console.warn(
        "interrupted: what the token was working on is finished and recorded. 'rotate --resume " +
        summary.name + "', or the same command again with this --batch, goes on with the others");
    throw Unsuccessful(Exit::failed, "interrupted", "the batch was interrupted");
  }
  if (summary.not_judged != 0 && failures.count() == 0)
    throw Unsuccessful(Exit::failed, "not-judged",
                       counted(summary.not_judged, "device") + " could not be judged");
  if (failures.count() != 0)
    throw Unsuccessful(Exit::failed, "partly-failed",
                       counted(failures.count(), "rotation") + " refused or failed");
}

void run_rotate(const Invocation& in) {
  const auto& values = in.values;
  check_usage(values);
  const auto resumed = values.text("resume");
  const auto request = resumed.empty() ? std::optional(request_of(in)) : std::nullopt;
  const bool one = request && request->selection.devices.size() == 1 && request->name.empty();
  if (!one && values.has("operation-id"))
    throw Usage(
        "--operation-id names one device's rotation; for several give the batch a name (--batch)");
  auto kms = open_key_manager(in);
  const auto batch = resumed.empty() ? values.text("batch") : resumed;
  std::optional<HandoverFile> handovers;
  if (values.has("handover-out"))
    handovers.emplace(in, values.text("handover-out"), !batch.empty());
  auto* const to = handovers ? &*handovers : nullptr;
  TransferFile file(in, values.text("out"), batch, false, to);
  const auto note_without_target = [&] {
    const bool only_kek = request && request->roles == std::vector{KeyRole::kek};
    if (!only_kek && std::ranges::none_of(kms.fleet().targets(), [](const TargetInfo& info) {
          return info.target.status == TargetStatus::admitted;
        }))
      in.console.note(
          "no handover target is admitted: nobody but the token and the meters will have the new "
          "keys, so that nobody can speak to these meters ('help enrol': --handover)");
  };
  const auto finish = [&](BatchSummary summary, const Grouped& failures) {
    if (handovers) handovers->finish();
    if (summary.rotated != 0) note_without_target();
    summarise(in, ran_of(std::move(summary), file, to), failures);
  };
  if (one) {
    const auto rotation = kms.rotate({.device = request->selection.devices.front(),
                                      .roles = request->roles,
                                      .reason = *request->reason,
                                      .authority = request->authority,
                                      .operation_id = values.text("operation-id"),
                                      .single_action = request->single_action,
                                      .wrap_under = request->wrap_under,
                                      .justification = request->justification});
    file.write(rotation);
    if (values.has("out") || to != nullptr || file.kept_for_targets() != 0)
      return finish({.rotated = 1}, Grouped(in.console));
    return note_without_target();
  }
  if (values.has("all") && kms.fleet().device_count(DeviceStatus::commissioned) == 0)
    throw BadInput(
        "there is no commissioned device in the registry; 'enrol' or 'device import' brings "
        "devices");
  Grouped failures(in.console);
  const auto each = [&](const RotationResult& result) { file.take(result, failures); };
  const auto stop = stop_on_signals();
  const auto summary = request ? kms.rotate(*request, each, stop) : kms.resume(resumed, each, stop);
  if (values.has("out") && summary.done_before != 0) file.complete(kms, summary.name, failures);
  failures.finish();
  finish(summary, failures);
}

}  // namespace

Command rotate() {
  return {"rotate",
          "make new keys in the token and release their transfers",
          "--device ID|--file LIST|--all|--missing-handover TARGET --reason REASON, or rotate "
          "--due, with --requested-by ID --authorised-by ID --reference REF [--role R] [--batch "
          "NAME] [--out FILE] [--handover-out FILE], or rotate --resume NAME [--out FILE] "
          "[--handover-out FILE]",
          R"(
Makes new keys in the token, wraps each under its device's KEK, records it, and only then releases
the transfers: one line of JSON each (--out), with the ACTION request to send. What the device
answers goes to 'confirm'. A role that waits for an answer or is in doubt is refused: no third key
is made. Without --role: every one of guek, gbek and gak that the device supports. The KEK is
rotated alone; the next GAK rotation proves it.
Each new key is wrapped for the handover targets that take its role, too (--handover-out; without it
they are stored, see 'handover'); a target admitted with --before-transfer holds the transfers back
until its receipts. Without a target nobody but the token and the meter has the new keys.
--due does what 'due' lists, each for its duty's own reason. Since SEC Appendix AT nothing is
periodic: that reason then needs a --justification, for the record.

More than one device is a batch with a name: --batch gives it, or one is made and printed. When it
is interrupted (Ctrl-C ends it after the calls in flight), or dies, the same command again, or
--resume with its name, goes on where it stopped: each device is rotated once.)",
          joined({{repeated("device", "DEVICE", "EUI-64; may be repeated"),
                   list_option("a list of devices: an EUI-64 a line, '#' begins a remark"),
                   flag("all", "every commissioned device"),
                   flag("due",
                        "every device and role for which a duty of the policy is due, for that "
                        "duty's reason"),
                   text("missing-handover", "TARGET",
                        "every device with a key that this handover target was not handed, as it "
                        "was made before the target was admitted: those roles"),
                   text("within", "TIME",
                        "with --due: only what is due in so much time, late ones too: 3d, 36h, "
                        "90m"),
                   repeated("role", "ROLE",
                            "guek, gbek, gak or kek; may be repeated; with --all: devices that "
                            "have all of these"),
                   text("reason", "REASON",
                        "post-commissioning, periodic, suspected-compromise, recommissioning, "
                        "operational"),
                   text("justification", "TEXT",
                        "why it is periodic, where the policy has no such rule: a sentence for the "
                        "record"),
                   text("out", "FILE",
                        "new file for the transfers, a line of JSON each; with --batch it may be "
                        "there and is gone on with"),
                   handover_out_option(),
                   text("batch", "NAME",
                        "a name for the batch, 1 to 26 of A-Z a-z 0-9 . _ : -; the same again goes "
                        "on where it stopped"),
                   text("resume", "NAME", "goes on with the batch of this name, as it was begun"),
                   flag("together",
                        "all keys of a device in one ACTION (some firmware takes one key only)"),
                   flag("under-proven-kek",
                        "wrap a GAK under the old KEK while a new one is unproven: its success "
                        "shows that the device never took the new one")},
                  change_options()}),
          run_rotate,
          {rotate_fields(), transfer_fields(), handover_fields()}};
}

}  // namespace smets1kms::cli
