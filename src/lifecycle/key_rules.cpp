// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/key_rules.hpp"

#include <algorithm>
#include <cctype>
#include <set>

#include "audit/record_fields.hpp"
#include "base/one_of.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::lifecycle {
namespace {

void check_word(const std::string& word, const char* what) {
  if (!audit::fits_field(audit::Field::reference, word))
    throw BadInput(std::string(what) + " must be 1 to 64 characters of A-Z a-z 0-9 . _ : @ / -");
}

/// Returns the way out after a KEK was suspected: it wraps nothing, so that no GAK can prove it.
std::string after_lost_kek(std::span<const Key> keys) {
  return newest(keys, KeyRole::kek, KeyState::active) != nullptr
             ? "rotate the GAK alone under the one before (--under-proven-kek): its success shows "
               "that the device never took the new one"
             : "its manufacturer must provide another, and the import of its fleet file brings it";
}

}  // namespace

std::string in_words(const Key& key) {
  return std::string(to_string(key.role)) + " " + std::to_string(key.generation) + " of " +
         key.device.to_string();
}

void check_authority(const Authority& authority) {
  check_word(authority.requested_by, "requested-by (who asks: for DCC, the S1SP)");
  check_word(authority.authorised_by, "authorised-by (who authorises: the DCO)");
  check_word(authority.reference, "reference (the change or incident it was decided under)");
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  };
  if (std::ranges::equal(authority.requested_by, authority.authorised_by, same))
    throw Refused(RefusalReason::dual_control,
                  "requested-by and authorised-by are the same identity, " +
                      authority.requested_by +
                      ": a key change needs two (the S1SP asks, the DCO "
                      "authorises). Have another identity authorise it");
}

bool is_operation_id(const std::string& id) {
  return !id.empty() && audit::fits_field(audit::Field::op_id, id);
}

void check_operation_id(const std::string& id) {
  if (!is_operation_id(id))
    throw BadInput("an operation id is 1 to 64 characters of A-Z a-z 0-9 . _ : -");
}

std::string no_usable_kek(const Device& device) { return "no usable KEK: " + device.no_kek_reason; }

void mark_delivery(Key& key, Time now) {
  auto* at = key.delivery == Delivery::in_doubt || key.delivery == Delivery::unproven
                 ? &key.in_doubt_at
             : key.delivery == Delivery::confirmed ? &key.confirmed_at
             : key.delivery == Delivery::not_held  ? &key.not_held_at
                                                   : nullptr;
  if (at != nullptr && !*at) *at = now;  // the first time counts
}

bool is_pending(const Key& key) {
  if (is_destroyed(key.state)) return false;  // the key of a decommissioned device
  return !is_one_of(key.delivery, Delivery::confirmed, Delivery::not_held);
}

bool waits_for_answer(const Key& key) {
  return key.delivery == Delivery::released && key.state == KeyState::pre_active;
}

bool may_be_handed_out(const Key& key) {
  return waits_for_answer(key) ||
         (key.delivery == Delivery::withheld && key.state == KeyState::pre_active);
}

bool device_may_use(const Key& key, std::span<const Key> all_of_device) {
  if (is_one_of(key.delivery, Delivery::planned, Delivery::withheld, Delivery::not_held))
    return false;
  return std::ranges::none_of(all_of_device, [&](const Key& other) {
    return other.role == key.role && other.generation > key.generation &&
           other.delivery == Delivery::confirmed;
  });
}

const Key* newest(std::span<const Key> keys, KeyRole role, KeyState state) {
  const Key* best = nullptr;
  for (const auto& key : keys)
    if (key.role == role && key.state == state &&
        (best == nullptr || key.generation > best->generation))
      best = &key;
  return best;
}

bool is_moved(const Key& later, const Key& earlier) {
  return later.role == KeyRole::kek && later.transfer == 0 && later.predecessor == earlier.id;
}

const Key* kek_candidate(std::span<const Key> keys) {
  for (const auto& key : keys)
    if (key.role == KeyRole::kek && is_pending(key)) return &key;
  return nullptr;
}

void add_default_roles(RotationRequest& request, const Device& device) {
  if (!request.roles.empty()) return;
  for (const auto role : device.supports)
    if (role != KeyRole::kek) request.roles.push_back(role);
}

void check_roles(const RotationRequest& request, const Device& device) {
  if (request.roles.empty())
    throw Refused(
        RefusalReason::role_not_supported,
        device.id.to_string() +
            " supports no GUEK, GBEK or GAK (its fleet file says so): nothing to replace");
  const std::set<KeyRole> distinct(request.roles.begin(), request.roles.end());
  if (distinct.size() != request.roles.size()) throw BadInput("a role is given twice");
  if (distinct.contains(KeyRole::kek) && distinct.size() > 1)
    throw Refused(RefusalReason::kek_alone,
                  "the KEK is rotated alone: other keys of the same operation would be wrapped "
                  "under a KEK that the device may no longer hold");
  for (const auto role : request.roles)
    if (!device.supports_role(role))
      throw Refused(RefusalReason::role_not_supported,
                    device.id.to_string() + " does not support a " + std::string(to_string(role)) +
                        " (its fleet file says so)");
  check_commissioned(device);
  if (!device.no_kek_reason.empty())
    throw Refused(RefusalReason::no_usable_kek,
                  device.id.to_string() + " has " + no_usable_kek(device) +
                      " (so its fleet file says): the import of a file that has its KEK brings it");
}

