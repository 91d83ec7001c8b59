// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <iostream>
#include <set>

#include "cli/commands.hpp"
#include "cli/selection.hpp"
#include "cli/transfer_file.hpp"

namespace smets1kms::cli {
namespace {

constexpr const char* text =
    "Makes new keys in the token, wraps each under its device's KEK, records it, and only then "
    "releases the\n"
    "transfers: one line of JSON each (--out), with the ACTION request to send. What the device "
    "answers goes\n"
    "to 'confirm'. A role that waits for an answer or is in doubt is refused: no third key is "
    "made.\n"
    "Without --role: every one of guek, gbek and gak that the device supports. The KEK is rotated "
    "alone; the\n"
    "next GAK rotation proves it.\n"
    "--due does what 'due' lists, each for its duty's own reason. Since SEC Appendix AT nothing is "
    "periodic: that reason\n"
    "then needs a --justification, for the record.\n\n"
    "Many devices: give the batch a name (--batch) and a file (--out). When it is interrupted "
    "(Ctrl-C ends it after\n"
    "the calls in flight), or dies, the same command again goes on where it stopped: each device "
    "is rotated once.";

volatile std::sig_atomic_t interrupted = 0;

/// The first signal asks the batch to end; the second ends the process as ever.
void end_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

std::string text_of(const options::variables_map& values, const char* name) {
  return values.count(name) == 0 ? std::string() : values[name].as<std::string>();
}

int summarise(const Invocation& invocation, const BatchSummary& summary, std::size_t released,
              std::size_t again, std::size_t passed_over, bool to_file, bool due) {
  if (invocation.json && to_file)
    std::cout << Json{{"devices", summary.rotated}, {"released", released},
                      {"released_before", again},   {"failed", summary.failed},
                      {"done_before", passed_over}, {"interrupted", summary.stopped}}
                     .dump()
              << '\n';
  else if (!invocation.json && (summary.rotated + summary.failed > 1 || to_file || due))
    std::cout << summary.rotated << (due ? " rotations: " : " devices: ") << released
              << " transfers released; " << summary.failed << " refused or failed"
              << (passed_over > 0 ? "; " + std::to_string(passed_over) + " done before" : "")
              << '\n';
  if (again != 0)
    remark(std::to_string(again) +
           " of these transfers were released before and are handed out once more: send them only "
           "if it is certain that they were not sent");
  if (summary.stopped)
    remark(
        "interrupted: what was in the token's hands is finished and recorded. The same command "
        "again goes on with the others");
  return summary.failed == 0 && !summary.stopped ? 0 : 1;
}

}  // namespace

int rotate(const Invocation& invocation) {
  options::options_description own;
  add_selection(own);
  own.add_options()("out", options::value<std::string>(),
                    "new file for the transfers, a line of JSON each; with --batch it may be there "
                    "and is gone on with")("batch", options::value<std::string>(),
                                           "a name for the batch, 1 to 26 of A-Z a-z 0-9 . _ : -; "
                                           "the same again goes on where it stopped")(
      "together", "all keys of a device in one ACTION (some firmware takes one key only)")(
      "under-proven-kek",
      "wrap a GAK under the old KEK while a new one is unproven: its success shows that the device "
      "never took the new one");
  add_authority(own);
  add_operation_id(own);
  const auto values = parse(invocation,
                            "rotate --device ID|--file LIST|--all --reason REASON, or rotate "
                            "--due, with --requested-by ID --authorised-by ID --reference REF "
                            "[--role R] [--batch NAME] [--out FILE]",
                            text, own);
  const auto who = authority(values);
  const auto batch = text_of(values, "batch"), out = text_of(values, "out"),
             operation = operation_id(values), justification = text_of(values, "justification");
  if (!batch.empty() && (out.empty() || !operation.empty()))
    throw Usage("--batch goes with --out FILE, and makes the operation ids itself");
  check_selection(values);
  if (!batch.empty()) check_batch_name(batch);
  const auto config = invocation.config();
  std::optional<KeyManager> kms;  // closed last: a reader that is the last to close leaves the
                                  // write-ahead log where it is
  const auto fleet = Fleet::open(config);
  const auto wanted = selection(values, config, fleet);
  if (wanted.total != 1 && !operation.empty())
    throw Usage(
        "--operation-id names one device's rotation; for several give the batch a name (--batch)");

  ProgressLine line;
  kms.emplace(KeyManager::open(config, callbacks(line)));
  if (values.count("all") != 0 && wanted.total == 0)
    throw BadInput(
        "there is no commissioned device in the registry; 'enrol' or 'device import' brings "
        "devices");
  TransferFile transfers(out, batch, invocation.json);
  const bool due = values.count("due") != 0;
  const auto complete = [&](RotationRequest& request) {
    request.authority = who;
    request.operation_id = batch.empty() ? operation : operation_of(batch, request);
    request.justification = justification;
    request.single_action = values.count("together") != 0;
    request.wrap_under =
        values.count("under-proven-kek") != 0 ? WrapUnder::proven : WrapUnder::automatic;
  };
  std::optional<RotationRequest> begun;
  auto before = transfers.lost(
      fleet, due ? std::nullopt : std::optional(needed(values, "reason", parse_reason)),
      wanted.roles, begun);
  if (begun && !due) {  // what is passed over is not compared any more
    begun->roles = wanted.roles;
    complete(*begun);
    try {
      kms->check_repeat(*begun);
    } catch (const Refused&) {
      throw BadInput("the batch " + batch +
                     " was begun with other roles, identities, reference or options: give this one "
                     "a name of its own");
    }
  }
  std::set<DeviceId> lost;
  for (const auto& request : before) lost.insert(request.device);
  std::size_t done = 0, passed_over = 0, again = 0;
  const auto next = [&]() -> std::optional<RotationRequest> {
    std::optional<RotationRequest> request;
    if (!before.empty()) {
      request = std::move(before.back());
      before.pop_back();
    } else {
      for (request = wanted.next(); request && transfers.has(*request); request = wanted.next())
        passed_over += lost.contains(request->device) ? 0 : 1;
    }
    if (request) complete(*request);
    return request;
  };
  const auto each = [&](const RotationResult& result) {
    ++done;
    line.show({.what = "devices done",
               .done = done + passed_over,
               .total = std::max(wanted.total, done + passed_over)});
    if (result.rotation) {
      for (const auto& transfer : result.rotation->transfers())
        again += transfer.released_before() ? 1 : 0;
      return transfers.write(*result.rotation);
    }
    if (wanted.total == 1) std::rethrow_exception(result.failure);
    remark(result.device.to_string() + ": " + what_failed(result.failure));
  };
  end_on_signals();
  const auto summary = kms->rotate(next, each, [] { return interrupted != 0; });
  return summarise(invocation, summary, transfers.written(), again, passed_over, !out.empty(), due);
}

}  // namespace smets1kms::cli
