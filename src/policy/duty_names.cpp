// SPDX-License-Identifier: Apache-2.0
#include "base/enum_names.hpp"
#include "policy/duties.hpp"

namespace smets1kms::policy {
namespace {

constexpr EnumNames<Status, 10> statuses{{"not-applicable", "exempt-unsupported", "pending",
                                          "due-soon", "met", "met-late", "overdue", "lapsed",
                                          "closed", "outcome-unknown"}};
constexpr EnumNames<FactKind, 8> facts{{"commissioned", "recommissioned", "decommissioned",
                                        "generated", "in doubt", "confirmed by the device",
                                        "suspected to be compromised", "the rule ended"}};
constexpr EnumNames<Progress, 3> waits{
    {"a rotation", "the device's answer", "the resolution of its doubt"}};

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
