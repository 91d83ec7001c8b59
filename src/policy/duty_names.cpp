// SPDX-License-Identifier: Apache-2.0
#include "base/enum_names.hpp"
#include "policy/duties.hpp"

namespace smets1kms {
namespace {

constexpr EnumNames<RuleId, 4> rule_ids{
    {{{RuleId::p1, "P1"}, {RuleId::p2, "P2"}, {RuleId::p3, "P3"}, {RuleId::p4, "P4"}}}};
constexpr EnumNames<RuleOrigin, 2> origins{
    {{{RuleOrigin::regulator, "regulator"}, {RuleOrigin::project, "project"}}}};
constexpr EnumNames<DutyStatus, 10> statuses{
    {{{DutyStatus::not_applicable, "not-applicable"},
      {DutyStatus::exempt_unsupported, "exempt-unsupported"},
      {DutyStatus::pending, "pending"},
      {DutyStatus::due_soon, "due-soon"},
      {DutyStatus::met, "met"},
      {DutyStatus::met_late, "met-late"},
      {DutyStatus::overdue, "overdue"},
      {DutyStatus::lapsed, "lapsed"},
      {DutyStatus::closed, "closed"},
      {DutyStatus::outcome_unknown, "outcome-unknown"}}}};
constexpr EnumNames<RoleProgress, 4> progresses{{{{RoleProgress::none, "none"},
                                                  {RoleProgress::generated, "generated"},
                                                  {RoleProgress::in_doubt, "in-doubt"},
                                                  {RoleProgress::confirmed, "confirmed"}}}};

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

constexpr EnumNames<FactKind, 8> facts{{{{FactKind::commissioned, "commissioned"},
                                         {FactKind::recommissioned, "recommissioned"},
                                         {FactKind::decommissioned, "decommissioned"},
                                         {FactKind::generated, "generated"},
                                         {FactKind::in_doubt, "in doubt"},
                                         {FactKind::confirmed, "confirmed by the device"},
                                         {FactKind::compromised, "suspected to be compromised"},
                                         {FactKind::rule_ended, "the rule ended"}}}};
constexpr EnumNames<RoleProgress, 3> waits{
    {{{RoleProgress::none, "a rotation"},
      {RoleProgress::generated, "the device's answer"},
      {RoleProgress::in_doubt, "the resolution of its doubt"}}}};

}  // namespace

RuleId parse_rule_id(std::string_view text) { return rule_ids.parse(text, "rule"); }
RuleOrigin parse_rule_origin(std::string_view text) { return origins.parse(text, "rule's owner"); }

std::string to_string(const Fact& fact) {
  std::string text;
  if (fact.role)
    text = std::string(to_string(*fact.role)) + " generation " +
           std::to_string(fact.generation.value_or(0)) + " ";
  return text + std::string(facts.name(fact.kind));
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
