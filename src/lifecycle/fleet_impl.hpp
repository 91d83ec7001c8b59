// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <mutex>
#include <vector>

#include "base/clock.hpp"
#include "policy/policy.hpp"
#include "registry/registry.hpp"

namespace smets1kms {

/// Read-only connections, one for each read, so that no read waits for another or for the writer.
struct Fleet::Impl {
  Config config;
  Callbacks callbacks;
  Clock clock;
  policy::Policy policy;
  std::mutex mutex{};                        ///< held while a connection is taken or given back
  std::vector<registry::Registry> unused{};  ///< as many as there were reads at the same time

  /// Opens a connection. Throws StorageError.
  [[nodiscard]] registry::Registry connect();
  /// Returns what `work` returns. An exception from it closes the connection.
  template <class Work>
  auto use(Work&& work) {
    auto connection = connect();
    auto result = work(connection);
    const std::lock_guard lock(mutex);
    unused.push_back(std::move(connection));
    return result;
  }
  /// Does the same in one view of the registry, however many statements `work` has.
  template <class Work>
  auto read(Work&& work) {
    return use([&](registry::Registry& registry) {
      const sqlite::ReadTransaction one_view(registry.database());
      return work(registry);
    });
  }
};

}  // namespace smets1kms
