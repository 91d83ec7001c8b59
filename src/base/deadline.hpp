// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <future>
#include <optional>
#include <thread>

namespace smets1kms {

/// Runs `work` on a thread of its own and waits up to `limit`. Nullopt: the thread has not ended
/// and runs on, so what it holds must be its own (shared pointers, values). Prevents an endless
/// wait for a call into a token or a file system, which can't be interrupted.
template <class Work>
auto within(std::chrono::milliseconds limit, Work work) -> std::optional<decltype(work())> {
  std::packaged_task<decltype(work())()> task(std::move(work));
  auto result = task.get_future();
  std::thread thread(std::move(task));
  if (result.wait_for(limit) != std::future_status::ready) {
    thread.detach();
    return std::nullopt;
  }
  thread.join();  // before the caller goes on, what it held is given back
  return result.get();
}

}  // namespace smets1kms
