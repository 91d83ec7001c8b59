// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "lifecycle/rotation_batch.hpp"

namespace smets1kms::lifecycle {

/// Where the token's work on a batch is done: planned rotations go in, and come out with their keys
/// made, or taken back where they carry a failure. Workers, each with a session of its own, take
/// the oldest first.
///
/// A token that throttles (a passing fault, CKR_DEVICE_ERROR and the like) is given fewer calls at
/// once: half as many, and one more after each few that it answered well. A device that a passing
/// fault hit is tried again.
class RotationWorkers {
 public:
  using Item = RotationFeed::Item;
  /// 0 workers: the work is done in `take`, by its caller.
  RotationWorkers(Context& context, std::size_t workers);
  /// What is in hand is finished; what waits is dropped, and settled when the registry is opened
  /// again.
  ~RotationWorkers();
  RotationWorkers(const RotationWorkers&) = delete;

  void submit(std::vector<Item> items);
  /// What is finished, `most` at most; waits until there are `least`. `least` must not exceed what
  /// was put in and not taken.
  [[nodiscard]] std::vector<Item> collect(std::size_t least, std::size_t most);
  /// What waits is given back unmade, with this failure; what is in hand is finished.
  void stop(const std::exception_ptr& failure);
  /// Set once the token is lost: what waited then has been given back.
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
  const std::size_t count_;  ///< of workers
  std::mutex mutex_;
  std::condition_variable work_available_, finished_enough_;
  std::deque<Item> waiting_, finished_;
  std::size_t wanted_ = 0;     ///< finished items that somebody waits for
  std::size_t allowed_;        ///< how many workers may work
  std::size_t successes_ = 0;  ///< since `allowed_` changed
  std::uint64_t slowed_at_ =
      0;  ///< faults there had been then: what was begun before counts no more
  int consecutive_failures_ = 0;  ///< devices in a row that were tried as often as may be
  bool closing_ = false;
  std::exception_ptr token_failure_;
  std::vector<std::thread> workers_;
};

}  // namespace smets1kms::lifecycle
