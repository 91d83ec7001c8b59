// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/key_rules.hpp"

#include <algorithm>
#include <cctype>

#include "smets1kms/errors.hpp"

namespace smets1kms::lifecycle {
namespace {

bool is_identity_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("._:@/-").find(c) != std::string_view::npos;
}

void check_word(const std::string& word, const char* what) {
  if (word.empty() || word.size() > 64 || !std::ranges::all_of(word, is_identity_character))
    throw BadInput(std::string(what) + " must be 1 to 64 characters of A-Z a-z 0-9 . _ : @ / -");
}

}  // namespace

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

void check_operation_id(const std::string& id) {
  const auto allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("._:-").find(c) != std::string_view::npos;
  };
  if (id.empty() || id.size() > 64 || !std::ranges::all_of(id, allowed))
    throw BadInput("an operation id is 1 to 64 characters of A-Z a-z 0-9 . _ : -");
}

void mark_delivery(Key& key, Time now) {
  auto* at = key.delivery == Delivery::in_doubt || key.delivery == Delivery::unproven
                 ? &key.in_doubt_at
             : key.delivery == Delivery::confirmed ? &key.confirmed_at
             : key.delivery == Delivery::not_held  ? &key.not_held_at
                                                   : nullptr;
  if (at != nullptr && !*at) *at = now;  // the first time counts
}

bool is_pending(const Key& key) {
  if (key.state == KeyState::destroyed || key.state == KeyState::destroyed_compromised)
    return false;  // of a decommissioned device
  return key.delivery == Delivery::planned || key.delivery == Delivery::released ||
         key.delivery == Delivery::in_doubt || key.delivery == Delivery::unproven;
}

bool device_may_use(const Key& key, std::span<const Key> all_of_device) {
  if (key.delivery == Delivery::planned || key.delivery == Delivery::not_held) return false;
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

}  // namespace smets1kms::lifecycle
