// SPDX-License-Identifier: Apache-2.0
// A rotation service in one page, of the public headers alone: what is due is rotated as a named
// batch by a process that is killed in the middle; another goes on with the batch by its name,
// hands the keys to the head end and takes its receipts, asks what waits, records what the meters'
// stack says, and ends the keys that are not used any more.
// usage: service KMS_TOML DEVICES
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <set>
#include <smets1kms/key_manager.hpp>
#include <sstream>
#include <thread>

using namespace smets1kms;

namespace {

constexpr unsigned threads_count = 8;
const Authority who{
    .requested_by = "s1sp:ops-1", .authorised_by = "dco:ops-7", .reference = "CHG-1234"};

void check(bool holds, const std::string& what) {
  if (holds) return;
  std::cerr << "not so: " << what << '\n';
  std::exit(EXIT_FAILURE);
}

/// By id. Of one that came twice the bytes are the same.
using Transfers = std::map<std::string, KeyTransfer>;
void collect(Transfers& transfers, const KeyTransfer& transfer) {
  const auto [known, is_new] = transfers.emplace(transfer.id(), transfer);
  check(is_new || known->second.action_request() == transfer.action_request(), "the same bytes");
}

/// The first process: everything that is due, as the batch "night-1". Tells the id of each transfer
/// that it was given. It is killed.
[[noreturn]] void first_process(const Config& config, int out) {
  auto kms = KeyManager::open(config);
  (void)kms.rotate({.selection = {.kind = Selection::Kind::due},
                    .name = "night-1",
                    .roles = {KeyRole::guek, KeyRole::gak},
                    .authority = who},
                   [&](const RotationResult& result) {
                     if (result.failure) std::rethrow_exception(result.failure);
                     for (const auto& transfer : result.rotation->transfers()) {
                       const auto line = transfer.id() + "\n";
                       if (::write(out, line.data(), line.size()) < 0) ::_exit(2);
                     }
                     ::usleep(5000);  // what is done with a result takes its time
                   });
  ::_exit(3);  // it was to be killed before
}

/// Returns what the first process was given before it was killed.
std::set<std::string> killed_in_the_middle(const Config& config, std::size_t devices) {
  int ends[2];
  check(::pipe(ends) == 0, "a pipe");
  const pid_t child = ::fork();
  if (child == 0) try {
      first_process(config, ends[1]);
    } catch (const std::exception& error) {
      std::cerr << error.what() << '\n';
      ::_exit(4);
    }
  ::close(ends[1]);
  std::string text;
  char bytes[4096];
  bool killed = false;
  for (ssize_t count = 0; (count = ::read(ends[0], bytes, sizeof bytes)) > 0;) {
    text.append(bytes, static_cast<std::size_t>(count));
    if (!killed && text.size() > devices * 26 / 2) killed = ::kill(child, SIGKILL) == 0;
  }
  int status = 0;
  check(::waitpid(child, &status, 0) == child && WIFSIGNALED(status), "it was killed");
  std::set<std::string> ids;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) ids.insert(line);
  return ids;
}

/// Runs `work` for each item of a list, in eight threads.
template <class Item, class Work>
void in_threads(const std::vector<Item>& items, const Work& work) {
  std::atomic<std::size_t> next = 0;
  std::vector<std::thread> threads;
  std::atomic<bool> failed = false;
  for (unsigned i = 0; i < threads_count; ++i)
    threads.emplace_back([&] {
      try {
        for (std::size_t at = next++; at < items.size(); at = next++) work(items[at], at);
      } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        failed = true;
      }
    });
  for (auto& thread : threads) thread.join();
  check(!failed, "every thread came to its end");
}

std::size_t count_waiting(const Fleet& fleet, WaitingKind kind) {
  std::size_t count = 0;
  std::string after;
  do {
    const auto page = fleet.waiting(after, 100);
    for (const auto& item : page.items) count += item.kind == kind ? 1 : 0;
    after = page.next;
  } while (!after.empty());
  return count;
}

std::size_t count_due(const Fleet& fleet) {
  std::size_t count = 0;
  std::optional<DeviceId> after;
  do {
    const auto page = fleet.due(fleet.now(), std::nullopt, after, 100);
    count += page.duties.size();
    after = page.next;
  } while (after);
  return count;
}

std::vector<KeyTransfer> values(const Transfers& transfers) {
  std::vector<KeyTransfer> list;
  for (const auto& [id, transfer] : transfers) list.push_back(transfer);
  return list;
}

/// Stands for the head end: opens `wrapped` with its private key, and proves by the key that it has
/// it. Here the token computes the same proof.
Receipt head_end(KeyManager& kms, const Handover& handover) {
  return {handover.device, handover.role, handover.generation, handover.target,
          kms.prove({handover.device, handover.role, handover.generation}, handover.challenge())};
}

/// Hands over what no receipt has come for yet: what a dead process took along comes once more.
std::size_t hand_over(KeyManager& kms, const std::string& batch) {
  std::vector<Receipt> receipts;
  kms.handovers({.target = "head-end", .batch = batch}, [&](const HandoverResult& result) {
    if (result.failure) std::rethrow_exception(result.failure);
    receipts.push_back(head_end(kms, *result.handover));
  });
  auto next = receipts.begin();
  kms.record_receipts(
      [&] { return next == receipts.end() ? std::nullopt : std::optional(*next++); },
      [](const ReceiptOutcome& outcome) {
        if (outcome.failure) std::rethrow_exception(outcome.failure);
      });
  return receipts.size();
}

