// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "lifecycle/rotation.hpp"

namespace smets1kms::lifecycle {

/// Gives the rotations of a batch, one after the other, and keeps the batch's progress.
class RotationFeed {
 public:
  using Item = std::unique_ptr<RotationPlan>;
  virtual ~RotationFeed() = default;
  /// Returns the next rotation, as it was requested; nullptr: none was found yet, or `at_end`.
  virtual Item next() = 0;
  /// True once there are no more.
  [[nodiscard]] virtual bool at_end() const = 0;
  /// In the transaction of a group: what became of its rotations. `before`: index of the last
  /// record before the group's.
  virtual void record(std::span<const Item> /*made*/, std::span<const Item> /*planned*/,
                      std::int64_t /*before*/) {}
  /// The transaction is durable.
  virtual void committed() {}
  /// The caller has the result of this rotation.
  virtual void handed_over(const RotationPlan& /*plan*/) {}
  /// Tells the host how far the batch has come.
  virtual void report_progress() {}
};

}  // namespace smets1kms::lifecycle
