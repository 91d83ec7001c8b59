#include <csignal>
#include <iostream>

#include "cli/commands.hpp"
#include "cli/selection.hpp"
#include "cli/transfer_file.hpp"

namespace smets1kms::cli {
namespace {

constexpr const char* text =
    "Makes new keys in the token, wraps each under its device's KEK, records it, and only then releases the\n"
    "transfers: one line of JSON each (--out), with the ACTION request to send. What the device answers goes\n"
    "to 'confirm'. A role that waits for an answer or is in doubt is refused: no third key is made.\n"
    "Without --role: every one of guek, gbek and gak that the device supports. The KEK is rotated alone; the\n"
    "next GAK rotation proves it.\n\n"
    "Many devices: give the batch a name (--batch) and a file (--out). When it is interrupted (Ctrl-C ends it after\n"
    "the calls in flight), or dies, the same command again goes on where it stopped: each device is rotated once.";

std::vector<KeyRole> chosen_roles(const options::variables_map& values) {
  std::vector<KeyRole> roles;
  if (values.count("role") != 0)
    for (const auto& each : values["role"].as<std::vector<std::string>>()) roles.push_back(parse_role(each));
  return roles;
}

volatile std::sig_atomic_t interrupted = 0;

/// The first signal asks the batch to end; the second ends the process as ever.
void end_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

std::string text_of(const options::variables_map& values, const char* name) { return values.count(name) == 0 ? std::string() : values[name].as<std::string>(); }

int summarise(const Invocation& invocation, const BatchSummary& summary, std::size_t released, std::size_t passed_over, bool to_file) {
  if (invocation.json && to_file)
    std::cout << Json{{"devices", summary.rotated},
                      {"released", released},
                      {"failed", summary.failed},
                      {"done_before", passed_over},
                      {"interrupted", summary.stopped}}
                     .dump()
              << '\n';
  else if (!invocation.json && (summary.rotated + summary.failed > 1 || to_file))
    std::cout << summary.rotated << " devices: " << released << " transfers released; " << summary.failed << " refused or failed"
              << (passed_over > 0 ? "; " + std::to_string(passed_over) + " done before" : "") << '\n';
  if (summary.stopped) remark("interrupted: what was in the token's hands is finished and recorded. The same command again goes on with the others");
  return summary.failed == 0 && !summary.stopped ? 0 : 1;
}

}  // namespace

int rotate(const Invocation& invocation) {
  options::options_description own;
  add_selection(own);
  own.add_options()("role", options::value<std::vector<std::string>>(), "guek, gbek, gak or kek; may be repeated")(
      "reason", options::value<std::string>(), "post-commissioning, periodic, suspected-compromise, recommissioning, operational")(
      "out", options::value<std::string>(), "new file for the transfers, a line of JSON each; with --batch it may be there and is gone on with")(
      "batch", options::value<std::string>(), "a name for the batch, 1 to 40 of A-Z a-z 0-9 . _ : -; the same again goes on where it stopped")(
      "together", "all keys of a device in one ACTION (some firmware takes one key only)")(
      "under-proven-kek", "wrap a GAK under the old KEK while a new one is unproven: its success shows that the device never took the new one");
  add_authority(own);
  add_operation_id(own);
  const auto values =
      parse(invocation,
            "rotate --device ID|--file LIST|--all --reason REASON --requested-by ID --authorised-by ID --reference REF [--role R] [--batch NAME] [--out FILE]",
            text, own);
  const auto reason = parse_reason(needed(values, "reason"));
  const auto who = authority(values);
  const auto roles = chosen_roles(values);
  const auto batch = text_of(values, "batch"), out = text_of(values, "out"), operation = operation_id(values);
  if (!batch.empty() && (out.empty() || !operation.empty())) throw Usage("--batch goes with --out FILE, and makes the operation ids itself");
  if (batch.size() > 40) throw Usage("--batch is 1 to 40 characters");
  const auto config = invocation.config();
  const auto fleet = Fleet::open(config);
  const auto devices = selection(values, fleet);
  if (devices.total > 1 && !operation.empty()) throw Usage("--operation-id names one device's rotation; for several give the batch a name (--batch)");

  ProgressLine line;
  auto kms = KeyManager::open(config, surroundings(line));
  TransferFile transfers(out, batch, invocation.json);
  std::size_t done = 0, passed_over = 0;
  const auto next = [&]() -> std::optional<RotationRequest> {
    auto device = devices.next();
    for (; device && transfers.has(*device); device = devices.next()) ++passed_over;
    if (!device) return std::nullopt;
    return RotationRequest{.device = *device,
                           .roles = roles,
                           .reason = reason,
                           .authority = who,
                           .operation_id = batch.empty() ? operation : operation_of(batch, *device),
                           .together = values.count("together") != 0,
                           .wrap_under = values.count("under-proven-kek") != 0 ? WrapUnder::proven : WrapUnder::automatic};
  };
  const auto each = [&](const RotationResult& result) {
    line.show({.what = "devices rotated", .done = ++done + passed_over, .total = devices.total});
    if (result.rotation) return transfers.write(*result.rotation);
    if (devices.total == 1) std::rethrow_exception(result.failure);
    remark(result.device.to_string() + ": " + what_failed(result.failure));
  };
  end_on_signals();
  const auto summary = kms.rotate(next, each, [] { return interrupted != 0; });
  return summarise(invocation, summary, transfers.written(), passed_over, !out.empty());
}

}  // namespace smets1kms::cli
