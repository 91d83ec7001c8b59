// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>

#include "policy/duties.hpp"
#include "report/event.hpp"

namespace smets1kms::report {

/// A matter of a device that a person has to settle.
struct Problem {
  enum class Kind : std::uint8_t {
    in_doubt,
    unproven,
    open_intent,
    conflict,
    withheld,
    without_kek
  } kind;
  const Event* event;  ///< the one that led there
  std::string why{};   ///< without_kek: the record's detail, where it was looked up
};
[[nodiscard]] std::string_view to_string(Problem::Kind kind);

/// A device as the trail and the operator's list tell of it. Points into the events it was made
/// from.
struct Device {
  std::uint64_t id;
  std::span<const Event> events;  ///< records only
  const Event* listed = nullptr;  ///< nullptr: the list does not name it, or there is none
  std::optional<policy::DeviceFacts> facts;
  std::string unknown;  ///< why it can't be judged; empty: it can
  std::vector<policy::Duty> duties;
  std::vector<Problem> problems;
  bool in_service = false;

  [[nodiscard]] std::string name() const { return audit::device_name(id); }
  /// Returns the event of a record; nullptr: the record is not of this device.
  [[nodiscard]] const Event* event(std::uint64_t index) const;
};

/// Returns a device's facts and duties. `policy` nullptr: there is none to judge by. Nothing
/// that is not in the records is guessed.
[[nodiscard]] Device device_facts(std::span<const Event> events, const policy::Policy* policy,
                                  Time now);

/// Returns nullopt where nothing is asked.
[[nodiscard]] std::optional<Time> deadline_of(const policy::Duty& duty);
/// Returns when a duty was met, the device gone or the rule ended; nullopt: it is open.
[[nodiscard]] std::optional<Time> ended(const policy::Duty& duty);
/// True for a duty that is not met, past its deadline, and still to be done.
[[nodiscard]] bool is_open_breach(const policy::Duty& duty);
[[nodiscard]] RuleOrigin whose(const policy::Duty& duty);

}  // namespace smets1kms::report
