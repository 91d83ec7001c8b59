// SPDX-License-Identifier: Apache-2.0
/// @file
/// Duties: what the policy asks of devices, by when and by which rule. The rules are S1SR clause 20
/// until 17 December 2021, SEC Appendix AT since, and rules of this project, which are named as
/// such.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "smets1kms/types.hpp"

namespace smets1kms {

enum class RuleId : std::uint8_t {
  p1,  ///< replacement after commissioning
  p2,  ///< replacement at intervals
  p3,  ///< replacement on suspected compromise
  p4,  ///< effects of commissioning, decommissioning and suspension on the other rules
};
/// Author of a rule: the regulator or this project, whose rules are never shown as the regulator's.
enum class RuleOrigin : std::uint8_t { regulator, project };

enum class DutyStatus : std::uint8_t {
  not_applicable,      ///< the rule asks nothing of this device
  exempt_unsupported,  ///< the device does not support the role ("where the device supports it")
  pending,             ///< not due yet
  due_soon,            ///< the deadline is near
  met,                 ///< at the deadline or before
  met_late,            ///< met after the deadline: a past breach
  overdue,             ///< not met, and the deadline has passed: a breach
  lapsed,              ///< the rule ended at the deadline or before
  closed,              ///< the device was decommissioned at the deadline or before
  outcome_unknown,     ///< every replacement that is missing is in doubt; counts as not met
};

/// Progress of the replacement of one key.
enum class RoleProgress : std::uint8_t { none, generated, in_doubt, confirmed };
struct RoleReplacement {
  KeyRole role;
  RoleProgress progress;
};

/// Each returns the word of a value: "P1", "regulator", "due-soon", "in-doubt".
[[nodiscard]] std::string_view to_string(RuleId id);
[[nodiscard]] std::string_view to_string(RuleOrigin origin);
[[nodiscard]] std::string_view to_string(DutyStatus status);
[[nodiscard]] std::string_view to_string(RoleProgress progress);
/// Returns the status of a word. Throws BadInput that lists the accepted words.
[[nodiscard]] DutyStatus parse_duty_status(std::string_view text);

/// A fact that led to a duty or to its status.
struct DutyFact {
  Moment moment;
  std::string what;  ///< "guek generation 2 confirmed by the device"
};

/// One duty of one device at a moment. A value without pointers to anything else.
struct Duty {
  DeviceId device;
  RuleId rule;
  std::string edition;  ///< the edition in force when the duty began: "sec-appendix-at"
  std::optional<RuleOrigin> origin;  ///< nullopt: the edition has no rule of this id
  std::string source;                ///< "S1SR clause 20", "SEC Appendix AT", "smets1-kms"
  DutyStatus status;
  Time began;
  /// For a limit in days the earlier of the next two; nullopt: nothing is asked.
  std::optional<Time> deadline;
  std::optional<Time> after_hours;  ///< the limit in days read as that many times 24 h
  /// The limit in days read as the end of the last day, Europe/London.
  std::optional<Time> end_of_day;
  std::string deadline_text;          ///< both readings of the limit, for people
  std::optional<Time> due_soon_from;  ///< when `due_soon` begins
  /// Time left to the deadline, from now or from what ended the duty, in ms; negative: late.
  std::optional<std::chrono::milliseconds> margin;
  bool breach;  ///< the deadline passed and it was not met
  bool wanted;  ///< a replacement now would still serve it: a rotation of what is due includes it
  std::vector<RoleReplacement> roles;
  std::string no_kek_reason;  ///< why the device has no KEK; empty: its fleet file had one
  std::string waits_for;  ///< "guek: a rotation; gak: the resolution of its doubt"; empty: nothing
  std::string why;        ///< for not_applicable: why nothing is asked
  std::vector<DutyFact> facts;  ///< oldest first
  /// "decommissioned, recorded 89 days late"; empty: every fact was recorded in time.
  std::string late_facts;
  /// A site's change of the rule's numbers; a `deviation` changes a number of the regulator's.
  struct Adjustment {
    bool deviation;
    std::string who, authorised_by, why;
    Time from;
    std::optional<Time> until;
  };
  std::optional<Adjustment> adjusted;
};

/// A device that can't be judged, because its facts contradict each other (a clock was set back).
struct NotJudged {
  DeviceId device;
  std::string why;
};

/// The duties of one page of devices.
struct DutyPage {
  std::vector<Duty> duties;  ///< ordered by device, then by beginning
  std::vector<NotJudged> not_judged;
  std::uint64_t devices = 0;                   ///< devices that were looked at
  std::map<DutyStatus, std::uint64_t> counts;  ///< number of duties by status, shown or not
  std::optional<DeviceId> next;  ///< to be given as `after`; nullopt: this is the last page
};

/// A change of a duty's status that comes with time alone.
struct UpcomingChange {
  Time at;             ///< for a breach: the deadline, the last moment on time
  DutyStatus becomes;  ///< due_soon, lapsed, or as a breach overdue or outcome_unknown
  Duty duty;           ///< as it stands now
};

}  // namespace smets1kms
