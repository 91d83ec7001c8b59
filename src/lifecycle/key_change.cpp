// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/key_change.hpp"

#include "lifecycle/key_rules.hpp"
#include "lifecycle/rows_against_log.hpp"

namespace smets1kms::lifecycle {

Key change_key(Context& context, const trail::AuditContext& act, Key key, const KeyChange& change,
               const std::optional<Instant>& moment) {
  check_row(context, key);
  const Instant now = moment ? *moment : context.trail.moment();
  const auto from = key.state;
  if (change.state) context.set_state(key, *change.state);
  if (change.delivery) {
    key.delivery = *change.delivery;
    mark_delivery(key, now.utc);
  }
  if (is_compromised(key.state) && !key.compromised_at) key.compromised_at = now.utc;
  key.record = static_cast<std::uint64_t>(
      context.append(context.trail.record(act, Phase::note, key, from, key.state), key.device,
                     {{Field::result, change.result},
                      {Field::detail, change.detail},
                      {Field::notify, change.notify},
                      {Field::target, change.target}},
                     now));
  context.registry.update_key(key);
  return key;
}

}  // namespace smets1kms::lifecycle
