// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "dlms/key_transfer_bytes.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {
namespace {

using audit::Field;
using Phase = trail::RecordWriter::Phase;

constexpr std::size_t longest_answer_recorded =
    16;  // bytes; a whole ACTION-Response without data has 5

/// Who asked and who authorised stands at the key's intent; an answer is recorded under its
/// operation.
trail::AuditContext reply_act(const Key& key) {
  return {.name = op::transfer_reply, .operation_id = key.operation, .authority = {}};
}

/// Changes state and delivery of one key, with the record that says so.
class Change {
 public:
  Change(Context& context, const trail::AuditContext& act, Key key)
      : context_(context), act_(act), key_(std::move(key)), from_(key_.state) {}
  Change& to(KeyState state) {
    context_.set_state(key_, state);
    return *this;
  }
  Change& delivery(Delivery delivery) {
    key_.delivery = delivery;
    return *this;
  }
  Key record(std::string_view result, std::string_view detail) {
    const Instant moment = context_.trail.moment();
    mark_delivery(key_, moment.utc);
    context_.registry.update_key(key_);
    auto note = context_.trail.record(act_, Phase::note, key_, from_, key_.state);
    note.set(Field::result, result);
    if (!detail.empty()) note.set(Field::detail, detail);
    context_.trail.append(note, key_.device, moment);
    return key_;
  }

