// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/key_change.hpp"

#include "lifecycle/key_rules.hpp"

namespace smets1kms::lifecycle {

using audit::Field;

Key change_key(Context& context, const trail::AuditContext& act, Key key, const KeyChange& change,
               const std::optional<Instant>& moment) {
  const Instant now = moment ? *moment : context.trail.moment();
  const auto from = key.state;
  if (change.state) context.set_state(key, *change.state);
  if (change.delivery) {
    key.delivery = *change.delivery;
    mark_delivery(key, now.utc);
  }
  const bool is_suspected =
      key.state == KeyState::compromised || key.state == KeyState::destroyed_compromised;
  if (is_suspected && !key.compromised_at) key.compromised_at = now.utc;
  context.registry.update_key(key);
  auto note = context.trail.record(act, trail::RecordWriter::Phase::note, key, from, key.state);
  note.set(Field::result, change.result);
  if (!change.detail.empty()) note.set(Field::detail, change.detail);
  if (!change.notify.empty()) note.set(Field::notify, change.notify);
  context.trail.append(note, key.device, now);
  return key;
}

}  // namespace smets1kms::lifecycle
