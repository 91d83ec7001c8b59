// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "lifecycle/context.hpp"

namespace smets1kms::lifecycle {

/// One step of a key's life that needs no call of the token, and what the record says of it.
struct KeyChange {
  std::optional<KeyState> state{};     ///< nullopt: it stays
  std::optional<Delivery> delivery{};  ///< nullopt: it stays
  std::string_view result, detail{}, notify{};
};

/// Changes a key and records it, in the caller's transaction; the times that the policy judges by
/// are the record's. Returns the key as it is afterwards. Throws Refused (illegal_transition).
/// `moment`: of several changes that happen at once.
Key change_key(Context& context, const trail::AuditContext& act, Key key, const KeyChange& change,
               const std::optional<Instant>& moment = std::nullopt);

}  // namespace smets1kms::lifecycle
