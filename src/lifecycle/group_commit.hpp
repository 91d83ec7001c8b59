// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <vector>

#include "smets1kms/errors.hpp"

namespace smets1kms::lifecycle {

/// Scheduler that lets changes of several threads share a transaction, a signature and an anchor.
/// The first thread to come is the leader: it commits at once, for itself alone if nobody else is
/// there. Threads that come meanwhile wait, and all of them are the next group. So nobody waits for
/// company, and a slow anchor is paid once for all who came while the one before it was written.
class GroupCommit {
 public:
  struct Member {
    std::function<void()> change;                      ///< run by the leader's thread
    std::function<void(const Refused&)> on_refusal{};  ///< runs where `change` was undone
    std::exception_ptr failure{};                      ///< what the change or the commit threw
    bool finished = false;
  };
  /// Function that commits a group; it gives a failure to each member that has one, and throws
  /// nothing.
  using Commit = std::function<void(const std::vector<Member*>&)>;
  explicit GroupCommit(Commit commit) : commit_(std::move(commit)) {}

  /// Runs a change. Blocks until it is committed or has failed; throws its failure.
  void run(Member member);

 private:
  Commit commit_;
  std::mutex mutex_;
  std::condition_variable group_ended_;
  std::vector<Member*> waiting_;
  bool has_leader_ = false;
};

}  // namespace smets1kms::lifecycle
