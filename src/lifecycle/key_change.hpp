// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "lifecycle/context.hpp"

namespace smets1kms::lifecycle {

/// A step of a key's life that needs no call of the token, and what its record says.
struct KeyChange {
  std::optional<KeyState> state{};                        ///< nullopt: it stays
  std::optional<Delivery> delivery{};                     ///< nullopt: it stays
  std::string_view result, detail{}, notify{}, target{};  ///< target: label of a handover target
};

/// Changes a key and records it, in the caller's transaction; the times that the policy judges by
/// are the record's. Returns the key as it is afterwards. `moment`: the moment of several changes
/// at once. Throws Refused (illegal_transition;
/// differs_from_trail where the key's row contradicts the log).
Key change_key(Context& context, const trail::AuditContext& act, Key key, const KeyChange& change,
               const std::optional<Instant>& moment = std::nullopt);

}  // namespace smets1kms::lifecycle
