// SPDX-License-Identifier: Apache-2.0
#include "audit/text.hpp"
#include "lifecycle/key_change.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/rows_against_log.hpp"

namespace smets1kms::lifecycle {
namespace {

/// Throws Refused where a key may not end, or a row by which that is judged contradicts the log.
void check_may_end(Context& context, const KeyRef& ref, const Key& key, const char* verb,
                   const Prover& prover = {}) {
  const auto device = context.device(ref.device);
  const auto keys = context.registry.keys(ref.device);
  check_row(context, device);
  for (const auto& each : keys)
    if (each.role == ref.role && each.generation >= ref.generation)
      check_row(context, each, prover);
  if (!may_end(key, device.status, keys))
    throw Refused(
        RefusalReason::in_use,
        name_of(ref) + " may still be in use by its device (" +
            std::string(to_string(key.delivery)) + "): it can't be " + verb +
            " before a newer key of its role is confirmed, or it is shown not to be held");
}

/// Returns the keys in the token that take the places of these, by id: what each device holds by
/// its last confirmation.
std::vector<Key> successors(Context& context, std::span<const KeyRef> refs) {
  std::vector<Key> found;
  for (const auto& ref : refs) {
    const auto keys = context.registry.keys(ref.device);
    const auto takes_its_place = [&](const Key& key) {
      return key.role == ref.role && key.generation > ref.generation &&
             key.delivery == Delivery::confirmed && !key.is_sealed && !is_destroyed(key.state) &&
             std::ranges::find(refs, key.ref()) == refs.end();
    };
    const auto last = std::ranges::find_if(keys.rbegin(), keys.rend(), takes_its_place);
    if (last != keys.rend()) found.push_back(*last);
  }
  return found;
}

/// Throws a recorded refusal where the token lacks the key that takes a key's place: with both gone
/// its device is out of reach.
void check_successors_are_there(Context& context, const trail::AuditContext& act,
                                std::span<const KeyRef> refs) {
  const auto keys = context.locked([&] { return successors(context, refs); });
  std::vector<KeyId> ids;
  for (const auto& key : keys) ids.push_back(key.id);
  if (ids.empty()) return;
  const auto missing = with_token(act, [&] { return context.vault->missing(ids); });
  for (const auto& key : keys)
    if (std::ranges::find(missing, key.id) != missing.end())
      context.in_transaction(act, key.device, [&] {
        throw Refused(RefusalReason::in_use,
                      in_words(key) +
                          ", which is to take its place, is not in the token: nothing "
                          "is destroyed. Restore the token's copy that has it, or "
                          "rotate the device");
      });
}

/// Returns the keys, each once, and their names as the operation's digest and its recovery have
/// them.
std::pair<std::vector<KeyRef>, std::string> distinct(std::span<const KeyRef> refs) {
  if (refs.empty()) throw BadInput("no key is given");
  std::pair<std::vector<KeyRef>, std::string> result;
  for (const auto& ref : refs) {
    const std::string each = name_of(ref) + ";";
    if (result.second.find(each) != std::string::npos) continue;
    result.second += each;
    result.first.push_back(ref);
  }
  return result;
}

/// Records intents for all keys, or throws a refusal that names the first that may not be
/// destroyed, and sets `device` to its device.
std::vector<Key> plan_destruction(Context& context, const trail::AuditContext& act,
                                  std::span<const KeyRef> refs, const registry::Hash& digest,
                                  std::optional<DeviceId>& device) {
  check_authority(act.authority);
  std::vector<Key> keys;
  if (context.is_repeat(act.operation_id, act.name, digest)) return keys;
  std::int64_t intent = -1;
  const auto prover = context.checkpoints.prover();
  const auto before = context.registry.operation(act.operation_id);
  const bool goes_on =
      before && before->digest == digest;  // it was left half-way, and recovered: keys that are
                                           // gone already are passed over
  for (const auto& ref : refs) {
    device = ref.device;
    Key key = context.key(ref);
    check_not_being_destroyed(context, ref);
    if (goes_on && is_destroyed(key.state)) continue;
    check_may_end(context, ref, key, "destroyed", prover);
    Key after = key;
    context.set_state(after, destroyed_from(key.state));
    const auto index = context.append(
        context.trail.record(act, Phase::intent, key, key.state, after.state), key.device, {});
    if (intent < 0) intent = index;
    keys.push_back(std::move(key));
  }
  context.put_operation(
      act, intent < 0 && before ? static_cast<std::int64_t>(before->intent) : intent,
      {.digest = digest, .state = keys.empty() ? OperationState::done : OperationState::open},
      refs);
  return keys;
}

void conclude_destruction(Context& context, const trail::AuditContext& act,
                          const std::vector<Key>& keys) {
  for (const auto& planned : keys) {
    Key key = context.key(planned.ref());  // it may have been marked as compromised meanwhile
    const auto from = key.state;
    context.set_state(key, destroyed_from(from));
    key.record = static_cast<std::uint64_t>(
        context.append(context.trail.record(act, Phase::outcome, key, from, key.state), key.device,
                       {{Field::result, key.is_sealed ? "blobs-deleted" : "ok"},
                        {Field::detail, key.is_sealed ? "" : "absence-checked"}}));
    context.registry.update_key(key);
    context.registry.forget_wrapped(key);
    context.registry.forget_sealed(key);
  }
  context.end_operation(act.operation_id, OperationState::done);
}

}  // namespace

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

std::string names_of(std::span<const KeyRole> roles) {
  std::vector<std::string> names;
  for (const auto role : roles) names.emplace_back(to_string(role));
  return audit::join_words(names, "+");
}

void retire(Context& context, std::span<const KeyRef> given, const Authority& authority,
            const std::string& given_id) {
  const auto act = context.act(op::key_retire, authority, given_id);
  const auto [refs, list] = distinct(given);
  std::optional<DeviceId> device = refs.front().device;
  context.in_transaction(act, device, [&] {
    check_authority(authority);
    const auto digest = digest_of({act.name, list});
    if (context.is_repeat(act.operation_id, act.name, digest)) return;
    std::vector<Key> keys;
    for (const auto& ref : refs) {
      device = ref.device;
      keys.push_back(context.key(ref));
      check_may_end(context, ref, keys.back(), "retired");
    }
    std::vector<std::uint64_t> records;
    for (const auto& key : keys)
      records.push_back(
          change_key(context, act, key, {.state = KeyState::deactivated, .result = "retired"})
              .record);
    context.put_operation(
        act, static_cast<std::int64_t>(records.front()),
        {.device = refs.size() == 1 ? std::optional(refs.front().device) : std::nullopt,
         .digest = digest,
         .state = OperationState::done},
        refs);
  });
}

void destroy(Context& context, std::span<const KeyRef> given, const Authority& authority,
             const std::string& given_id) {
  const auto act = context.act(op::key_destroy, authority, given_id);
  const auto [refs, list] = distinct(given);
  const auto digest = digest_of({act.name, list});
  std::optional<DeviceId> device = refs.front().device;
  check_successors_are_there(context, act, refs);
  auto keys = context.in_transaction(
      act, device, [&] { return plan_destruction(context, act, refs, digest, device); });
  if (keys.empty()) return;  // done before, under this id
  std::vector<KeyId> ids;
  for (const auto& key : keys)
    if (!key.is_sealed) ids.push_back(key.id);  // the token has nothing of a sealed key
  if (!ids.empty())
    with_token(act, [&] {
      if (const auto left = context.vault->destroy(ids); left != 0)
        throw RefusedByToken("C_DestroyObject", "CKR_OK",
                             std::to_string(left) +
                                 " objects are still in the token after their destruction; the "
                                 "operation stays open, and opening the registry anew settles it");
    });
  context.in_transaction(act, refs.front().device,
                         [&] { conclude_destruction(context, act, keys); });
  context.empty_log();
}

}  // namespace smets1kms::lifecycle
