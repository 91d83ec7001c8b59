// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <span>
#include <string>

#include "lifecycle/context.hpp"

namespace smets1kms::lifecycle {

/// A kind of operations that may be open, as its row names it: the operations that its first record
/// may have, separated by blanks, and the operation of its keys' intents; empty: that of the first.
struct OperationKind {
  std::string_view kind, begins, intents;
};
/// Returns it; nullptr: operations of this kind are done in one transaction, and their first record
/// is of the operation that the kind is named after.
[[nodiscard]] const OperationKind* find_kind(std::string_view kind);
/// True if an operation of this kind may begin with a record of this operation.
[[nodiscard]] bool may_begin(std::string_view kind, std::string_view operation);

/// Intents of operations that the registry says are open, as the log has them: the log decides, and
/// a row alone makes nobody destroy or mark a key.
class OpenIntents {
 public:
  /// Reads the log from the oldest of these operations on, proved under its last head. Throws
  /// StorageError where the records are not those that the head was signed over.
  /// `covered`: number of the records that were under a signed head when the operations' writer
  /// ended.
  OpenIntents(Context& context, std::span<const registry::Operation> operations,
              std::uint64_t covered);
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
  std::uint64_t covered_;
  std::map<std::string, Intents, std::less<>> operations_;
  std::map<std::string, std::uint64_t, std::less<>> first_;
  std::uint64_t last_making_ = 0;  ///< index of the last intent that a key be made
};

}  // namespace smets1kms::lifecycle
