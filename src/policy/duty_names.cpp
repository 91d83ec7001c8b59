// SPDX-License-Identifier: Apache-2.0
#include "base/enum_names.hpp"
#include "policy/duties.hpp"

namespace smets1kms {
namespace {

constexpr EnumNames<RuleId, 4> rule_ids{{"P1", "P2", "P3", "P4"}};
constexpr EnumNames<RuleOrigin, 2> origins{{"regulator", "project"}};
constexpr EnumNames<DutyStatus, 10> statuses{{"not-applicable", "exempt-unsupported", "pending",
                                              "due-soon", "met", "met-late", "overdue", "lapsed",
                                              "closed", "outcome-unknown"}};
constexpr EnumNames<RoleProgress, 4> progresses{{"none", "generated", "in-doubt", "confirmed"}};

}  // namespace

std::string_view to_string(RuleId id) { return rule_ids.name(id); }
std::string_view to_string(RuleOrigin origin) { return origins.name(origin); }
std::string_view to_string(DutyStatus status) { return statuses.name(status); }
std::string_view to_string(RoleProgress progress) { return progresses.name(progress); }
DutyStatus parse_duty_status(std::string_view text) {
  return statuses.parse(text, "status of a duty");
}

namespace policy {
namespace {

constexpr EnumNames<FactKind, 8> facts{{"commissioned", "recommissioned", "decommissioned",
                                        "generated", "in doubt", "confirmed by the device",
                                        "suspected to be compromised", "the rule ended"}};
constexpr EnumNames<RoleProgress, 3> waits{
    {"a rotation", "the device's answer", "the resolution of its doubt"}};

}  // namespace

RuleId parse_rule_id(std::string_view text) { return rule_ids.parse(text, "rule"); }
RuleOrigin parse_rule_origin(std::string_view text) { return origins.parse(text, "rule's owner"); }

std::string to_string(const Fact& fact) {
  std::string text;
  if (fact.role)
    text = std::string(to_string(*fact.role)) + " generation " +
           std::to_string(fact.generation.value_or(0)) + " ";
  text += facts.name(fact.kind);
  return fact.late ? text + ", " + late_text(*fact.late) : text;
}

std::string late_text(std::chrono::milliseconds late) {
  const auto hours = std::chrono::floor<std::chrono::hours>(late).count();
  return "recorded " +
         (hours >= 48 ? std::to_string(hours / 24) + " days" : std::to_string(hours) + " h") +
         " late";
}

std::string late_facts(const Duty& duty) {
  std::string text;
  for (const auto& fact : duty.facts)
    if (fact.late) text += (text.empty() ? "" : "; ") + to_string(fact);
  return text;
}

std::string waits_for(const Duty& duty) {
  std::string text;
  if (!duty.wanted) return text;
  for (const auto& [role, progress] : duty.roles)
    if (progress != RoleProgress::confirmed)
      text += (text.empty() ? "" : "; ") + std::string(to_string(role)) + ": " +
              std::string(waits.name(progress));
  return text;
}

}  // namespace policy
}  // namespace smets1kms
