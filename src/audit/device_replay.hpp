// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <vector>

#include "audit/suspicions.hpp"

namespace smets1kms::audit {

[[nodiscard]] constexpr bool is_suspected(KeyState state) {
  return state == KeyState::compromised || state == KeyState::destroyed_compromised;
}

/// Replay of one device's records in order, or of the records without a device: sequence, chain,
/// keys and their states.
class DeviceReplay {
 public:
  using Id = std::array<std::uint8_t, 16>;
  struct Key {
    Id id, kek, predecessor, operation;
    std::optional<KeyRole> role;
    std::uint32_t generation;
    std::string_view made_by;  ///< the operation that planned it
    KeyState state = KeyState::none;
    Delivery delivery = Delivery::planned;
    std::uint64_t since;     ///< index of the record that led there
    std::uint64_t made = 0;  ///< index of the record that it was made by
    bool sealed = false;     ///< at rest outside of the token, or waiting there for the officer
    /// `moved`: the same KEK is in the other vault, as the next generation.
    bool imported = false, moved = false;
    std::uint32_t transfer = 0;  ///< its number; 0: none
    std::uint32_t target;        ///< of a handover target's public key: tag of its name
    HandoverTags handovers{};
    std::uint8_t received = 0;  ///< a bit for each handover whose target has shown receipt
    /// True if a target that asked to be served before the transfer has shown no receipt.
    [[nodiscard]] bool lacks_receipt() const {
      return (handovers.before_transfer & ~received) != 0;
    }
  };
  struct Open {
    Id operation, key;
    std::string_view name;  ///< the operation
    std::uint64_t index;
    std::array<std::uint8_t, 8> authority;
  };

  /// Makes a replay; nullopt: of records about the log and the token, and of refusals without a
  /// device. `suspicions` outlives it; nullptr: they are not known.
  explicit DeviceReplay(std::optional<std::uint64_t> device, const Suspicions* suspicions = nullptr)
      : device_(device), suspicions_(suspicions) {}
  /// Adds a record. Throws VerificationFailed where it can't follow the records before it.
  void add(const RecordSummary& summary);
  /// Finishes behind the last record. Throws VerificationFailed where a mark was due and is
  /// missing.
  void finish() const;
  /// Returns a finding for each intent, doubt and mark that is left open at the end.
  [[nodiscard]] std::vector<Finding> findings() const;

  /// Returns the sequence number of the last record, as a device-head map has it.
  [[nodiscard]] std::uint64_t sequence() const { return sequence_; }
  [[nodiscard]] std::uint64_t index() const { return index_; }
  [[nodiscard]] const Hash& leaf() const { return leaf_; }
  /// Returns the keys as the records leave them, in the order of their intents.
  [[nodiscard]] const std::vector<Key>& keys() const { return keys_; }
  /// Returns the intents without an outcome.
  [[nodiscard]] const std::vector<Open>& open() const { return open_; }

 private:
  Key* find(const Id& id);
  Key& need(const RecordSummary& summary);
  void follow_chain(const RecordSummary& summary);
  void check_same(const RecordSummary& summary, const Key& key) const;
  void plan(const RecordSummary& summary);
  void make(const RecordSummary& summary, const RecordType& rule);
  void finish(const RecordSummary& summary, Key& key);
  void change(const RecordSummary& summary, const RecordType& rule);
  void check_target(const RecordSummary& summary, Key& key) const;
  void check_receipts(const RecordSummary& summary, const Key& key) const;
  void settle(const RecordSummary& summary, const RecordType& rule);
  void begin(const RecordSummary& summary, std::string_view name);
  std::string_view close(const RecordSummary& summary, std::string_view name);
  void follow_device(const RecordSummary& summary, const RecordType& rule);
  void need_marks(const RecordSummary& summary, const RecordType& rule) const;
  void need_mark(const Key& key, std::uint64_t index, bool hands_out) const;
  [[nodiscard]] const Suspicions::Suspicion* unmarked_by(const Key& key) const;
  [[nodiscard]] bool has_marks_to_come() const {
    return device_ && suspicions_ != nullptr && !suspicions_->is_empty();
  }
  void move(const RecordSummary& summary, Key& key);

  std::optional<std::uint64_t> device_;
  const Suspicions* suspicions_;
  std::uint64_t sequence_ = 0, index_ = 0;
  Hash leaf_{};
  std::vector<Key> keys_;
  std::string_view status_;  ///< the last event of the device's life; empty: it was not registered
  bool is_in_service_ = true;                      ///< commissioned, and not decommissioned since
  std::optional<std::uint64_t> registered_again_;  ///< the record that said what it is once more
  bool is_suspected_ = false;                      ///< a KEK of it was compromised
  std::vector<Open> open_;
};

}  // namespace smets1kms::audit
