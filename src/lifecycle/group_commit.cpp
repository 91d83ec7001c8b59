// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/group_commit.hpp"

#include <utility>

namespace smets1kms::lifecycle {

void GroupCommit::run(Member self) {
  std::unique_lock lock(mutex_);
  waiting_.push_back(&self);
  group_ended_.wait(lock, [&] { return self.finished || !has_leader_; });
  if (!self.finished) {
    has_leader_ = true;
    const auto group = std::exchange(waiting_, {});
    lock.unlock();
    commit_(group);
    lock.lock();
    has_leader_ = false;
    for (Member* member : group) member->finished = true;
    group_ended_.notify_all();
  }
  if (self.failure) std::rethrow_exception(self.failure);
}

}  // namespace smets1kms::lifecycle
