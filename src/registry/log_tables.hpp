// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "audit/log.hpp"
#include "registry/registry.hpp"

namespace smets1kms::registry {

/// A device's last record.
struct LastRecord {
  std::uint64_t device, sequence, index;
  Hash leaf;
};

/// Tables of the Merkle log over the records: the roots that the next head grows from, the heads
/// that were signed, and the subtrees of 256 leaves that proofs are read from. Written inside the
/// caller's transaction.
class LogTables {
 public:
  explicit LogTables(sqlite::Database& database) : database_(database) {}

  /// Returns how many records the last head covers, and the roots of their complete subtrees, the
  /// largest first.
  std::pair<std::uint64_t, std::vector<Hash>> peaks();
  void set_peaks(std::uint64_t size, const std::vector<Hash>& peaks);
  std::uint64_t record_count();
  /// Returns the leaf hashes of the records from this index on.
  std::vector<Hash> leaves_from(std::uint64_t index);
  /// Returns the tree of the first `size` leaves as it is stored.
  audit::TreeStore tree(std::uint64_t size);
  void add_node(std::uint64_t index, const Hash& hash);
  void add_checkpoint(std::uint64_t size, std::string_view note);
  std::optional<std::string> last_checkpoint();
  std::optional<std::string> checkpoint_before_last();
  /// Returns the newest checkpoint that covers so many records.
  std::optional<std::string> checkpoint_of(std::uint64_t size);
  /// True if more devices than so many have a record.
  bool has_more_devices_than(std::uint64_t count);
  /// Visits the last records sorted by device, as unsigned numbers.
  void for_each_last_record(const std::function<void(const LastRecord&)>& visit);

 private:
  sqlite::Database& database_;
};

}  // namespace smets1kms::registry
