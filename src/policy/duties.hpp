// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/policy.hpp"

/// Duties of a device: what is asked, by when, and whether it was done. Pure functions of facts, a
/// policy and a moment.
namespace smets1kms::policy {

/// One generation of a key.
struct KeyFacts {
  KeyRole role;
  std::uint32_t generation;
  Moment generated;  ///< its generation in the token, or its import
  /// Moment of a missing answer, or another than success; of the delivery of a KEK not proved yet.
  std::optional<Moment> in_doubt{};
  std::optional<Moment> confirmed{};    ///< by the device's answer, a probe, or a KEK's proof
  std::optional<Moment> not_held{};     ///< shown that the device kept its old key
  std::optional<Moment> compromised{};  ///< suspected to be
};

struct DeviceFacts {
  DeviceKind kind;
  std::vector<KeyRole> supports;
  std::vector<DeviceEvent> events;  ///< oldest first
  std::vector<KeyFacts> keys;
};

enum class FactKind : std::uint8_t {
  commissioned,
  recommissioned,
  decommissioned,
  generated,
  in_doubt,
  confirmed,
  compromised,
  rule_ended
};

/// One of the facts that led to a duty or to its status.
struct Fact {
  FactKind kind;
  Moment moment;
  std::optional<KeyRole> role{};
  std::optional<std::uint32_t> generation{};
  /// Time from `moment` to its record, where it was recorded late (Policy::late_by).
  std::optional<std::chrono::milliseconds> late{};
};
/// Returns "guek generation 2 confirmed by the device", "decommissioned, recorded 89 days late";
/// without its time.
[[nodiscard]] std::string to_string(const Fact& fact);

/// A duty as judged. Points into the Policy that it was made by.
struct Duty {
  RuleId id;
  /// Edition in force when the duty began: conduct is judged by the rule of its day.
  const Edition* edition;
  const Rule* rule;              ///< nullptr: the edition has none of this id
  const Adjustment* adjustment;  ///< nullptr: the numbers are the edition's
  Time began;
  std::vector<RoleReplacement> roles;
  std::optional<Limit> limit;    ///< nullopt: nothing is asked
  std::optional<Time> due_soon;  ///< when `due_soon` begins
  DutyStatus status;
  /// Time left to the deadline, from now or from what ended the duty; negative: late.
  std::optional<std::chrono::milliseconds> margin;
  bool breach;              ///< the deadline passed and it was not met
  bool wanted;              ///< a replacement now would still serve: what `rotate --due` acts on
  std::vector<Fact> facts;  ///< oldest first
  std::string_view why;     ///< for not_applicable: why; else empty
};

/// Returns the duties of a device as they stood at `now`, by their beginning; facts that are later
/// than `now` are passed over. P1 (S1SR clause 20, SEC Appendix AT): one for each commissioning. P2
/// (S1SR clause 20): one for each role and confirmed replacement. P3 (project rule): one for each
/// moment at which keys were marked compromised. P4 (project rule) is in the others: a
/// recommissioning begins a P1, a decommissioning closes what is not due yet as long as the device
/// is gone, a suspension changes nothing. An event that was recorded late counts from its record
/// wherever its earlier time would help: a decommissioning closes nothing before it, and after a
/// commissioning only keys made since then serve; the deadline runs from the earlier time. Throws
/// BadInput for facts that can't be (events out of order, a key confirmed before it was generated).
[[nodiscard]] std::vector<Duty> duties(const DeviceFacts& device, const Policy& policy, Time now);

/// Returns which of the duty's facts were recorded late, each with how late; empty: none.
[[nodiscard]] std::string late_facts(const Duty& duty);

/// Returns what the duty waits for, role by role: "guek: a rotation; gak: the resolution of its
/// doubt"; empty unless wanted.
[[nodiscard]] std::string waits_for(const Duty& duty);

/// A change of a duty's status that comes with time alone.
struct StatusChange {
  Time at;             ///< for a breach: the deadline, the last moment on time
  DutyStatus becomes;  ///< due_soon, lapsed, or as a breach overdue or outcome_unknown
  Duty duty;           ///< as it stands now: what, why and by which rule
};
/// Returns what becomes due after `now`, and when, earliest first.
[[nodiscard]] std::vector<StatusChange> look_ahead(const DeviceFacts& device, const Policy& policy,
                                                   Time now);

}  // namespace smets1kms::policy
