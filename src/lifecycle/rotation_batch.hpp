// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "lifecycle/rotation.hpp"

namespace smets1kms::lifecycle {

/// Feed of a batch's rotations, one after the other, which keeps the batch's progress.
class RotationFeed {
 public:
  using Item = std::unique_ptr<RotationPlan>;
  virtual ~RotationFeed() = default;
  /// Returns the next rotation, as it was requested; nullptr: none was found yet, or `at_end`.
  virtual Item next() = 0;
  /// True once there are no more.
  [[nodiscard]] virtual bool at_end() const = 0;
  /// Notes what became of a group's rotations, in its transaction. `before`: index of the last
  /// record before the group's.
  virtual void record(std::span<const Item> /*made*/, std::span<const Item> /*planned*/,
                      std::int64_t /*before*/) {}
  /// Notes that the transaction is durable.
  virtual void committed() {}
  /// Notes that the caller has the result of this rotation.
  virtual void handed_over(const RotationPlan& /*plan*/) {}
  /// Tells the host how far the batch has come.
  virtual void report_progress() {}
};

}  // namespace smets1kms::lifecycle