void run(const Config& config, std::size_t devices) {
  const auto before = killed_in_the_middle(config, devices);
  auto kms = KeyManager::open(config);
  const auto& fleet = kms.fleet();
  const auto roles = 2 * devices;  // GUEK and GAK of each
  check(!before.empty() && before.size() < roles, "the first process was in the middle");
  check(fleet.batch("night-1").done < devices && !fleet.batch("night-1").ended,
        "the batch has not come to its end");

  // Gone on with by its name: the rest, and what the first process released and was not given.
  Transfers transfers;
  std::size_t again = 0;
  const auto summary = kms.resume("night-1", [&](const RotationResult& result) {
    if (result.failure) std::rethrow_exception(result.failure);
    for (const auto& transfer : result.rotation->transfers()) {
      collect(transfers, transfer);
      again += transfer.released_before() ? 1 : 0;
      check(transfer.released_before() || !before.contains(transfer.id()),
            "nothing new comes twice");
    }
  });
  check(summary.failed == 0 && !summary.stopped, "the batch came to its end");
  check(summary.done_before + summary.rotated == devices, "every device once");
  check(again < roles / 2, "what the first process was given long before does not come again");
  auto all = before;
  for (const auto& [id, transfer] : transfers) all.insert(id);
  check(all.size() == roles, "every transfer was handed over");
  check(fleet.batch("night-1").done == devices && fleet.batch("night-1").ended, "it has ended");
  check(count_due(fleet) == devices, "what is due waits for answers");
  check(count_waiting(fleet, WaitingKind::released) == roles, "and is seen to wait");

  // The bytes of the killed process are not lost with it.
  kms.transfers("night-1", [&](const RotationResult& result) {
    if (result.failure) std::rethrow_exception(result.failure);
    for (const auto& transfer : result.rotation->transfers()) collect(transfers, transfer);
  });
  check(transfers.size() == roles, "all are there to be sent");
  const auto one = kms.transfer(transfers.begin()->second.device(), 1);
  check(one.released_before() && one.id() == transfers.begin()->first, "one by itself");

  // The head end gets the keys before the meters do.
  check(hand_over(kms, "night-1") == roles, "each key reaches the head end");
  check(hand_over(kms, "night-1") == 0 && fleet.targets().front().stored == 0, "once");

  // What the meters' stack says; every tenth answer is lost, and a probe shows what became of it.
  const auto list = values(transfers);
  in_threads(list, [&](const KeyTransfer& transfer, std::size_t at) {
    const bool lost = at % 10 == 0;
    const auto result = lost ? kms.record_reply(transfer, std::nullopt)
                             : kms.record_reply(transfer, ActionResult::success);
    check(result.delivery == (lost ? Delivery::in_doubt : Delivery::confirmed), "what it means");
  });
  check(count_waiting(fleet, WaitingKind::in_doubt) == (roles + 9) / 10, "doubts are seen to wait");
  in_threads(list, [&](const KeyTransfer& transfer, std::size_t at) {
    if (at % 10 != 0) return;
    const auto& key = transfer.keys().front();
    kms.resolve({transfer.device(), key.role, key.generation},
                at % 20 == 0 ? ProbeResult::new_key : ProbeResult::old_key, "key proof", who);
  });
  check(count_waiting(fleet, WaitingKind::in_doubt) == 0, "and are ended");

  // One device each, by eight threads at once: new keys, and the old ones end.
  std::vector<DeviceId> ids;
  for (const auto& device : fleet.devices(std::nullopt, devices)) ids.push_back(device.id);
  in_threads(ids, [&](DeviceId device, std::size_t) {
    const auto rotation = kms.rotate({.device = device,
                                      .roles = {KeyRole::guek},
                                      .reason = Reason::operational,
                                      .authority = who});
    (void)kms.record_reply(rotation.transfers().front(), ActionResult::success);
  });
  const auto retired = kms.retire({.kind = Selection::Kind::superseded}, who);
  const auto deactivated = kms.destroy({.kind = Selection::Kind::deactivated}, who);
  const auto not_held = kms.destroy({.kind = Selection::Kind::not_held}, who);
  check(retired.done > 0, "models that switch at the next association keep the old key until then");
  check(deactivated.done + not_held.done > 0 && deactivated.in_use == 0, "keys are destroyed");
  const auto keys = fleet.summary().keys;
  const auto of = [&](KeyRole role, KeyState state) {
    const auto states = keys.find(role);
    if (states == keys.end() || !states->second.contains(state)) return std::uint64_t{0};
    return states->second.at(state);
  };
  check(of(KeyRole::guek, KeyState::active) == devices, "each device has one GUEK");
  check(of(KeyRole::guek, KeyState::deactivated) + of(KeyRole::gak, KeyState::deactivated) == 0,
        "nothing deactivated is left");
  check(of(KeyRole::guek, KeyState::destroyed) == devices, "the old ones are destroyed");
  check(count_waiting(fleet, WaitingKind::released) == 0, "nothing waits");
  std::cout << devices << " devices: " << before.size() << " transfers before the kill, " << again
            << " handed out again, " << retired.done << " keys retired, "
            << deactivated.done + not_held.done << " destroyed\n";
}

}  // namespace

int main(int count, char** arguments) try {
  if (count != 3) return 2;
  run(Config::load(arguments[1]), std::stoul(arguments[2]));
  return EXIT_SUCCESS;
} catch (const Error& error) {
  std::cerr << error.reason() << ": " << error.what() << " (" << error.operation_id() << ")\n";
  return EXIT_FAILURE;
}
