// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <string>

#include "audit/record_rules.hpp"
#include "smets1kms/fleet.hpp"

/// The rules of the lifecycle as pure functions: who may, which transition is legal, what a device
/// may hold.
namespace smets1kms::lifecycle {

using audit::is_legal;  // one table, the one that assessors judge by

/// S1SP asks, DCO authorises: two distinct identities. Throws Refused ("dual-control") where they
/// are equal (letter case aside), BadInput for an empty or unprintable one.
void check_authority(const Authority& authority);
/// 1 to 64 of [A-Za-z0-9._:-]. Throws BadInput.
void check_operation_id(const std::string& id);

/// When a delivery became what it is, for the policy. A KEK whose success proves nothing yet is in
/// doubt.
void mark_delivery(Key& key, Time now);
/// True while the key's way to its device is not at its end.
[[nodiscard]] bool is_pending(const Key& key);
/// True unless it is certain that the device does not use the key: it was released and not shown to
/// be refused, and no newer key of its role is confirmed.
[[nodiscard]] bool device_may_use(const Key& key, std::span<const Key> all_of_device);
/// The newest key of a role in this state; nullptr if there is none.
[[nodiscard]] const Key* newest(std::span<const Key> keys, KeyRole role, KeyState state);
/// `later` is `earlier` in the other vault: an imported KEK, imported once more from the same
/// bytes.
[[nodiscard]] bool is_moved(const Key& later, const Key& earlier);
/// A new KEK that the device was sent and that no transfer has proved yet; nullptr if there is
/// none.
[[nodiscard]] const Key* kek_candidate(std::span<const Key> keys);

}  // namespace smets1kms::lifecycle
