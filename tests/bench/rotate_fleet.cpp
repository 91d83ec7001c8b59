// SPDX-License-Identifier: Apache-2.0
// Rotates COUNT devices of a list through the library, as a rotation service would, and says how
// long it took. The first device of the list goes before them, by itself: with it a process finds
// its keys in the token, as the bare loop does before its clock. usage: rotate_fleet KMS_TOML
// DEVICES_FILE COUNT [--sessions N] [--times N | --threads N]
// --sessions: in place of the configuration's. --threads: no batch, but a call of rotate for each
// device and one of record_reply for each of its transfers, from so many threads; "seconds" has
// both. --times: so often, one after the other; every device answers success in between and at the
// end, so that it can be rotated again, and that counts for nothing here. Prints {"devices",
// "seconds" (first request to last release of each time), "cpu_seconds" (of all threads meanwhile),
// "open_ms", "peak_kib" (of the process until the last release)}.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <thread>

#include "smets1kms/key_manager.hpp"

namespace {

using namespace smets1kms;
using Clock = std::chrono::steady_clock;

const Authority authority{
    .requested_by = "s1sp:bench", .authorised_by = "dco:bench", .reference = "BENCH-1"};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}
/// Of all threads. Where others use the machine as well, it says more than the clock.
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

struct Options {
  std::string list;
  std::size_t count = 0, sessions = 0, times = 0;  ///< times: 0: once, and nothing is answered
  std::size_t threads = 0;                         ///< 0: a batch
};

class FleetRun {
 public:
  FleetRun(KeyManager& kms, const Options& options) : kms_(kms), options_(options) {}
  /// As a service does that rotates a device when its turn comes: each by calls of its own.
  void rotate_by_threads(std::size_t first, std::size_t count) {
    std::ifstream list(options_.list);
    const std::vector<std::string> devices{std::istream_iterator<std::string>(list), {}};
    std::atomic<std::size_t> next = first;
    const double cpu_start = cpu_seconds();
    const auto start = Clock::now();
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < options_.threads; ++i)
        threads.emplace_back([&] {
          for (auto at = next++; at < first + count; at = next++) {
            const auto rotation =
                kms_.rotate(RotationRequest{.device = DeviceId::parse(devices.at(at)),
                                            .roles = {KeyRole::guek, KeyRole::gak},
                                            .reason = Reason::post_commissioning,
                                            .authority = authority});
            for (const auto& transfer : rotation.transfers())
              (void)kms_.record_reply(transfer, ActionResult::success);
          }
        });
    }
    seconds += seconds_since(start);
    cpu += cpu_seconds() - cpu_start;
  }
  /// The devices from `first` on; seconds and processor seconds are added up.
  void rotate(std::size_t first, std::size_t count) {
    std::ifstream list(options_.list);
    std::string device;
    for (std::size_t i = 0; i < first; ++i) list >> device;
    BatchRequest batch{.roles = {KeyRole::guek, KeyRole::gak},
                       .reason = Reason::post_commissioning,
                       .authority = authority};
    auto& devices = batch.selection.devices;
    while (devices.size() < count && list >> device) devices.push_back(DeviceId::parse(device));
    std::size_t transfers = 0;
    const double cpu_start = cpu_seconds();
    const auto start = Clock::now();
    (void)kms_.rotate(batch, [&](const RotationResult& result) {
      if (result.failure) std::rethrow_exception(result.failure);
      transfers += result.rotation->transfers().size();
      if (options_.times == 0) return;
      for (const auto& transfer : result.rotation->transfers())
        released_.emplace_back(result.device, transfer.number());
    });
    seconds += seconds_since(start);
    cpu += cpu_seconds() - cpu_start;
    if (devices.size() != count || transfers != 2 * count)
      throw BadInput("not as many devices, or transfers, as asked for");
  }
  void answer() {
    auto at = released_.begin();
    const auto reply = [&]() -> std::optional<Reply> {
      if (at == released_.end()) return std::nullopt;
      const auto& [device, transfer] = *at++;
      return Reply{.device = device, .transfer = transfer, .content = ActionResult::success};
    };
    kms_.record_replies(reply, [](const ReplyOutcome& outcome) {
      if (outcome.failure) std::rethrow_exception(outcome.failure);
    });
    released_.clear();
  }
  double seconds = 0, cpu = 0;

 private:
  KeyManager& kms_;
  const Options& options_;
  std::vector<std::pair<DeviceId, std::uint32_t>>
      released_;  // of each transfer enough to answer it
};

void measure(Config config, const Options& options) {
  if (options.sessions != 0) config.token.sessions = options.sessions;
  const auto opening = Clock::now();
  auto kms = KeyManager::open(config);
  const double open_ms = seconds_since(opening) * 1000;
  FleetRun fleet(kms, options);
  fleet.rotate(0, 1);
  fleet.seconds = fleet.cpu = 0;
  fleet.answer();
  rusage used{};
  for (std::size_t time = 0; time < std::max<std::size_t>(options.times, 1); ++time) {
    options.threads != 0 ? fleet.rotate_by_threads(1, options.count)
                         : fleet.rotate(1, options.count);
    getrusage(RUSAGE_SELF, &used);
    fleet.answer();
  }
  std::cout << "{\"devices\": " << options.count * std::max<std::size_t>(options.times, 1)
            << ", \"seconds\": " << fleet.seconds << ", \"cpu_seconds\": " << fleet.cpu
            << ", \"open_ms\": " << open_ms << ", \"peak_kib\": " << used.ru_maxrss << "}\n";
}

int run(std::span<char*> arguments) {
  if (arguments.size() < 3) {
    std::cerr << "usage: rotate_fleet KMS_TOML DEVICES_FILE COUNT [--sessions N] [--times N | "
                 "--threads N]\n";
    return 2;
  }
  Options options{.list = arguments[1], .count = std::stoul(arguments[2])};
  for (std::size_t i = 3; i < arguments.size(); ++i) {
    if (std::string_view(arguments[i]) == "--times" && i + 1 < arguments.size())
      options.times = std::stoul(arguments[++i]);
    if (std::string_view(arguments[i]) == "--threads" && i + 1 < arguments.size())
      options.threads = std::stoul(arguments[++i]);
    if (std::string_view(arguments[i]) == "--sessions" && i + 1 < arguments.size())
      options.sessions = std::stoul(arguments[++i]);
  }
  measure(Config::load(arguments[0]), options);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
  } catch (const std::exception& error) {
    std::cerr << "rotate_fleet: " << error.what() << '\n';
    return 1;
  }
}
