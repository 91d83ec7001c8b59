// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "lifecycle/rotation_batch.hpp"

namespace smets1kms::lifecycle {

/// Workers that do the token's work on a batch: planned rotations go in, and come out with their
/// keys made, or taken back where they carry a failure. Each worker has a session of its own and
/// takes the oldest rotation first.
///
/// A token that throttles (a passing fault, CKR_DEVICE_ERROR and the like) is given half as many
/// calls at once, and one more after each few that it answered well. A device that a passing fault
/// hit is tried again.
class RotationWorkers {
 public:
  using Item = RotationFeed::Item;
  /// Starts the workers; with 0, `collect` does the work in its caller's thread.
  RotationWorkers(Context& context, std::size_t workers);
  /// Finishes rotations in hand and drops waiting ones, which the next opening recovers.
  ~RotationWorkers();
  RotationWorkers(const RotationWorkers&) = delete;

  void submit(std::vector<Item> items);
  /// Returns up to `most` finished rotations; blocks until `least` are ready. `least` must not
  /// exceed what was submitted and not collected.
  [[nodiscard]] std::vector<Item> collect(std::size_t least, std::size_t most);
  /// Gives waiting rotations back unmade, with this failure; those in hand are finished.
  void stop(const std::exception_ptr& failure);
  /// Returns the failure by which the token was lost, after waiting rotations were given back; else
  /// nullptr.
  [[nodiscard]] std::exception_ptr token_failure();

 private:
  void work(std::size_t number);
  /// Does the token's part of a plan. It stays `planned` where a passing fault is to be tried
  /// again.
  TokenAnswer process(RotationPlan& plan);
  void pace(std::uint64_t faults_before, bool finished);
  void give_back(const std::exception_ptr& failure);
  [[nodiscard]] std::uint64_t faults() const { return context_.token->pool().passing_faults(); }

  Context& context_;
  const std::size_t count_;  ///< number of workers
  std::mutex mutex_;
  std::condition_variable work_available_, finished_enough_;
  std::deque<Item> waiting_, finished_;
  std::size_t wanted_ = 0;     ///< finished items that somebody waits for
  std::size_t allowed_;        ///< how many workers may work
  std::size_t successes_ = 0;  ///< since `allowed_` changed
  /// Number of faults at that time: work begun before it counts no more.
  std::uint64_t slowed_at_ = 0;
  int consecutive_failures_ = 0;  ///< devices in a row that failed in every try
  bool closing_ = false;
  std::exception_ptr token_failure_;
  std::vector<std::thread> workers_;
};

}  // namespace smets1kms::lifecycle
