// Rotates COUNT devices of a list through the library, as a rotation service would, and says how long it took. The first device
// of the list goes before them, by itself: with it a process finds its keys in the token, as the bare loop does before its clock.
// usage: rotate_fleet KMS_TOML DEVICES_FILE COUNT [--sessions N] [--confirm]
// --sessions: in place of the configuration's. --confirm: every device then answers success, so that it can be rotated again.
// Prints {"devices", "seconds" (first request to last release), "cpu_seconds" (of all threads meanwhile), "open_ms",
// "peak_kib" (of the process until the last release)}.
#include <sys/resource.h>

#include <ctime>
#include <fstream>
#include <iostream>

#include "smets1kms/key_manager.hpp"

namespace {

using namespace smets1kms;
using Clock = std::chrono::steady_clock;

const Bytes success{0xC7, 0x01, 0xC1, 0x00, 0x00};  // ACTION-Response-Normal

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }
/// Of all threads. Where others use the machine as well, it says more than the clock.
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

struct Options {
  std::string list;
  std::size_t count = 0, sessions = 0;
  bool confirm = false;
};

void measure(Config config, const Options& options) {
  if (options.sessions != 0) config.token.sessions = options.sessions;
  std::ifstream list(options.list);
  std::size_t asked = 0, wanted = 1;
  const auto next = [&]() -> std::optional<RotationRequest> {
    std::string device;
    if (asked == wanted || !(list >> device)) return std::nullopt;
    ++asked;
    return RotationRequest{.device = DeviceId::parse(device),
                           .roles = {KeyRole::guek, KeyRole::gak},
                           .reason = Reason::post_commissioning,
                           .authority = {.requested_by = "s1sp:bench", .authorised_by = "dco:bench", .reference = "BENCH-1"}};
  };
  const auto opening = Clock::now();
  auto kms = KeyManager::open(config);
  const double open_ms = seconds_since(opening) * 1000;
  std::vector<std::pair<DeviceId, std::uint32_t>> released;  // of each transfer enough to confirm it
  std::size_t transfers = 0;
  const auto rotated = [&](const RotationResult& result) {
    if (result.failure) std::rethrow_exception(result.failure);
    transfers += result.rotation->transfers().size();
    if (!options.confirm) return;
    for (const auto& transfer : result.rotation->transfers()) released.emplace_back(result.device, transfer.number());
  };
  kms.rotate(next, rotated);
  wanted += options.count;
  const double cpu_start = cpu_seconds();
  const auto start = Clock::now();
  kms.rotate(next, rotated);
  const double seconds = seconds_since(start), cpu = cpu_seconds() - cpu_start;
  if (asked != wanted || transfers != 2 * asked) throw BadInput("not as many devices, or transfers, as asked for");
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  auto at = released.begin();
  const auto reply = [&]() -> std::optional<Reply> {
    if (at == released.end()) return std::nullopt;
    const auto& [device, transfer] = *at++;
    return Reply{.device = device, .transfer = transfer, .action_response = success};
  };
  kms.record_replies(reply, [](const ReplyOutcome& outcome) {
    if (outcome.failure) std::rethrow_exception(outcome.failure);
  });
  std::cout << "{\"devices\": " << options.count << ", \"seconds\": " << seconds << ", \"cpu_seconds\": " << cpu << ", \"open_ms\": " << open_ms
            << ", \"peak_kib\": " << used.ru_maxrss << "}\n";
}

int run(std::span<char*> arguments) {
  if (arguments.size() < 3) {
    std::cerr << "usage: rotate_fleet KMS_TOML DEVICES_FILE COUNT [--sessions N] [--confirm]\n";
    return 2;
  }
  Options options{.list = arguments[1], .count = std::stoul(arguments[2])};
  for (std::size_t i = 3; i < arguments.size(); ++i) {
    if (std::string_view(arguments[i]) == "--confirm") options.confirm = true;
    if (std::string_view(arguments[i]) == "--sessions" && i + 1 < arguments.size()) options.sessions = std::stoul(arguments[++i]);
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
