// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <string>

#include "audit/record_rules.hpp"
#include "smets1kms/batch.hpp"
#include "smets1kms/fleet.hpp"

/// Rules of the lifecycle as pure functions: who may act, which transition is legal, what a device
/// may hold.
namespace smets1kms::lifecycle {

using audit::is_legal;  // the table that assessors judge by

/// Returns "gak 2 of 00-DB-…".
[[nodiscard]] std::string in_words(const Key& key);

/// Checks dual control: the S1SP asks, the DCO authorises, two distinct identities. Throws Refused
/// (dual_control) where they are equal (letter case aside), BadInput for an empty or unprintable
/// one.
void check_authority(const Authority& authority);
/// True for 1 to 64 of [A-Za-z0-9._:-].
[[nodiscard]] bool is_operation_id(const std::string& id);
/// Checks an operation id: 1 to 64 of [A-Za-z0-9._:-]. Throws BadInput.
void check_operation_id(const std::string& id);

/// Returns "no usable KEK: REASON" of a device whose fleet file had no KEK for it.
[[nodiscard]] std::string no_usable_kek(const Device& device);

/// Notes when a key's delivery became what it is, for the policy. A KEK whose success proves
/// nothing yet is in doubt.
void mark_delivery(Key& key, Time now);
/// True while the key's way to its device is not at its end.
[[nodiscard]] bool is_pending(const Key& key);
/// True while a key's transfer may be handed out again: it is released, and nothing else is known.
[[nodiscard]] bool waits_for_answer(const Key& key);
/// True while what the key's rotation made may be handed out again: its transfer, or what is stored
/// for targets while it is withheld.
[[nodiscard]] bool may_be_handed_out(const Key& key);
/// True unless it is certain that the device does not use the key: it was released and not shown to
/// be refused, and no newer key of its role is confirmed.
[[nodiscard]] bool device_may_use(const Key& key, std::span<const Key> all_of_device);
/// Returns the newest key of a role in this state; nullptr if there is none.
[[nodiscard]] const Key* newest(std::span<const Key> keys, KeyRole role, KeyState state);
/// True if `later` is `earlier` in the other vault: an imported KEK, imported once more from the
/// same bytes.
[[nodiscard]] bool is_moved(const Key& later, const Key& earlier);
/// Returns a new KEK that the device was sent and that no transfer has proved yet; nullptr if there
/// is none.
[[nodiscard]] const Key* kek_candidate(std::span<const Key> keys);

/// Fills in the roles of a request without roles: all that the device supports, but the KEK.
void add_default_roles(RotationRequest& request, const Device& device);
/// Checks roles. Throws BadInput for a role given twice; Refused (role_not_supported, kek_alone,
/// decommissioned, no_usable_kek where the device came without a KEK).
void check_roles(const RotationRequest& request, const Device& device);
/// Checks the time of a fact from the field, which a person or a file gave: it may be up to five
/// minutes ahead of the clock, as clocks differ. `what`: the words before it. Throws Refused
/// (in_the_future).
void check_not_ahead(Time at, Time now, const std::string& what = {});
/// Checks that a device is in service. Throws Refused (decommissioned, not_commissioned).
void check_commissioned(const Device& device);
/// Prevents a third key while two may be in use: a device whose answer was lost must never be
/// locked out. Throws Refused (in_doubt, kek_unproven, no_usable_kek).
void check_doubts(const RotationRequest& request, std::span<const Key> keys);
/// Returns the KEK that wraps. Throws Refused (no_usable_kek, kek_not_enrolled).
[[nodiscard]] Key choose_kek(const RotationRequest& request, std::span<const Key> keys);
/// Returns the next generation of a role. They are counted from 1, and none is given twice.
[[nodiscard]] std::uint32_t next_generation(std::span<const Key> keys, KeyRole role);
/// Returns the keys that a rotation is going to make, in the order of its roles, each with a new
/// id.
[[nodiscard]] std::vector<Key> plan_keys(const RotationRequest& request, const Key& kek,
                                         std::span<const Key> existing,
                                         const std::string& operation_id);

/// True for an active key that a newer active key of its role has replaced: its model goes on with
/// it until the next association.
[[nodiscard]] bool is_superseded(const Key& key, std::span<const Key> all_of_device);
/// True for a key that a destruction by a selection of this kind takes. Selection::Kind::devices
/// takes those of both other kinds.
[[nodiscard]] bool is_spent(const Key& key, Selection::Kind kind);
[[nodiscard]] bool is_destroyed(KeyState state);
/// True for a key that is suspected, or was before its destruction.
[[nodiscard]] bool is_compromised(KeyState state);
/// Returns the state that destruction leads to from this state.
[[nodiscard]] KeyState destroyed_from(KeyState state);
/// True if a key may be retired or destroyed: its device does not use it or is decommissioned, or
/// it is a suspected KEK, which wraps nothing, and is not on its way.
[[nodiscard]] bool may_end(const Key& key, DeviceStatus status, std::span<const Key> all_of_device);

}  // namespace smets1kms::lifecycle
