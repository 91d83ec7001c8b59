// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "dlms/action_response.hpp"
#include "lifecycle/key_change.hpp"
#include "lifecycle/key_manager_impl.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {
namespace {

// Bytes of a response that are recorded: up to the error, or the type of the data, never the data.
constexpr std::size_t longest_answer_recorded = 7;

/// Deactivates the superseded keys of a role, except those of a device that goes on with them until
/// its next association: `retire` follows once that was seen.
void deactivate_superseded(Context& context, const trail::AuditContext& act, const Key& by,
                           Activation activation) {
  if (activation == Activation::next_association) return;
  for (const auto& other : context.registry.keys(by.device))
    if (other.role == by.role && other.generation < by.generation &&
        other.state == KeyState::active)
      change_key(context, act, other, {.state = KeyState::deactivated, .result = "superseded"});
}

/// Returns the change that confirms a key; one that was marked compromised meanwhile stays so.
KeyChange confirmation(const Key& key, std::string_view detail) {
  return {
      .state = key.state == KeyState::pre_active ? std::optional(KeyState::active) : std::nullopt,
      .delivery = Delivery::confirmed,
      .result = "confirmed",
      .detail = detail};
}

/// Judges the KEK that an accepted GAK was wrapped under (a KEK can't be probed itself).
void judge_kek(Context& context, const trail::AuditContext& act, const Key& gak) {
  const auto keys = context.registry.keys(gak.device);
  const Key* candidate = kek_candidate(keys);
  if (candidate == nullptr || gak.role != KeyRole::gak) return;
  if (gak.kek != candidate->id) {
    change_key(context, act, *candidate,
               {.delivery = Delivery::not_held,
                .result = "not-held",
                .detail = "a GAK under the old KEK was accepted"});
    return;
  }
  const Key kek = change_key(context, act, *candidate,
                             confirmation(*candidate, "a GAK under this KEK was accepted"));
  deactivate_superseded(context, act, kek, Activation::immediate);
}

/// Records that the device holds this key from now on.
void confirm(Context& context, const trail::AuditContext& act, const Key& key,
             std::string_view detail) {
  const auto model = context.config.models.find(context.device(key.device).model);
  const auto activation = model == context.config.models.end() ? Activation::next_association
                                                               : model->second.activation;
  const Key confirmed = change_key(context, act, key, confirmation(key, detail));
  deactivate_superseded(context, act, confirmed, activation);
  judge_kek(context, act, confirmed);
}

std::string describe(const ReplyContent& reply) {
  if (reply.result) return "result:" + std::to_string(static_cast<int>(*reply.result));
  if (!reply.apdu) return "no-answer";
  const ByteView shown(reply.apdu->data(), std::min(reply.apdu->size(), longest_answer_recorded));
  return "answer:" + to_hex(shown) + (shown.size() < reply.apdu->size() ? "..." : "");
}

/// Refuses before anything is changed, so that in a group one answer is refused alone.
void check_answerable(const Key& key, bool success) {
  const std::string transfer =
      "transfer " + std::to_string(key.transfer) + " of " + key.device.to_string();
  switch (key.delivery) {
    case Delivery::released:
    case Delivery::in_doubt: return;
    case Delivery::unproven:
    case Delivery::confirmed:
      if (!success)
        throw Refused(RefusalReason::already_confirmed,
                      transfer + " was answered with success before");
      return;  // the same answer again
    default:
      throw Refused(RefusalReason::already_resolved,
                    "the doubt about " + transfer +
                        " was resolved: the device kept its old key. If it "
                        "answers success now, rotate again");
  }
}

/// Refuses where the key, or the KEK that an accepted GAK proves, is under destruction.
void check_settled(Context& context, const Key& key) {
  check_not_being_destroyed(context, key.ref());
  if (key.role != KeyRole::gak) return;
  const auto keys = context.registry.keys(key.device);
  if (const Key* kek = kek_candidate(keys)) check_not_being_destroyed(context, kek->ref());
}

Delivery take_answer(Context& context, const Key& key, const std::string& answer, bool success) {
  if (key.delivery == Delivery::unproven || key.delivery == Delivery::confirmed)
    return key.delivery;
  // The key's intent says who asked and who authorised.
  const trail::AuditContext act{.name = op::transfer_reply, .operation_id = key.operation};
  if (success && key.role != KeyRole::kek) {
    confirm(context, act, key, answer);
    return Delivery::confirmed;
  }
  // A lost or negative answer means unknown: meters answer "not ok" and have replaced the key.
  const auto delivery = success ? Delivery::unproven : Delivery::in_doubt;
  if (key.delivery != delivery)
    change_key(context, act, key,
               {.delivery = delivery, .result = to_string(delivery), .detail = answer});
  return delivery;
}

ReplyResult judge(Context& context, const Reply& reply, std::string& operation_id) {
  const auto keys = keys_of_transfer(context, reply.device, reply.transfer);
  operation_id = keys.front().operation;
  const auto& [apdu, invoke, action_result] = reply.content;
  const bool success = action_result ? *action_result == ActionResult::success
                                     : apdu && dlms::reports_success(*apdu, invoke);
  for (const auto& key : keys) {
    check_settled(context, key);
    check_answerable(key, success);
  }
  ReplyResult result{.delivery = Delivery::in_doubt, .keys = {}};
  for (const auto& key : keys) {
    result.delivery = take_answer(context, key, describe(reply.content), success);
    result.keys.push_back({.role = key.role, .id = key.id, .generation = key.generation});
  }
  return result;
}

/// Judges one reply of a group: a refused one changes nothing of the others.
void judge(Context& context, ReplyOutcome& outcome, std::string& operation_id) {
  operation_id.clear();
  const auto keep_failure = [&](Error& error) {
    error.set_operation_id(operation_id);
    outcome.failure = std::current_exception();
  };
  try {
    outcome.result = judge(context, outcome.reply, operation_id);
  } catch (Refused& refusal) {
    context.append_refusal({.name = op::transfer_reply}, outcome.reply.device, refusal);
    keep_failure(refusal);
  } catch (BadInput& error) {
    keep_failure(error);
  }
}

}  // namespace

