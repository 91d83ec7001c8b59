// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>

#include "policy/duties.hpp"
#include "smets1kms/batch.hpp"
#include "smets1kms/fleet.hpp"

/// The policy over the registry: what is due, and the rotations that it asks for.
namespace smets1kms::lifecycle {

/// What the configuration says of the policy. Throws BadInput, BadFile.
[[nodiscard]] policy::Policy policy_of(const Config& config);

/// What the policy judges a device by.
[[nodiscard]] policy::DeviceFacts facts_of(const DeviceHistory& device);

/// One device's duties as they stood at a moment.
struct DeviceDuties {
  DeviceHistory device;
  std::vector<policy::Duty> duties;
  std::string contradiction;  ///< why the device can't be judged (a clock that was set back); else
                              ///< empty
};
[[nodiscard]] DeviceDuties duties_of(DeviceHistory device, const policy::Policy& policy, Time now);

constexpr std::size_t histories_at_once = 500;  ///< share a read transaction

/// Calls `visit` for every device with its keys and events, in the order of the registry, read a
/// page at a time: it stands in no writer's way.
void for_each_history(const Fleet& fleet, const std::function<void(DeviceHistory)>& visit);
/// The same, judged.
void for_each_duties(const Fleet& fleet, const policy::Policy& policy, Time now,
                     const std::function<void(const DeviceDuties&)>& visit);

/// True if the limit ends so soon, or has ended.
[[nodiscard]] inline bool is_within(const policy::Limit& limit, Time now,
                                    std::chrono::milliseconds within) {
  return limit.deadline - now <= within;
}
/// True if something has to be done: `within` so long or, without it, what is late or due soon, and
/// after commissioning and on suspicion everything, "as soon as reasonably practicable" (S1SR
/// clause 20).
[[nodiscard]] bool is_due(const policy::Duty& duty, Time now,
                          const std::optional<std::chrono::milliseconds>& within);

/// False where a KEK has to come from the manufacturer first.
[[nodiscard]] bool has_usable_kek(const DeviceHistory& device);
/// policy::waits_for, and that KEK.
[[nodiscard]] std::string waits_for(const policy::Duty& duty, const DeviceHistory& device);
/// The duty as the public API has it.
[[nodiscard]] Duty to_public(const policy::Duty& duty, const DeviceHistory& device);

/// The rotations that would serve a device's duties that are due: for each reason those roles that
/// nothing is under way for, each role once, for its most urgent duty. None of the KEK, and none
/// where no KEK is usable: another one comes from the manufacturer. Authority is the caller's to
/// add.
[[nodiscard]] std::vector<RotationRequest> rotations_due(
    const DeviceDuties& device, Time now, const std::optional<std::chrono::milliseconds>& within);

/// Throws BadInput unless a page may be of so many items.
void check_page(std::size_t most);

}  // namespace smets1kms::lifecycle
