// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <future>
#include <optional>
#include <thread>

namespace smets1kms {

/// Runs `work` on a thread of its own and waits for so long. Nullopt: it has not ended, and is left
/// to itself, so what it holds must be its own (shared pointers, values). A call into a token or a
/// file system can't be interrupted; that it is waited for without end is what this prevents.
template <class Work>
auto within(std::chrono::milliseconds limit, Work work) -> std::optional<decltype(work())> {
  std::packaged_task<decltype(work())()> task(std::move(work));
  auto result = task.get_future();
  std::thread thread(std::move(task));
  if (result.wait_for(limit) != std::future_status::ready) {
    thread.detach();
    return std::nullopt;
  }
  thread.join();  // and what it held is given back before we go on
  return result.get();
}

}  // namespace smets1kms
