// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/group_commit.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <thread>

using namespace smets1kms;
using lifecycle::GroupCommit;

namespace {

/// Runs the changes of a group as the library does, and says how large each group was.
struct Committer {
  std::vector<std::size_t> sizes;
  std::function<void(std::size_t group)> before = [](std::size_t) {};
  GroupCommit commit{[this](const std::vector<GroupCommit::Member*>& group) {
    sizes.push_back(group.size());
    before(sizes.size());
    for (auto* member : group) try {
        (void)member->change();
      } catch (...) {
        member->failure = std::current_exception();
      }
  }};
};

}  // namespace

TEST_CASE("a change that comes alone is committed at once, by its own thread") {
  Committer committer;
  const auto self = std::this_thread::get_id();
  std::thread::id by;
  committer.commit.run({.change = [&] { by = std::this_thread::get_id(); }});
  CHECK(by == self);
  CHECK(committer.sizes == std::vector<std::size_t>{1});
}

TEST_CASE("changes that come while a group is committed are the next group; a failure is its own") {
  constexpr int threads = 8;
  Committer committer;
  std::promise<void> others_wait;
  std::atomic<int> come = 0, done = 0, failed = 0;
  committer.before = [&](std::size_t group) {
    if (group == 1) others_wait.get_future().wait();  // the first is slow
  };
  const auto run = [&](int i) {
    ++come;
    try {
      committer.commit.run({.change = [&done, i] {
        if (i == 3) throw Refused(RefusalReason::in_doubt, "third");
        ++done;
      }});
    } catch (const Refused& refusal) {
      CHECK(refusal.refusal() == RefusalReason::in_doubt);
      ++failed;
    }
  };
  std::vector<std::thread> all;
  all.emplace_back(run, 0);
  while (committer.sizes.empty()) std::this_thread::yield();
  for (int i = 1; i < threads; ++i) all.emplace_back(run, i);
  while (come < threads) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // until they stand in the queue
  others_wait.set_value();
  for (auto& thread : all) thread.join();
  CHECK(done == threads - 1);
  CHECK(failed == 1);
  CHECK(committer.sizes.size() <= 3);  // 1, then those that waited; at most one came later
  CHECK(committer.sizes.front() == 1);
}

TEST_CASE("a group that can't be committed fails each of its members") {
  GroupCommit commit([](const std::vector<GroupCommit::Member*>& group) {
    for (auto* member : group) member->failure = std::make_exception_ptr(StorageError("no room"));
  });
  bool ran = false;
  CHECK_THROWS_AS(commit.run({.change = [&] { ran = true; }}), StorageError);
  CHECK_FALSE(ran);
}
