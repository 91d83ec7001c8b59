// SPDX-License-Identifier: Apache-2.0
#include "base/enum_names.hpp"
#include "policy/duties.hpp"

namespace smets1kms::policy {
namespace {

constexpr EnumNames<Status, 10> statuses{{{{Status::not_applicable, "not-applicable"},
                                           {Status::exempt_unsupported, "exempt-unsupported"},
                                           {Status::pending, "pending"},
                                           {Status::due_soon, "due-soon"},
                                           {Status::met, "met"},
                                           {Status::met_late, "met-late"},
                                           {Status::overdue, "overdue"},
                                           {Status::lapsed, "lapsed"},
                                           {Status::closed, "closed"},
                                           {Status::outcome_unknown, "outcome-unknown"}}}};
constexpr EnumNames<FactKind, 8> facts{{{{FactKind::commissioned, "commissioned"},
                                         {FactKind::recommissioned, "recommissioned"},
                                         {FactKind::decommissioned, "decommissioned"},
                                         {FactKind::generated, "generated"},
                                         {FactKind::in_doubt, "in doubt"},
                                         {FactKind::confirmed, "confirmed by the device"},
                                         {FactKind::compromised, "suspected to be compromised"},
                                         {FactKind::rule_ended, "the rule ended"}}}};
constexpr EnumNames<Progress, 3> waits{{{{Progress::none, "a rotation"},
                                         {Progress::generated, "the device's answer"},
                                         {Progress::in_doubt, "the resolution of its doubt"}}}};

}  // namespace

std::string_view to_string(Status status) { return statuses.name(status); }

Status parse_status(std::string_view text) { return statuses.parse(text, "status of a duty"); }

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
    if (progress != Progress::confirmed)
      text += (text.empty() ? "" : "; ") + std::string(to_string(role)) + ": " +
              std::string(waits.name(progress));
  return text;
}

}  // namespace smets1kms::policy
