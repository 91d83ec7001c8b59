// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "registry/registry.hpp"
#include "smets1kms/config.hpp"
#include "smets1kms/handover.hpp"

namespace smets1kms::registry {

/// A handover target as the registry keeps it.
struct Target {
  HandoverTarget info;
  Bytes certificate;    ///< DER
  VaultKind keep{};     ///< the vault whose keys its public key may wrap
  std::int64_t record;  ///< index of the record of its admission
};

/// A key handed to one target.
struct HandedKey {
  KeyRef key;
  std::string target;
  std::uint32_t target_generation;
  Bytes wrapped;  ///< empty once received or given up
  std::optional<Time> received_at;
  [[nodiscard]] std::string label() const { return target_label(target, target_generation); }
};

/// Place behind which a page of handed keys begins.
struct HandedAfter {
  KeyRef key;
  std::string target;
};

/// The tables of handover targets and of the keys handed to them. Writes are made inside a
/// Transaction of the caller's.
class HandoverTables {
 public:
  explicit HandoverTables(sqlite::Database& database) : database_(database) {}
  /// Returns every target that was ever admitted, by name and generation.
  std::vector<Target> targets();
  void add_target(const Target& target);
  void set_status(const HandoverTarget& target, TargetStatus status);

  /// Adds a key that was wrapped for a target.
  void add(const HandedKey& handed);
  /// Returns the targets that a key was handed to, by name.
  std::vector<HandedKey> of_key(const KeyRef& key);
  /// Notes a receipt, and deletes the wrapped key.
  void set_received(const HandedKey& handed, Time at);
  /// Deletes up to `most` keys behind `after` that are stored for a target of this name. Returns
  /// the last one's place; nullopt: there are no more.
  std::optional<HandedAfter> forget_some(const std::string& target,
                                         const std::optional<HandedAfter>& after, std::size_t most);
  /// Returns up to `most` keys behind `after` whose transfers are withheld, and of which nothing is
  /// stored any more for a target that has not shown to hold them.
  std::vector<Key> given_up(const std::optional<KeyRef>& after, std::size_t most);
  /// Returns up to `most` keys that are stored and not received, behind `after`; of one target, or
  /// of all where `target` is empty.
  std::vector<HandedKey> stored(const std::string& target, const std::optional<HandedAfter>& after,
                                std::size_t most);
  std::uint64_t count_stored(const HandoverTarget& target);
  /// Returns up to `most` keys behind `after` that a target of this name was ever handed.
  std::vector<Key> handed_to(const std::string& target, const std::optional<KeyRef>& after,
                             std::size_t most);

 private:
  sqlite::Database& database_;
};

}  // namespace smets1kms::registry
