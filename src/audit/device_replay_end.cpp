// SPDX-License-Identifier: Apache-2.0
// Marks that suspicions oblige to, and what a device's records leave open.
#include <algorithm>

#include "audit/device_replay.hpp"

namespace smets1kms::audit {

/// Checks that a key which a target was handed is marked before that one's suspicion has ended, and
/// what a suspected token held before anything is wrapped or handed out.
void DeviceReplay::need_mark(const Key& key, std::uint64_t index, bool hands_out) const {
  const auto fail = [&](const char* was, std::uint64_t suspicion, const char* until, auto at) {
    throw VerificationFailed(std::string(role_name(key.role)) + " " +
                                 std::to_string(key.generation) + " (" + to_hex(key.id) + ") of " +
                                 device_name(*device_) + was + std::to_string(suspicion) +
                                 " suspects, and is not marked so before " + until,
                             at);
  };
  if (const auto* token = hands_out ? suspicions_->of_token(key.made, index) : nullptr)
    fail(" was in the token that record ", token->index, "anything is wrapped or handed out",
         index);
  if (key.state == KeyState::destroyed) return;
  const auto* target = suspicions_->of_targets(key.handovers, key.made, index);
  if (target != nullptr && target->due < index)
    fail(" was handed over to the target that record ", target->index, "the target's end",
         target->due);
}

/// Checks that what a compromised KEK has wrapped, and what a suspicion is about, is marked before
/// anything else of its device.
void DeviceReplay::need_marks(const RecordSummary& summary, const RecordType& rule) const {
  if (rule.operation == op::key_compromise || rule.operation.empty()) return;
  const bool has_suspicions = has_marks_to_come();
  if (!is_suspected_ && !has_suspicions) return;
  const bool hands_out = rule.effect == Effect::plan || rule.result == "handed-out-again" ||
                         (rule.operation == op::key_generate && rule.effect == Effect::make);
  for (const auto& key : keys_) {
    if (key.state == KeyState::none || is_suspected(key.state)) continue;
    if (has_suspicions) need_mark(key, summary.index, hands_out);
    const auto kek = std::ranges::find(keys_, key.kek, &Key::id);
    if (!key.imported && kek != keys_.end() && is_suspected(kek->state))
      throw VerificationFailed(
          std::string(role_name(key.role)) + " " + std::to_string(key.generation) + " (" +
              to_hex(key.id) +
              ") was wrapped under a compromised KEK, and is not marked so before anything else is "
              "recorded",
          summary.index);
  }
}

void DeviceReplay::finish() const {
  if (!has_marks_to_come()) return;
  for (const auto& key : keys_)
    if (key.state != KeyState::none && !is_suspected(key.state)) need_mark(key, UINT64_MAX, false);
}

/// Returns the suspicion that a key is not marked for at the end; nullptr: none.
const Suspicions::Suspicion* DeviceReplay::unmarked_by(const Key& key) const {
  if (!has_marks_to_come() || key.state == KeyState::none || is_suspected(key.state))
    return nullptr;
  const auto* token = suspicions_->of_token(key.made, UINT64_MAX);
  return token != nullptr || key.state == KeyState::destroyed
             ? token
             : suspicions_->of_targets(key.handovers, key.made, UINT64_MAX);
}

std::vector<Finding> DeviceReplay::findings() const {
  std::vector<Finding> list;
  const std::string of = device_ ? " of " + device_name(*device_) : "";
  if (registered_again_)
    list.push_back({.kind = "registered-again",
                    .text = "what the device" + of + " is was recorded more than once",
                    .index = *registered_again_});
  for (const auto& each : open_)
    list.push_back({.kind = "open-intent",
                    .text = std::string(each.name) + " of key " + to_hex(each.key) + of +
                            " was begun, and has no outcome yet",
                    .index = each.index});
  for (const auto& key : keys_) {
    if (const auto* suspicion = unmarked_by(key))
      list.push_back({.kind = "unmarked",
                      .text = std::string(role_name(key.role)) + " " +
                              std::to_string(key.generation) + of +
                              " is not marked compromised, as the suspicion of record " +
                              std::to_string(suspicion->index) + " has it",
                      .index = suspicion->index});
    const char* why = key.delivery == Delivery::in_doubt
                          ? " is in doubt: which key the device holds is not known"
                      : key.delivery == Delivery::unproven ? " waits for a GAK that proves it"
                      : key.delivery == Delivery::withheld && key.state < KeyState::destroyed
                          ? " is withheld until handover targets have shown that they hold the keys"
                          : nullptr;
    if (why != nullptr)
      list.push_back({.kind = std::string(to_string(key.delivery)),
                      .text = std::string(role_name(key.role)) + " " +
                              std::to_string(key.generation) + of + why,
                      .index = key.since});
  }
  return list;
}

}  // namespace smets1kms::audit
