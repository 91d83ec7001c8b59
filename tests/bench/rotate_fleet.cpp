// Rotates the first COUNT devices of a list through the library, as a rotation service would, and says how long it took.
// usage: rotate_fleet KMS_TOML DEVICES_FILE COUNT [SESSIONS]
// Prints {"devices", "seconds" (first request to last release), "cpu_seconds" (of all threads meanwhile), "open_ms", "peak_kib"}.
#include <sys/resource.h>

#include <ctime>
#include <fstream>
#include <iostream>

#include "smets1kms/key_manager.hpp"

namespace {

using namespace smets1kms;
using Clock = std::chrono::steady_clock;

constexpr std::size_t batch = 256;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Of all threads. Where others use the machine as well, it says more than the clock.
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

RotationRequest request_for(const std::string& device) {
  return {.device = DeviceId::parse(device),
          .roles = {KeyRole::guek, KeyRole::gak},
          .reason = Reason::post_commissioning,
          .authority = {.requested_by = "s1sp:bench", .authorised_by = "dco:bench", .reference = "BENCH-1"}};
}

int measure(const char* configuration, const char* list, std::size_t count, const char* sessions) {
  Config config = Config::load(configuration);
  if (sessions != nullptr) config.token.sessions = std::stoul(sessions);
  std::vector<RotationRequest> requests;
  std::ifstream in(list);
  for (std::string device; requests.size() < count && in >> device;) requests.push_back(request_for(device));
  const auto opening = Clock::now();
  auto kms = KeyManager::open(config);
  const double open_ms = seconds_since(opening) * 1000;
  std::size_t transfers = 0;
  const double cpu_start = cpu_seconds();
  const auto start = Clock::now();
  for (std::size_t at = 0; at < requests.size(); at += batch)
    kms.rotate(std::span(requests).subspan(at, std::min(batch, requests.size() - at)), [&](const RotationResult& result) {
      if (result.failure) std::rethrow_exception(result.failure);
      transfers += result.rotation->transfers().size();
    });
  const double seconds = seconds_since(start), cpu = cpu_seconds() - cpu_start;
  if (transfers != 2 * requests.size()) throw BadInput("not every device got two transfers");
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  std::cout << "{\"devices\": " << requests.size() << ", \"seconds\": " << seconds << ", \"cpu_seconds\": " << cpu << ", \"open_ms\": " << open_ms
            << ", \"peak_kib\": " << used.ru_maxrss << "}\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 4 || argc == 5) return measure(argv[1], argv[2], std::stoul(argv[3]), argc == 5 ? argv[4] : nullptr);
    std::cerr << "usage: rotate_fleet KMS_TOML DEVICES_FILE COUNT [SESSIONS]\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "rotate_fleet: " << error.what() << '\n';
    return 1;
  }
}
