#pragma once
#include <functional>
#include <optional>
#include <unordered_map>

#include "audit/record.hpp"
#include "lifecycle/clock.hpp"
#include "registry/registry.hpp"
#include "smets1kms/types.hpp"

namespace smets1kms::lifecycle {

/// What an operation is recorded under.
struct Act {
  std::string_view name;  ///< "key.generate"
  std::string operation_id;
  Authority authority;
  std::string_view reason{};
};

/// Composes records and appends them. Each append is part of the caller's transaction: `begin` before its first,
/// `end` before it is committed. What records are chained to is read once in a transaction, and written once.
class Trail {
 public:
  Trail(registry::Registry& registry, const Clock& clock) : registry_(registry), clock_(clock) {}
  void begin();
  void end();
  /// "SoftHSM v2 slot…/label/serial": which token the keys of later records are in.
  void set_token(std::string identity) { token_ = std::move(identity); }
  /// Every record from now on says that the token's protections were not insisted on.
  void mark_unprotected() { unprotected_ = true; }

  enum class Phase { intent, outcome, note };
  /// A record that says who, what and why; facts and result are the caller's to add.
  [[nodiscard]] audit::Record record(const Act& act, Phase phase) const;
  /// The facts of a key as it is now.
  static void describe(audit::Record& record, const Key& key);
  /// Stamps the record (time, host, salt, the device's sequence and previous record) and stores it. Returns its index.
  /// Where the clock was set back since the last record, a record of that goes before it.
  std::int64_t append(audit::Record& record, std::optional<DeviceId> device);
  /// A note whose detail depends on the index that it gets.
  std::int64_t append_map(const Act& act, const std::function<std::string(std::uint64_t index)>& detail);

 private:
  /// The time of the next record; where it lies before the last one's, a record says so first.
  Instant settled_now();
  std::int64_t stamp(audit::Record& record, const Instant& now, std::optional<DeviceId> device);
  /// The record before the next one; -1: there is none.
  struct Last {
    std::int64_t index;
    std::string time;  ///< as it is written there
  };
  Last& last();
  registry::DeviceHead& head(DeviceId device);

  registry::Registry& registry_;
  const Clock& clock_;
  std::string token_;
  bool unprotected_ = false;
  std::optional<Last> last_;  ///< nullopt: not read yet in this transaction
  std::unordered_map<std::uint64_t, registry::DeviceHead> heads_;
};

}  // namespace smets1kms::lifecycle
