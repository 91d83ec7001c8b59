// SPDX-License-Identifier: Apache-2.0
#include "base/clock.hpp"

#include <openssl/rand.h>
#include <sys/timex.h>

#include <array>
#include <fstream>

#include "smets1kms/errors.hpp"

namespace smets1kms {

Clock::Clock(std::function<Time()> injected) : injected_(std::move(injected)) {
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot_id_;
  if (boot_id_.empty())
    boot_id_ = "process-" + random_hex(8);  // monotonic times of two boots are never compared
}

Instant Clock::now() const {
  using namespace std::chrono;
  const auto monotonic = static_cast<std::uint64_t>(
      duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count());
  if (injected_) return {injected_(), "injected", monotonic};
  timex kernel{};
  const bool synchronised = ::adjtimex(&kernel) != TIME_ERROR && (kernel.status & STA_UNSYNC) == 0;
  return {floor<milliseconds>(system_clock::now()),
          synchronised ? "synchronised" : "unsynchronised", monotonic};
}

std::string random_hex(std::size_t count) {
  std::array<std::uint8_t, 64> bytes;
  if (count > bytes.size() || RAND_bytes(bytes.data(), static_cast<int>(count)) != 1)
    throw Error("the system's random generator failed; nothing was done");
  return to_lower_hex(ByteView(bytes.data(), count));
}

std::string make_uuid(Time now) {
  const auto ms = static_cast<std::uint64_t>(now.time_since_epoch().count());
  std::string time;
  for (int shift = 44; shift >= 0; shift -= 4) time += "0123456789abcdef"[ms >> shift & 15];
  std::string random = random_hex(10);
  random[0] = '7';                                              // version
  random[4] = "89ab"[static_cast<std::size_t>(random[4] % 4)];  // variant
  return time.substr(0, 8) + '-' + time.substr(8) + '-' + random.substr(0, 4) + '-' +
         random.substr(4, 4) + '-' + random.substr(8);
}

}  // namespace smets1kms
