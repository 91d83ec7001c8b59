// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "lifecycle/operations.hpp"
#include "lifecycle/rotation_workers.hpp"

namespace smets1kms::lifecycle {
namespace {

/// Devices that share a transaction. While the token works on one such batch the next one's intents
/// are recorded, in the transaction that records the outcomes of the one before: it never waits for
/// the disk.
constexpr std::size_t batch_size = 256, in_hand_at_most = 2 * batch_size;
constexpr std::size_t first_size = 32,
                      last_size = 64;  // smaller ones, while there is nothing to do beside them

using Item = RotationWorkers::Item;

class Batch {
 public:
  Batch(Context& context, const RequestSource& next,
        const std::function<void(RotationResult)>& each, const std::function<bool()>& stop)
      : context_(context), next_(next), each_(each), stop_(stop) {}

  BatchSummary run() {
    do {
      auto made = collect();
      auto planned = plan();
      if (!workers_) workers_.emplace(context_, workers_for(planned.size()));
      record(planned, made);
      release(made);
      release(planned);
      in_hand_ += give_to_token(made) + give_to_token(planned);
    } while (more_ || in_hand_ > 0);
    if (failure_) std::rethrow_exception(failure_);
    return summary_;
  }

 private:
  /// One device alone is done by this thread; one session is left for the signature of the heads.
  [[nodiscard]] std::size_t workers_for(std::size_t planned) const {
    const auto most = std::max<std::size_t>(context_.token->pool().capacity(), 2) - 1;
    return more_ ? most : planned < 2 ? 0 : std::min(most, planned);
  }

  /// What the token has finished. With both hands full, or nothing left to plan, a batch of it is
  /// waited for.
  std::vector<Item> collect() {
    if (!workers_) return {};
    const auto least =
        more_ ? (in_hand_ < in_hand_at_most ? 0 : batch_size) : std::min(last_size, in_hand_);
    auto made = workers_->collect(least, batch_size);
    if (const auto lost = workers_->token_failure(); lost && !failure_)
      failure_ = not_begun_ = lost;
    in_hand_ -= made.size();
    return made;
  }

  std::vector<Item> plan() {
    std::vector<Item> planned;
    if (!summary_.stopped && (failure_ || (stop_ && stop_()))) {
      more_ = false;
      summary_.stopped = true;
      if (workers_)
        workers_->stop(not_begun_ = std::make_exception_ptr(
                           Refused(RefusalReason::interrupted, "interrupted before its turn")));
    }
    const auto most =
        std::min(std::clamp(2 * in_hand_, first_size, batch_size), in_hand_at_most - in_hand_);
    while (more_ && planned.size() < most) {
      Item item;
      call([&] {
        if (auto request = next_()) item = std::make_unique<RotationPlan>(*std::move(request));
      });
      if (item)
        planned.push_back(std::move(item));
      else
        more_ = false;
    }
    return planned;
  }

  /// Outcomes and intents in one transaction, under one signed head.
  void record(std::vector<Item>& planned, std::vector<Item>& made) {
    if (planned.empty() && made.empty()) return;
    context_.transact([&] {
      for (auto& plan : made) record_outcome(context_, *plan);
      for (auto& plan : planned) record_intent(context_, *plan);
      const bool releases = !made.empty() || std::ranges::any_of(planned, [](const Item& plan) {
        return plan->settled;
      });
      return releases ? SignCheckpoint::now : SignCheckpoint::deferred;
    });
  }

  /// What is settled goes to the caller; the rest stays in the list.
  void release(std::vector<Item>& items) {
    for (auto& item : items) {
      if (!item->settled) continue;
      if (item->failure && item->failure == not_begun_) {  // a later batch's: nothing to tell
        item.reset();
        continue;
      }
      RotationResult result{
          .device = item->request.device, .rotation = {}, .failure = item->failure};
      if (!item->failure) result.rotation = lifecycle::release(context_.config, *item);
      ++(item->failure ? summary_.failed : summary_.rotated);
      call([&] { each_(std::move(result)); });
      item.reset();
    }
    std::erase(items, nullptr);
  }

  std::size_t give_to_token(std::vector<Item>& items) {
    const auto count = items.size();
    if (count > 0) workers_->submit(std::exchange(items, {}));
    return count;
  }

  /// What the caller's own functions throw ends the batch; what is in hand is finished and recorded
  /// first.
  template <class Function>
  void call(Function&& function) {
    if (callers_failure_) return;
    try {
      function();
    } catch (...) {
      failure_ = callers_failure_ = std::current_exception();
    }
  }

  Context& context_;
  const RequestSource& next_;
  const std::function<void(RotationResult)>& each_;
  const std::function<bool()>& stop_;
  std::optional<RotationWorkers> workers_;
  std::size_t in_hand_ = 0;
  bool more_ = true;
  std::exception_ptr failure_;  ///< ends the batch
  std::exception_ptr
      callers_failure_;           ///< thrown by the caller's own functions: they are called no more
  std::exception_ptr not_begun_;  ///< of the devices that the end of the batch kept from the token
  BatchSummary summary_;
};

}  // namespace

BatchSummary rotate(Context& context, const RequestSource& next,
                    const std::function<void(RotationResult)>& each,
                    const std::function<bool()>& stop) {
  return Batch(context, next, each, stop).run();
}

}  // namespace smets1kms::lifecycle
