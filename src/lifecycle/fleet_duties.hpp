// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>

#include "policy/duties.hpp"
#include "registry/registry.hpp"
#include "smets1kms/batch.hpp"
#include "smets1kms/fleet.hpp"

/// Policy over the registry: duties that are due, and the rotations that they ask for.
namespace smets1kms::lifecycle {

/// Returns the policy that the configuration names. Throws BadInput, BadFile.
[[nodiscard]] policy::Policy policy_of(const Config& config);
/// Lets the policy's deviations begin as the registry knows them, or at `now`.
void begin_deviations(registry::Registry& registry, policy::Policy& policy, Time now);

/// Returns the facts that the policy judges a device by.
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
/// True if the limit ends within this time, or has ended.
[[nodiscard]] inline bool is_within(const policy::Limit& limit, Time now,
                                    std::chrono::milliseconds within) {
  return limit.deadline - now <= within;
}
/// True if something has to be done: due within `within` or, without it, late or due soon, and
/// after commissioning and on suspicion always, "as soon as reasonably practicable" (S1SR clause
/// 20).
[[nodiscard]] bool is_due(const policy::Duty& duty, Time now,
                          const std::optional<std::chrono::milliseconds>& within);

/// True if a KEK is usable; otherwise one has to come from the manufacturer first.
[[nodiscard]] bool has_usable_kek(const DeviceHistory& device);
/// Returns policy::waits_for, and adds a KEK that has to come first.
[[nodiscard]] std::string waits_for(const policy::Duty& duty, const DeviceHistory& device);
/// Returns the duty in the form of the public API.
[[nodiscard]] Duty to_public(const policy::Duty& duty, const DeviceHistory& device);

/// Returns the rotations that would serve a device's duties that are due: for each reason those
/// roles that nothing is under way for, each role once, for its most urgent duty. None of the KEK,
/// and none where no KEK is usable: another one comes from the manufacturer. The caller adds the
/// authority.
[[nodiscard]] std::vector<RotationRequest> rotations_due(
    const DeviceDuties& device, Time now, const std::optional<std::chrono::milliseconds>& within);

/// Throws BadInput unless a page may have so many items.
void check_page(std::size_t most);

}  // namespace smets1kms::lifecycle
