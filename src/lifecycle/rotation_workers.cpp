// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/rotation_workers.hpp"

#include <algorithm>

namespace smets1kms::lifecycle {
namespace {

constexpr int most_tries = 5;
constexpr int most_consecutive_failures = 8;              ///< devices in a row
constexpr std::size_t successes_for_another_worker = 64;  ///< in a row, until one more is allowed

}  // namespace

RotationWorkers::RotationWorkers(Context& context, std::size_t workers)
    : context_(context), count_(workers), allowed_(workers) {
  for (std::size_t i = 0; i < workers; ++i) workers_.emplace_back([this, i] { work(i); });
}

RotationWorkers::~RotationWorkers() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_available_.notify_all();
  for (auto& worker : workers_) worker.join();
}

std::exception_ptr RotationWorkers::token_failure() {
  const std::lock_guard lock(mutex_);
  return token_failure_;
}

void RotationWorkers::submit(std::vector<Item> items) {
  const std::lock_guard lock(mutex_);
  for (auto& item : items) waiting_.push_back(std::move(item));
  work_available_.notify_all();
}

std::vector<RotationWorkers::Item> RotationWorkers::collect(std::size_t least, std::size_t most) {
  std::unique_lock lock(mutex_);
  for (; count_ == 0 && !waiting_.empty(); waiting_.pop_front()) {
    do (void)process(*waiting_.front());
    while (waiting_.front()->stage == Stage::planned);
    finished_.push_back(std::move(waiting_.front()));
  }
  wanted_ = least;
  finished_enough_.wait(lock, [&] { return finished_.size() >= least; });
  std::vector<Item> items;
  for (; !finished_.empty() && items.size() < most; finished_.pop_front())
    items.push_back(std::move(finished_.front()));
  return items;
}

void RotationWorkers::stop(const std::exception_ptr& failure) {
  const std::lock_guard lock(mutex_);
  give_back(failure);
  finished_enough_.notify_one();
}

void RotationWorkers::give_back(const std::exception_ptr& failure) {
  std::deque<Item> to_take_back;  // their keys are in the token
  for (; !waiting_.empty(); waiting_.pop_front()) {
    auto& item = waiting_.front();
    const bool is_planned = item->stage == Stage::planned;
    if (is_planned) {
      item->failure = failure;
      item->stage = Stage::given_back;
    }
    (is_planned ? finished_ : to_take_back).push_back(std::move(item));
  }
  waiting_ = std::move(to_take_back);
}

void RotationWorkers::work(std::size_t number) {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_available_.wait(lock,
                         [&] { return closing_ || (!waiting_.empty() && number < allowed_); });
    if (closing_) return;
    Item item = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    const auto before = faults();
    const auto answer = process(*item);
    const bool finished = item->stage != Stage::planned;
    lock.lock();
    pace(before, finished);
    if (finished)
      consecutive_failures_ = answer == TokenAnswer::passing_fault ? consecutive_failures_ + 1 : 0;
    if (answer == TokenAnswer::token_lost ||
        consecutive_failures_ == most_consecutive_failures) {  // the other devices would wait as
                                                               // long for the same failure
      token_failure_ = item->failure;
      give_back(token_failure_);
    }
    (finished ? finished_ : waiting_).push_back(std::move(item));
    if (!finished) work_available_.notify_all();  // this worker may be one too many now
    if (finished_.size() >= wanted_)
      finished_enough_
          .notify_one();  // not for each: the waiting thread has the other processor to itself
  }
}

TokenAnswer RotationWorkers::process(RotationPlan& plan) {
  auto answer = TokenAnswer::final;
  if (plan.stage == Stage::planned) answer = make_keys(context_, plan);
  if (plan.stage == Stage::made) return answer;
  take_back(context_, plan);
  if (plan.stage == Stage::taken_back && answer == TokenAnswer::passing_fault &&
      ++plan.tries < most_tries) {
    plan.failure = nullptr;
    plan.made.clear();
    plan.stage = Stage::planned;
  }
  return answer;
}

void RotationWorkers::pace(std::uint64_t faults_before, bool finished) {
  if (const auto now = faults(); now != faults_before || !finished) {
    if (faults_before < slowed_at_) return;  // begun before the slowdown
    allowed_ = std::max<std::size_t>(1, allowed_ / 2);
    slowed_at_ = now;
    successes_ = 0;
  } else if (++successes_ == successes_for_another_worker) {
    allowed_ = std::min(allowed_ + 1, count_);
    successes_ = 0;
    work_available_.notify_all();
  }
}

}  // namespace smets1kms::lifecycle
