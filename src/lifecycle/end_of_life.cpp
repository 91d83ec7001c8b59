#include "lifecycle/operations.hpp"
#include "lifecycle/rules.hpp"

namespace smets1kms::lifecycle {
namespace {

using audit::Field;
using Phase = Trail::Phase;
using registry::OperationState;

void check_may_end(Core& core, const KeyRef& ref, const Key& key, const char* verb) {
  // A suspected KEK wraps nothing any more; one that is on its way stays until it is known what the device has.
  const bool is_of_no_use = key.role == KeyRole::kek && key.state == KeyState::compromised && !is_pending(key);
  if (!is_of_no_use && core.device(ref.device).status != DeviceStatus::decommissioned && device_may_use(key, core.registry.keys(ref.device)))
    throw Refused("in-use", name_of(ref) + " may still be in use by its device (" + std::string(to_string(key.delivery)) + "): it can't be " + verb +
                                " before a newer key of its role is confirmed, or it is shown not to be held");
}

KeyState ended(KeyState state) { return state == KeyState::compromised ? KeyState::destroyed_compromised : KeyState::destroyed; }

/// Intents for all keys, or a refusal that names the first that may not be destroyed.
std::vector<Key> plan_destruction(Core& core, const Act& act, std::span<const KeyRef> refs, const registry::Hash& digest) {
  check_authority(act.authority);
  std::vector<Key> keys;
  if (core.is_repeat(act.operation_id, act.name, digest)) return keys;
  const auto before = core.registry.operation(act.operation_id);
  const bool goes_on = before && before->digest == digest;  // it was left half-way, and settled: what is gone already is passed over
  std::string open_list;
  for (const auto& ref : refs) {
    Key key = core.key(ref);
    check_not_being_destroyed(core, ref);
    if (goes_on && (key.state == KeyState::destroyed || key.state == KeyState::destroyed_compromised)) continue;
    check_may_end(core, ref, key, "destroyed");
    Key after = key;
    core.set_state(after, ended(key.state));
    auto intent = core.trail.record(act, Phase::intent, key, key.state, after.state);
    core.trail.append(intent, key.device);
    open_list += name_of(ref) + ";";
    keys.push_back(std::move(key));
  }
  core.registry.put_operation({.id = act.operation_id,
                               .kind = std::string(act.name),
                               .device = {},
                               .digest = digest,
                               .state = keys.empty() ? OperationState::done : OperationState::open,
                               .detail = open_list});
  return keys;
}

void conclude_destruction(Core& core, const Act& act, const std::vector<Key>& keys) {
  for (const auto& planned : keys) {
    Key key = core.key({planned.device, planned.role, planned.generation});  // it may have been marked as compromised meanwhile
    const auto from = key.state;
    core.set_state(key, ended(from));
    core.registry.update_key(key);
    core.registry.forget_wrapped(key);
    core.registry.forget_sealed(key);
    auto outcome = core.trail.record(act, Phase::outcome, key, from, key.state);
    if (key.is_sealed)
      outcome.set(Field::result, "blobs-deleted");
    else
      outcome.set(Field::result, "ok").set(Field::detail, "absence-checked");
    core.trail.append(outcome, key.device);
  }
  core.registry.end_operation(act.operation_id, OperationState::done);
}

}  // namespace

void change_state(Core& core, const Act& act, Key key, KeyState to, std::string_view result, std::string_view detail) {
  const auto from = key.state;
  core.set_state(key, to);
  core.registry.update_key(key);
  auto note = core.trail.record(act, Phase::note, key, from, to);
  note.set(Field::result, result);
  if (!detail.empty()) note.set(Field::detail, detail);
  core.trail.append(note, key.device);
}

void check_not_being_destroyed(Core& core, const KeyRef& key) {
  const std::string name = name_of(key);
  for (const auto& open : core.registry.open_operations(key_destruction))
    if (open.detail.find(name + ";") != std::string::npos)
      throw Refused("operation-open",
                    name + " is being destroyed by another operation, or one was left open by a lost token; opening the registry anew settles it");
}

registry::Hash digest_of(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const auto part : parts) all += std::to_string(part.size()) + ":" + std::string(part);
  return audit::sha256(all);
}

std::string name_of(const KeyRef& key) { return key.device.to_string() + "/" + std::string(to_string(key.role)) + "/" + std::to_string(key.generation); }

void retire(Core& core, const KeyRef& ref, const Authority& authority, const std::string& given_id) {
  const Act act{.name = "key.retire", .operation_id = core.operation_id(given_id), .authority = authority};
  core.record_change(act, ref.device, [&] {
    check_authority(authority);
    const auto digest = digest_of({act.name, name_of(ref)});
    if (core.is_repeat(act.operation_id, act.name, digest)) return;
    Key key = core.key(ref);
    check_may_end(core, ref, key, "retired");
    core.registry.put_operation({.id = act.operation_id, .kind = std::string(act.name), .device = ref.device, .digest = digest, .state = OperationState::done});
    change_state(core, act, key, KeyState::deactivated, "retired");
  });
}

void destroy(Core& core, std::span<const KeyRef> refs, const Authority& authority, const std::string& given_id) {
  if (refs.empty()) throw BadInput("no key is given to destroy");
  const Act act{.name = key_destruction, .operation_id = core.operation_id(given_id), .authority = authority};
  std::string list;
  std::vector<KeyRef> distinct;
  for (const auto& ref : refs) {
    const std::string each = name_of(ref) + ";";
    if (list.find(each) != std::string::npos) continue;
    list += each;
    distinct.push_back(ref);
  }
  const auto digest = digest_of({act.name, list});
  auto keys = core.record_change(
      act, refs.front().device, [&] { return plan_destruction(core, act, distinct, digest); }, Sealed::with_outcome);
  if (keys.empty()) return;  // done before, under this id
  std::vector<KeyId> ids;
  for (const auto& key : keys)
    if (!key.is_sealed) ids.push_back(key.id);  // of a sealed key there is nothing in the token
  if (const auto left = ids.empty() ? 0 : with_token([&] { return core.vault->destroy(ids); }); left != 0)
    throw RefusedByToken(
        "C_DestroyObject", "CKR_OK",
        std::to_string(left) + " objects are still in the token after their destruction; the operation stays open, and opening the registry anew settles it");
  core.record_change(act, refs.front().device, [&] { conclude_destruction(core, act, keys); });
  core.empty_log();
}

}  // namespace smets1kms::lifecycle
