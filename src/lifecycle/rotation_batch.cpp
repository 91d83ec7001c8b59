// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "lifecycle/key_manager_impl.hpp"
#include "lifecycle/named_batch.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/rotation_workers.hpp"

namespace smets1kms::lifecycle {
namespace {

/// Number of devices that share a transaction. While the token works on one batch, the next one's
/// intents are recorded in the transaction that records the outcomes of the one before: the token
/// never waits for the disk.
constexpr std::size_t batch_size = 256, in_hand_at_most = 2 * batch_size;
constexpr std::size_t first_size = 32,
                      last_size = 64;  // smaller batches at the start and the end, where the token
                                       // and the disk don't work at once

using Item = RotationFeed::Item;

class RotationBatch {
 public:
  RotationBatch(Context& context, RotationFeed& feed,
                const std::function<void(RotationResult)>& each, const std::function<bool()>& stop)
      : context_(context), feed_(feed), each_(each), stop_(stop) {}

  ~RotationBatch() {
    workers_.reset();
    context_.locked([&] { context_.left_open.merge(open_); });
  }
  RotationBatch(const RotationBatch&) = delete;

  BatchSummary run() {
    recover_left_open(context_);
    do {
      auto made = collect();
      auto planned = plan();
      if (!workers_) workers_.emplace(context_, workers_for(planned.size()));
      record(planned, made);
      release(made);
      release(planned);
      call([&] { feed_.report_progress(); });
      in_hand_ += give_to_token(made) + give_to_token(planned);
    } while (more_ || in_hand_ > 0);
    if (failure_) std::rethrow_exception(failure_);
    return summary_;
  }

 private:
  /// Returns how many workers to use: none for one device alone; one session is left for signing
  /// heads.
  [[nodiscard]] std::size_t workers_for(std::size_t planned) const {
    const auto most = std::max<std::size_t>(context_.token->pool().capacity(), 2) - 1;
    return more_ ? most : planned < 2 ? 0 : std::min(most, planned);
  }

  /// Returns finished rotations. Blocks for a batch of them where two are in hand or nothing is
  /// left to plan.
  std::vector<Item> collect() {
    if (!workers_) return {};
    const auto least =
        more_ ? (in_hand_ < in_hand_at_most ? 0 : batch_size) : std::min(last_size, in_hand_);
    auto made = workers_->collect(least, batch_size);
    if (const auto lost = workers_->token_failure(); lost && !failure_) failure_ = lost;
    in_hand_ -= made.size();
    return made;
  }

  std::vector<Item> plan() {
    std::vector<Item> planned;
    const auto is_to_end = [&] {
      bool asked = false;
      call([&] { asked = stop_ && stop_(); });
      return asked || failure_;
    };
    if (!summary_.stopped && is_to_end()) {
      more_ = false;
      summary_.stopped = true;
      if (workers_)
        workers_->stop(std::make_exception_ptr(
            Refused(RefusalReason::interrupted, "interrupted before its turn")));
    }
    const auto most =
        std::min(std::clamp(2 * in_hand_, first_size, batch_size), in_hand_at_most - in_hand_);
    while (more_ && planned.size() < most) {
      Item item;
      try {
        item = feed_.next();
        more_ = item || !feed_.at_end();
      } catch (...) {
        failure_ = std::current_exception();
        more_ = false;
      }
      if (!item) break;
      planned.push_back(std::move(item));
    }
    return planned;
  }

  /// Records outcomes and intents in one transaction, under one signed head.
  void record(std::vector<Item>& planned, std::vector<Item>& made) {
    if (planned.empty() && made.empty()) return;
    try {
      context_.transact([&] {
        const auto before = context_.trail.last_index();
        for (auto& plan : made) record_outcome(context_, *plan);
        for (auto& plan : planned) record_intent(context_, *plan);
        feed_.record(made, planned, before);
      });
    } catch (...) {  // the intents may be durable, and only their head not kept
      note_open(planned);
      throw;
    }
    note_open(planned);
    for (const auto& plan : made)
      if (has_ended(plan->stage) && plan->stage != Stage::left_open)
        open_.erase(plan->request.operation_id);
    feed_.committed();
  }

