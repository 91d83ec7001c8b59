// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "registry/registry.hpp"

namespace smets1kms::registry {

/// A named batch as the registry keeps it.
struct Batch {
  BatchInfo info;
  Hash digest{};  ///< tells the same request from another one
  /// Indices of records of the trail. Of the rotations whose outcome is recorded up to `recorded`,
  /// those behind `handed` were not handed over to the caller.
  std::int64_t handed = -1, recorded = -1;
};

/// The tables of named batches: `batch`, and `batch_device` with the devices of those that are for
/// a list. Writes are made inside a Transaction of the caller's.
class BatchTables {
 public:
  explicit BatchTables(sqlite::Database& database) : database_(database) {}
  void add(const Batch& batch, std::span<const DeviceId> devices);
  /// Writes the columns that change while a batch is run.
  void save(const Batch& batch);
  std::optional<Batch> find(std::string_view name);
  /// Returns batches behind `after`, by name.
  std::vector<Batch> following(std::string_view after, std::size_t most);
  /// Returns devices of a list from this position on; the first has position 0.
  std::vector<DeviceId> devices(std::string_view name, std::int64_t from, std::size_t most);

 private:
  sqlite::Database& database_;
};

}  // namespace smets1kms::registry
