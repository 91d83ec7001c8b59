// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "policy/duties.hpp"

namespace smets1kms::policy {

std::vector<StatusChange> look_ahead(const DeviceFacts& device, const Policy& policy, Time now) {
  std::vector<StatusChange> coming;
  for (auto& duty : duties(device, policy, now)) {
    if (!duty.wanted || duty.breach) continue;
    const Edition& then = policy.at(duty.limit->deadline);
    const bool lapses = then.rule(duty.id) == nullptr;
    const Time ends = lapses ? *then.from : duty.limit->deadline;
    if (duty.status == DutyStatus::pending && *duty.due_soon < ends)
      coming.push_back({*duty.due_soon, DutyStatus::due_soon, duty});
    const DutyStatus breach =
        duty.status == DutyStatus::outcome_unknown ? duty.status : DutyStatus::overdue;
    coming.push_back({ends, lapses ? DutyStatus::lapsed : breach, std::move(duty)});
  }
  std::ranges::stable_sort(coming, {}, &StatusChange::at);
  return coming;
}

}  // namespace smets1kms::policy
