// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>

#include "smets1kms/types.hpp"

namespace smets1kms {

/// A reading of every clock that a record carries.
struct Instant {
  Time utc;
  /// "synchronised" or "unsynchronised", as the kernel says; "injected" in tests.
  std::string_view quality;
  std::uint64_t monotonic_us;
};

/// Source of time, and the only one.
class Clock {
 public:
  explicit Clock(std::function<Time()> injected = {});
  [[nodiscard]] Instant now() const;
  /// Returns the UUID of this boot of the machine: monotonic times compare within it only.
  [[nodiscard]] const std::string& boot_id() const { return boot_id_; }

 private:
  std::function<Time()> injected_;
  std::string boot_id_;
};

/// Returns a UUIDv7 (RFC 9562 section 5.7): ordered by time, so that new ones are near each other
/// in an index.
[[nodiscard]] std::string make_uuid(Time now);
/// Returns `count` random bytes as lower-case hex.
[[nodiscard]] std::string random_hex(std::size_t count);

}  // namespace smets1kms
