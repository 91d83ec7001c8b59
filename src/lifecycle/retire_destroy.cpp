// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {
namespace {

using audit::Field;
using Phase = trail::RecordWriter::Phase;

void check_may_end(Context& context, const KeyRef& ref, const Key& key, const char* verb) {
  // A suspected KEK wraps nothing any more; one that is on its way stays until it is known what the
  // device has.
  const bool is_of_no_use =
      key.role == KeyRole::kek && key.state == KeyState::compromised && !is_pending(key);
  if (!is_of_no_use && context.device(ref.device).status != DeviceStatus::decommissioned &&
      device_may_use(key, context.registry.keys(ref.device)))
    throw Refused(
        RefusalReason::in_use,
        name_of(ref) + " may still be in use by its device (" +
            std::string(to_string(key.delivery)) + "): it can't be " + verb +
            " before a newer key of its role is confirmed, or it is shown not to be held");
}

KeyState ended(KeyState state) {
  return state == KeyState::compromised ? KeyState::destroyed_compromised : KeyState::destroyed;
}

/// Intents for all keys, or a refusal that names the first that may not be destroyed.
std::vector<Key> plan_destruction(Context& context, const trail::AuditContext& act,
                                  std::span<const KeyRef> refs, const registry::Hash& digest) {
  check_authority(act.authority);
  std::vector<Key> keys;
  if (context.is_repeat(act.operation_id, act.name, digest)) return keys;
  const auto before = context.registry.operation(act.operation_id);
  const bool goes_on =
      before &&
      before->digest ==
          digest;  // it was left half-way, and settled: what is gone already is passed over
  for (const auto& ref : refs) {
    Key key = context.key(ref);
    check_not_being_destroyed(context, ref);
    if (goes_on &&
        (key.state == KeyState::destroyed || key.state == KeyState::destroyed_compromised))
      continue;
    check_may_end(context, ref, key, "destroyed");
    Key after = key;
    context.set_state(after, ended(key.state));
    auto intent = context.trail.record(act, Phase::intent, key, key.state, after.state);
    context.trail.append(intent, key.device);
    keys.push_back(std::move(key));
  }
  context.registry.put_operation(
      {.id = act.operation_id,
       .kind = std::string(act.name),
       .device = {},
       .digest = digest,
       .state = keys.empty() ? OperationState::done : OperationState::open},
      refs);
  return keys;
}

void conclude_destruction(Context& context, const trail::AuditContext& act,
                          const std::vector<Key>& keys) {
  for (const auto& planned : keys) {
    Key key =
        context.key({planned.device, planned.role,
                     planned.generation});  // it may have been marked as compromised meanwhile
    const auto from = key.state;
    context.set_state(key, ended(from));
    context.registry.update_key(key);
    context.registry.forget_wrapped(key);
    context.registry.forget_sealed(key);
    auto outcome = context.trail.record(act, Phase::outcome, key, from, key.state);
    if (key.is_sealed)
      outcome.set(Field::result, "blobs-deleted");
    else
      outcome.set(Field::result, "ok").set(Field::detail, "absence-checked");
    context.trail.append(outcome, key.device);
  }
  context.registry.end_operation(act.operation_id, OperationState::done);
}

}  // namespace

void change_state(Context& context, const trail::AuditContext& act, Key key, KeyState to,
                  std::string_view result, std::string_view detail) {
  const auto from = key.state;
  context.set_state(key, to);
  context.registry.update_key(key);
  auto note = context.trail.record(act, Phase::note, key, from, to);
  note.set(Field::result, result);
  if (!detail.empty()) note.set(Field::detail, detail);
  context.trail.append(note, key.device);
}

void check_not_being_destroyed(Context& context, const KeyRef& key) {
  if (context.registry.is_listed_by_open(op::key_destroy, key))
    throw Refused(RefusalReason::operation_open,
                  name_of(key) +
                      " is being destroyed by another operation, or one was left open by a lost "
                      "token; opening the registry anew settles it");
}

registry::Hash digest_of(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const auto part : parts) all += std::to_string(part.size()) + ":" + std::string(part);
  return audit::sha256(all);
}

std::string name_of(const KeyRef& key) {
  return key.device.to_string() + "/" + std::string(to_string(key.role)) + "/" +
         std::to_string(key.generation);
}

void retire(Context& context, const KeyRef& ref, const Authority& authority,
            const std::string& given_id) {
  const trail::AuditContext act{.name = op::key_retire,
                                .operation_id = context.operation_id(given_id),
                                .authority = authority};
  context.in_transaction(act, ref.device, [&] {
    check_authority(authority);
    const auto digest = digest_of({act.name, name_of(ref)});
    if (context.is_repeat(act.operation_id, act.name, digest)) return;
    Key key = context.key(ref);
    check_may_end(context, ref, key, "retired");
    context.registry.put_operation({.id = act.operation_id,
                                    .kind = std::string(act.name),
                                    .device = ref.device,
                                    .digest = digest,
                                    .state = OperationState::done},
                                   std::span(&ref, 1));
    change_state(context, act, key, KeyState::deactivated, "retired");
  });
}

void destroy(Context& context, std::span<const KeyRef> refs, const Authority& authority,
             const std::string& given_id) {
  if (refs.empty()) throw BadInput("no key is given to destroy");
  const trail::AuditContext act{.name = op::key_destroy,
                                .operation_id = context.operation_id(given_id),
                                .authority = authority};
  std::string list;
  std::vector<KeyRef> distinct;
  for (const auto& ref : refs) {
    const std::string each = name_of(ref) + ";";
    if (list.find(each) != std::string::npos) continue;
    list += each;
    distinct.push_back(ref);
  }
  const auto digest = digest_of({act.name, list});
  auto keys = context.in_transaction(
      act, refs.front().device, [&] { return plan_destruction(context, act, distinct, digest); },
      SignCheckpoint::deferred);
  if (keys.empty()) return;  // done before, under this id
  std::vector<KeyId> ids;
  for (const auto& key : keys)
    if (!key.is_sealed) ids.push_back(key.id);  // of a sealed key there is nothing in the token
  if (const auto left =
          ids.empty() ? 0 : vault::with_token([&] { return context.vault->destroy(ids); });
      left != 0)
    throw RefusedByToken("C_DestroyObject", "CKR_OK",
                         std::to_string(left) +
                             " objects are still in the token after their destruction; the "
                             "operation stays open, and opening the registry anew settles it");
  context.in_transaction(act, refs.front().device,
                         [&] { conclude_destruction(context, act, keys); });
  context.empty_log();
}

}  // namespace smets1kms::lifecycle