 private:
  Context& context_;
  const trail::AuditContext& act_;
  Key key_;
  KeyState from_;
};

/// The superseded keys of a role are deactivated, except those of a device that goes on with them
/// until its next association: `retire` says when that has been seen.
void deactivate_superseded(Context& context, const trail::AuditContext& act, const Key& by,
                           Activation activation) {
  if (activation == Activation::next_association) return;
  for (const auto& other : context.registry.keys(by.device))
    if (other.role == by.role && other.generation < by.generation &&
        other.state == KeyState::active)
      Change(context, act, other).to(KeyState::deactivated).record("superseded", {});
}

/// What an accepted GAK says about the KEK it was wrapped under (domain: a KEK can't be probed).
void judge_kek(Context& context, const trail::AuditContext& act, const Key& gak) {
  const auto keys = context.registry.keys(gak.device);
  const Key* candidate = kek_candidate(keys);
  if (candidate == nullptr || gak.role != KeyRole::gak) return;
  if (gak.kek != candidate->id) {
    Change(context, act, *candidate)
        .delivery(Delivery::not_held)
        .record("not-held", "a GAK under the old KEK was accepted");
    return;
  }
  Change proved(context, act, *candidate);
  if (candidate->state == KeyState::pre_active) proved.to(KeyState::active);
  const Key kek =
      proved.delivery(Delivery::confirmed).record("confirmed", "a GAK under this KEK was accepted");
  deactivate_superseded(context, act, kek, Activation::immediate);
}

/// The device holds this key from now on.
void confirm(Context& context, const trail::AuditContext& act, const Key& key,
             std::string_view detail) {
  const auto model = context.config.models.find(context.device(key.device).model);
  const auto activation = model == context.config.models.end() ? Activation::next_association
                                                               : model->second.activation;
  Change change(context, act, key);
  if (key.state == KeyState::pre_active)
    change.to(KeyState::active);  // one marked compromised meanwhile stays so
  const Key confirmed = change.delivery(Delivery::confirmed).record("confirmed", detail);
  deactivate_superseded(context, act, confirmed, activation);
  judge_kek(context, act, confirmed);
}

std::string describe_answer(const std::optional<Bytes>& answer) {
  if (!answer) return "no-answer";
  const ByteView shown(answer->data(), std::min(answer->size(), longest_answer_recorded));
  return "answer:" + to_hex(shown) + (shown.size() < answer->size() ? "..." : "");
}

std::vector<Key> keys_of_transfer(Context& context, DeviceId device, std::uint32_t transfer) {
  (void)context.device(device);
  std::vector<Key> keys;
  for (auto& key : context.registry.keys(device))
    if (transfer != 0 && key.transfer == transfer && key.delivery != Delivery::planned)
      keys.push_back(std::move(key));
  if (keys.empty())
    throw Refused(RefusalReason::not_released, "no transfer " + std::to_string(transfer) + " of " +
                                                   device.to_string() +
                                                   " was released: nothing to confirm");
  return keys;
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

/// Nothing that the answer changes may be under destruction: the key, and the KEK that an accepted
/// GAK proves.
void check_settled(Context& context, const Key& key) {
  check_not_being_destroyed(context, {key.device, key.role, key.generation});
  if (key.role != KeyRole::gak) return;
  const auto keys = context.registry.keys(key.device);
  if (const Key* kek = kek_candidate(keys))
    check_not_being_destroyed(context, {kek->device, kek->role, kek->generation});
}

Delivery take_answer(Context& context, const Key& key, const std::optional<Bytes>& answer,
                     bool success) {
  if (key.delivery == Delivery::unproven || key.delivery == Delivery::confirmed)
    return key.delivery;
  const auto act = reply_act(key);
  const auto detail = describe_answer(answer);
  if (!success) {
    // A lost or negative answer means unknown: meters answer "not ok" and have replaced the key.
    if (key.delivery == Delivery::released)
      Change(context, act, key).delivery(Delivery::in_doubt).record("in-doubt", detail);
    return Delivery::in_doubt;
  }
  if (key.role == KeyRole::kek) {
    Change(context, act, key).delivery(Delivery::unproven).record("unproven", detail);
    return Delivery::unproven;
  }
  confirm(context, act, key, detail);
  return Delivery::confirmed;
}

ReplyResult judge(Context& context, const Reply& reply) {
  const auto& answer = reply.content.apdu;
  const bool success = answer && dlms::is_success(*answer);
  const auto keys = keys_of_transfer(context, reply.device, reply.transfer);
  for (const auto& key : keys) {
    check_settled(context, key);
    check_answerable(key, success);
  }
  ReplyResult result{.delivery = Delivery::in_doubt, .keys = {}};
  for (const auto& key : keys) {
    result.delivery = take_answer(context, key, answer, success);
    result.keys.push_back({.role = key.role, .id = key.id, .generation = key.generation});
  }
  return result;
}

constexpr std::size_t replies_together = 256;  // share a transaction and a signed head

}  // namespace

void record_replies(Context& context, const ReplySource& next,
                    const std::function<void(const ReplyOutcome&)>& each) {
  for (bool more = true; more;) {
    std::vector<ReplyOutcome> group;
    while (group.size() < replies_together) {
      auto reply = next();
      if (!(more = reply.has_value())) break;
      group.push_back({.reply = *std::move(reply), .result = {}, .failure = {}});
    }
    if (group.empty()) return;
    context.transact([&] {
      for (auto& [reply, result, failure] : group) {
        try {
          result = judge(context, reply);
        } catch (const Refused& refusal) {
          context.append_refusal({.name = op::transfer_reply, .operation_id = "", .authority = {}},
                                 reply.device, refusal);
          failure = std::current_exception();
        }
      }
      return SignCheckpoint::now;
    });
    for (const auto& outcome : group) each(outcome);
  }
}

void resolve(Context& context, const KeyRef& ref, ProbeResult held, const std::string& evidence,
             const Authority& authority, const std::string& given_id) {
  if (evidence.empty() || evidence.size() > 200 || audit::printable(evidence, 200) != evidence)
    throw BadInput(
        "evidence is 1 to 200 printable ASCII characters without quotes or backslashes: how was it "
        "seen which key the device holds?");
  const trail::AuditContext act{.name = op::transfer_resolve,
                                .operation_id = context.operation_id(given_id),
                                .authority = authority};
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
    context.registry.put_operation({.id = act.operation_id,
                                    .kind = std::string(act.name),
                                    .device = ref.device,
                                    .digest = digest,
                                    .state = OperationState::done},
                                   std::span(&ref, 1));
    if (held == ProbeResult::new_key)
      confirm(context, act, key, evidence);
    else
      Change(context, act, key).delivery(Delivery::not_held).record("not-held", evidence);
  });
}

}  // namespace smets1kms::lifecycle
