// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>
#include <unordered_map>

#include "audit/record.hpp"
#include "base/clock.hpp"
#include "policy/policy.hpp"
#include "registry/registry.hpp"
#include "smets1kms/types.hpp"

namespace smets1kms::trail {

/// Context that an operation is recorded under.
struct AuditContext {
  std::string_view name;  ///< "key.generate"
  std::string operation_id;
  Authority authority;
  std::string_view reason{};

  /// Returns the context of a step of the same operation.
  [[nodiscard]] AuditContext as(std::string_view step) const {
    return {.name = step, .operation_id = operation_id, .authority = authority};
  }
};

/// Writer of the trail, which composes records and appends them. Each append is part of the
/// caller's transaction: `begin` before its first, `end` before it is committed. The ends of the
/// chains are read once in a transaction, and written once.
class RecordWriter {
 public:
  /// Makes a writer. Records of a key's or a device's life name the policy's edition in force and
  /// their rule.
  RecordWriter(registry::Registry& registry, const Clock& clock, const policy::Policy& policy)
      : registry_(registry), clock_(clock), policy_(policy) {}
  void begin();
  void end();
  /// Sets the token that the keys of later records are in: "SoftHSM v2 slot…/label/serial".
  void set_token(std::string identity) { token_ = std::move(identity); }
  /// Makes every record from now on say that the token's protections were not required.
  void mark_unprotected() { unprotected_ = true; }

  enum class Phase { intent, outcome, note };
  /// Returns a record that says who, what and why; the caller adds facts and result.
  [[nodiscard]] audit::Record record(const AuditContext& act, Phase phase) const;
  /// Returns one about a key, with its facts as they are now and its step from state to state.
  [[nodiscard]] audit::Record record(const AuditContext& act, Phase phase, const Key& key,
                                     KeyState from, KeyState to) const;
  [[nodiscard]] audit::Record record(const AuditContext& act, Phase phase, const Key& key) const {
    return record(act, phase, key, key.state, key.state);
  }
  /// Completes the record (time, host, salt, the device's sequence and previous record) and stores
  /// it. Returns its index. Where the clock was set back since the last record, a record of that
  /// goes before it.
  std::int64_t append(audit::Record& record, std::optional<DeviceId> device);
  /// Returns the time of the next record, or of several whose acts happened at once; where it lies
  /// before the last one's, a record says so first. The log's first record names the store.
  [[nodiscard]] Instant moment();
  std::int64_t append(audit::Record& record, std::optional<DeviceId> device, const Instant& moment);
  /// Returns the index of the last record, in the caller's transaction; -1: there is none.
  [[nodiscard]] std::int64_t last_index() { return last().index; }
  /// Returns the edition in force now.
  [[nodiscard]] const policy::Edition& edition() const { return edition_at(clock_.now().utc); }
  /// Appends a note whose detail depends on the index that it gets.
  std::int64_t append_device_map(const AuditContext& act,
                                 const std::function<std::string(std::uint64_t index)>& detail);

 private:
  const policy::Edition& edition_at(Time moment) const;
  /// Record before the next one; -1: there is none.
  struct Last {
    std::int64_t index;
    std::string time, boot;  ///< its time and boot as written
    std::uint64_t monotonic_us;
  };
  Last& last();
  registry::ChainHead& head(DeviceId device);

  registry::Registry& registry_;
  const Clock& clock_;
  const policy::Policy& policy_;
  /// Edition of the last moment asked for: it stays the same for years.
  mutable const policy::Edition* edition_ = nullptr;
  std::string token_;
  bool unprotected_ = false;
  std::optional<Last> last_;  ///< nullopt: not read yet in this transaction
  std::unordered_map<std::uint64_t, registry::ChainHead> heads_;
};

}  // namespace smets1kms::trail