  void note_open(const std::vector<Item>& planned) {
    for (const auto& plan : planned)
      if (plan->stage == Stage::planned) open_.insert(plan->request.operation_id);
  }

  /// Hands ended rotations to the caller; the others stay in the list.
  void release(std::vector<Item>& items) {
    for (auto& item : items) {
      if (!has_ended(item->stage)) continue;
      // The caller is not told of later batches' items, nor of the failure that ends this one.
      if (item->stage != Stage::not_begun && (!item->failure || item->failure != failure_))
        deliver(*item);
      item.reset();
    }
    std::erase(items, nullptr);
  }

  void deliver(const RotationPlan& plan) {
    RotationResult result{.device = plan.request.device, .rotation = {}, .failure = plan.failure};
    if (plan.failure)
      set_operation_id(plan.failure, plan.act.operation_id);
    else
      result.rotation = lifecycle::release(context_.config, plan);
    ++(plan.failure ? summary_.failed : summary_.rotated);
    call([&] {
      each_(std::move(result));
      feed_.handed_over(plan);
    });
  }

  std::size_t give_to_token(std::vector<Item>& items) {
    const auto count = items.size();
    if (count > 0) workers_->submit(std::exchange(items, {}));
    return count;
  }

  /// Calls a function of the caller's. An exception from it ends the batch, after the rotations in
  /// hand are finished and recorded.
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
  RotationFeed& feed_;
  const std::function<void(RotationResult)>& each_;
  const std::function<bool()>& stop_;
  std::optional<RotationWorkers> workers_;
  std::set<std::string> open_;  ///< operations with an intent and no recorded outcome
  std::size_t in_hand_ = 0;
  bool more_ = true;
  std::exception_ptr failure_;  ///< ends the batch
  /// Exception of the caller's own functions, which are called no more.
  std::exception_ptr callers_failure_;
  BatchSummary summary_;
};

/// Feed of one rotation.
class SingleRotation : public RotationFeed {
 public:
  explicit SingleRotation(const RotationRequest& request)
      : plan_(std::make_unique<RotationPlan>(request)) {}
  Item next() override { return std::move(plan_); }
  [[nodiscard]] bool at_end() const override { return !plan_; }

 private:
  Item plan_;
};

BatchSummary run(Context& context, NamedBatch batch,
                 const std::function<void(RotationResult)>& each,
                 const std::function<bool()>& stop) {
  return under_operation(batch.name(), [&] {
    try {
      auto summary = RotationBatch(context, batch, each, stop).run();
      batch.end(summary);
      return summary;
    } catch (...) {
      batch.abandon();
      throw;
    }
  });
}

}  // namespace

}  // namespace smets1kms::lifecycle

namespace smets1kms {

Rotation KeyManager::rotate(const RotationRequest& asked) {
  auto& context = impl_->context;
  auto request = asked;
  request.operation_id = context.operation_id(request.operation_id);
  return under_operation(request.operation_id, [&] {
    const auto claimed = context.claim(request.operation_id);
    SingleRotation feed(request);
    std::optional<Rotation> rotation;
    const std::function<void(RotationResult)> each = [&](RotationResult result) {
      if (result.failure) std::rethrow_exception(result.failure);
      rotation = std::move(result.rotation);
    };
    (void)RotationBatch(context, feed, each, {}).run();
    return *std::move(rotation);
  });
}

BatchSummary KeyManager::rotate(const BatchRequest& request,
                                const std::function<void(RotationResult)>& each,
                                const std::function<bool()>& stop) {
  return run(impl_->context, NamedBatch(impl_->context, impl_->fleet, request), each, stop);
}

BatchSummary KeyManager::resume(const std::string& name,
                                const std::function<void(RotationResult)>& each,
                                const std::function<bool()>& stop) {
  return run(impl_->context, NamedBatch(impl_->context, impl_->fleet, name), each, stop);
}

}  // namespace smets1kms