void check_not_ahead(Time at, Time now, const std::string& what) {
  if (at > now + std::chrono::minutes(5))
    throw Refused(RefusalReason::in_the_future,
                  what + format_time(at) + " lies ahead (it is " + format_time(now) +
                      "): a change is recorded once it has taken effect");
}

void check_commissioned(const Device& device) {
  if (device.status == DeviceStatus::decommissioned)
    throw Refused(RefusalReason::decommissioned, device.id.to_string() + " is decommissioned");
  if (device.status == DeviceStatus::not_commissioned)
    throw Refused(RefusalReason::not_commissioned,
                  device.id.to_string() + " is not commissioned: it is not in service yet");
}

void check_doubts(const RotationRequest& request, std::span<const Key> keys) {
  for (const auto& key : keys) {
    if (!is_pending(key)) continue;
    const std::string which = in_words(key);
    if (key.role == KeyRole::kek) {
      const bool sent = key.delivery == Delivery::in_doubt || key.delivery == Delivery::unproven;
      if (sent && request.roles == std::vector{KeyRole::gak}) continue;
      if (key.state == KeyState::compromised && sent)
        throw Refused(RefusalReason::no_usable_kek,
                      which + " is suspected of compromise while it is " +
                          std::string(to_string(key.delivery)) + ": " + after_lost_kek(keys));
      throw Refused(RefusalReason::kek_unproven,
                    which + " is " + std::string(to_string(key.delivery)) +
                        ": a KEK can't be probed; once its answer is recorded, " +
                        (key.state == KeyState::compromised
                             ? after_lost_kek(keys)
                             : "rotate the GAK alone: its success under the new KEK proves it"));
    }
    const bool same_role = std::ranges::find(request.roles, key.role) != request.roles.end();
    if (!same_role && request.roles.front() != KeyRole::kek) continue;
    if (key.delivery == Delivery::withheld)
      throw Refused(RefusalReason::in_doubt,
                    which +
                        " is withheld: record the receipts of its handover targets, or destroy "
                        "it; no third key is made meanwhile");
    throw Refused(RefusalReason::in_doubt,
                  which + " is " + std::string(to_string(key.delivery)) +
                      ": record the device's answer (confirm), or probe the device and say which "
                      "key it holds (resolve); no third key is made meanwhile");
  }
}

Key choose_kek(const RotationRequest& request, std::span<const Key> keys) {
  const Key* candidate = kek_candidate(keys);
  const Key* proven = newest(keys, KeyRole::kek, KeyState::active);
  const Key* kek =
      candidate != nullptr && request.wrap_under == WrapUnder::automatic ? candidate : proven;
  if (kek == nullptr || kek->state == KeyState::compromised)
    throw Refused(
        RefusalReason::no_usable_kek,
        request.device.to_string() +
            " has no KEK that may wrap (it is compromised or destroyed): " + after_lost_kek(keys));
  if (kek->awaits_enrolment)
    throw Refused(RefusalReason::kek_not_enrolled,
                  "KEK " + std::to_string(kek->generation) + " of " + request.device.to_string() +
                      " waits for the security officer ('smets1-kms enrol'); until then it wraps "
                      "nothing, and the old one stays usable (--under-proven-kek)");
  return *kek;
}

std::uint32_t next_generation(std::span<const Key> keys, KeyRole role) {
  std::uint32_t last = 0;
  for (const auto& key : keys)
    if (key.role == role) last = std::max(last, key.generation);
  return last + 1;
}

std::vector<Key> plan_keys(const RotationRequest& request, const Key& kek,
                           std::span<const Key> existing, const std::string& operation_id) {
  std::vector<Key> keys;
  std::uint32_t transfer = 0;
  for (const auto& key : existing) transfer = std::max(transfer, key.transfer);
  for (const auto role : request.roles) {
    if (keys.empty() || !request.single_action) ++transfer;
    const Key* predecessor = newest(existing, role, KeyState::active);
    keys.push_back(
        {.device = request.device,
         .role = role,
         .generation = next_generation(existing, role),
         .id = KeyId::random(),
         .state = KeyState::none,
         .delivery = Delivery::planned,
         .predecessor = predecessor == nullptr ? std::nullopt : std::optional(predecessor->id),
         .kek = kek.id,
         .transfer = transfer,
         .operation = operation_id,
         .created_at = {}});
  }
  return keys;
}

bool is_superseded(const Key& key, std::span<const Key> all_of_device) {
  return key.state == KeyState::active &&
         newest(all_of_device, key.role, KeyState::active)->generation > key.generation;
}

bool is_spent(const Key& key, Selection::Kind kind) {
  using Kind = Selection::Kind;
  const bool deactivated = key.state == KeyState::deactivated;
  const bool not_held = key.state == KeyState::pre_active && key.delivery == Delivery::not_held;
  return (deactivated && kind != Kind::not_held) || (not_held && kind != Kind::deactivated);
}

bool is_destroyed(KeyState state) {
  return state == KeyState::destroyed || state == KeyState::destroyed_compromised;
}

bool is_compromised(KeyState state) {
  return state == KeyState::compromised || state == KeyState::destroyed_compromised;
}

KeyState destroyed_from(KeyState state) {
  return state == KeyState::compromised ? KeyState::destroyed_compromised : KeyState::destroyed;
}

bool may_end(const Key& key, DeviceStatus status, std::span<const Key> all_of_device) {
  const bool wraps_nothing =
      key.role == KeyRole::kek && key.state == KeyState::compromised && !is_pending(key);
  return wraps_nothing || status == DeviceStatus::decommissioned ||
         !device_may_use(key, all_of_device);
}

}  // namespace smets1kms::lifecycle