std::vector<Key> keys_of_transfer(Context& context, DeviceId device, std::uint32_t transfer) {
  (void)context.device(device);
  std::vector<Key> keys;
  for (auto& key : context.registry.keys(device))
    if (transfer != 0 && key.transfer == transfer && key.delivery != Delivery::planned)
      keys.push_back(std::move(key));
  if (!keys.empty() && keys.front().delivery == Delivery::withheld)
    throw Refused(RefusalReason::withheld,
                  "transfer " + std::to_string(transfer) + " of " + device.to_string() +
                      " is withheld until its handover targets have shown that they hold its keys "
                      "('smets1-kms handover --received')");
  if (keys.empty())
    throw Refused(RefusalReason::not_released, "no transfer " + std::to_string(transfer) + " of " +
                                                   device.to_string() + " was released");
  return keys;
}

}  // namespace smets1kms::lifecycle

namespace smets1kms {

void KeyManager::record_replies(const ReplySource& next,
                                const std::function<void(const ReplyOutcome&)>& each) {
  auto& context = impl_->context;
  const auto outcome_of = [](Reply reply) {
    return ReplyOutcome{.reply = std::move(reply), .result = {}, .failure = {}};
  };
  (void)in_groups(context, "answers recorded", next, outcome_of, [&](auto& group) {
    std::string operation_id;
    try {
      context.transact([&] {
        for (auto& outcome : group) judge(context, outcome, operation_id);
      });
    } catch (Error& error) {
      if (group.size() == 1) error.set_operation_id(operation_id);
      throw;
    }
    for (const auto& outcome : group) each(outcome);
  });
}

void KeyManager::resolve(const KeyRef& ref, ProbeResult held, const std::string& evidence,
                         const Authority& authority, const std::string& given_id) {
  auto& context = impl_->context;
  if (evidence.empty() || evidence.size() > 200 || audit::printable(evidence, 200) != evidence)
    throw BadInput(
        "evidence is 1 to 200 printable ASCII characters without quotes, backslashes or a blank at "
        "an end: how was it "
        "seen which key the device holds?");
  const auto act = context.act(op::transfer_resolve, authority, given_id);
  context.in_transaction(act, ref.device, [&] {
    check_authority(authority);
    const auto digest =
        digest_of({act.name, name_of(ref), held == ProbeResult::new_key ? "new" : "old", evidence});
    if (context.is_repeat(act.operation_id, act.name, digest)) return;
    const Key key = context.key(ref);
    if (key.role == KeyRole::kek)
      throw Refused(RefusalReason::kek_not_probable,
                    "a KEK can't be probed by an association; rotate the GAK alone: its success "
                    "tells which KEK the device holds");
    if (key.delivery != Delivery::in_doubt)
      throw Refused(RefusalReason::not_in_doubt, name_of(ref) + " is " +
                                                     std::string(to_string(key.delivery)) +
                                                     ", not in doubt: there is nothing to resolve");
    check_settled(context, key);
    (void)context.trail.moment();  // a step of the clock is recorded before it
    const auto intent = context.trail.last_index() + 1;
    if (held == ProbeResult::new_key)
      confirm(context, act, key, evidence);
    else
      change_key(context, act, key,
                 {.delivery = Delivery::not_held, .result = "not-held", .detail = evidence});
    context.put_operation(act, intent,
                          {.device = ref.device, .digest = digest, .state = OperationState::done},
                          std::span(&ref, 1));
  });
}

}  // namespace smets1kms
