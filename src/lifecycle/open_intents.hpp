// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <span>
#include <string>

#include "lifecycle/context.hpp"

namespace smets1kms::lifecycle {

/// Intents of operations that the registry says are open, as the log has them: the log decides, and
/// a row alone makes nobody destroy or mark a key.
class OpenIntents {
 public:
  /// Reads the log from the oldest of these operations on, proved under its last head. Throws
  /// StorageError where the records are not those that the head was signed over.
  OpenIntents(Context& context, std::span<const registry::Operation> operations);
  /// Returns in what an open operation's row and the rows of its keys contradict the log; empty:
  /// the log has its intent, without an outcome. Throws TokenUnavailable.
  [[nodiscard]] std::string contradiction(const registry::Operation& operation);

 private:
  struct Intents {
    std::optional<audit::Record> first;         ///< the record that the row names
    std::map<std::string, audit::Record> open;  ///< intents without an outcome, by key id
  };
  void read(const TrailEntry& entry, const audit::RecordView& record);
  [[nodiscard]] std::vector<Key> keys_of(const registry::Operation& operation);
  /// Returns the contradiction of an operation whose intent is under no signed head: it may only
  /// take back a key of its own purpose that an officer was making.
  [[nodiscard]] std::string contradiction_of_ceremony(const audit::Record& intent);

  Context& context_;
  std::map<std::string, Intents, std::less<>> operations_;
  std::map<std::string, std::uint64_t, std::less<>> first_;
  std::uint64_t last_making_ = 0;  ///< index of the last intent that a key be made
};

}  // namespace smets1kms::lifecycle
