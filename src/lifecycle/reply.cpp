#include <algorithm>

#include "dlms/key_transfer_bytes.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/rules.hpp"

namespace smets1kms::lifecycle {
namespace {

using audit::Field;
using Phase = Trail::Phase;

constexpr std::size_t longest_answer_recorded = 16;  // bytes; a whole ACTION-Response without data has 5

/// Who asked and who authorised stands at the key's intent; an answer is recorded under its operation.
Act reply_act(const Key& key) { return {.name = "transfer.reply", .operation_id = key.operation, .authority = {}}; }

/// Changes state and delivery of one key, with the record that says so.
class Change {
 public:
  Change(Core& core, const Act& act, Key key) : core_(core), act_(act), key_(std::move(key)), from_(key_.state) {}
  Change& to(KeyState state) {
    core_.set_state(key_, state);
    return *this;
  }
  Change& delivery(Delivery delivery) {
    key_.delivery = delivery;
    return *this;
  }
  Key record(std::string_view result, std::string_view detail) {
    const Instant moment = core_.trail.moment();
    mark_delivery(key_, moment.utc);
    core_.registry.update_key(key_);
    auto note = core_.trail.record(act_, Phase::note);
    Trail::describe(note, key_);
    note.set(Field::result, result).set(Field::state_from, to_string(from_)).set(Field::state_to, to_string(key_.state));
    if (!detail.empty()) note.set(Field::detail, detail);
    core_.trail.append(note, key_.device, moment);
    return key_;
  }

 private:
  Core& core_;
  const Act& act_;
  Key key_;
  KeyState from_;
};

/// The superseded keys of a role are deactivated, except those of a device that goes on with them until
/// its next association: `retire` says when that has been seen.
void deactivate_superseded(Core& core, const Act& act, const Key& by, Activation activation) {
  if (activation == Activation::next_association) return;
  for (const auto& other : core.registry.keys(by.device))
    if (other.role == by.role && other.generation < by.generation && other.state == KeyState::active)
      Change(core, act, other).to(KeyState::deactivated).record("superseded", {});
}

/// What an accepted GAK says about the KEK it was wrapped under (domain: a KEK can't be probed).
void judge_kek(Core& core, const Act& act, const Key& gak) {
  const auto keys = core.registry.keys(gak.device);
  const Key* candidate = kek_candidate(keys);
  if (candidate == nullptr || gak.role != KeyRole::gak) return;
  if (gak.kek != candidate->id) {
    Change(core, act, *candidate).delivery(Delivery::not_held).record("not-held", "a GAK under the old KEK was accepted");
    return;
  }
  Change proved(core, act, *candidate);
  if (candidate->state == KeyState::pre_active) proved.to(KeyState::active);
  const Key kek = proved.delivery(Delivery::confirmed).record("confirmed", "a GAK under this KEK was accepted");
  deactivate_superseded(core, act, kek, Activation::immediate);
}

/// The device holds this key from now on.
void confirm(Core& core, const Act& act, const Key& key, std::string_view detail) {
  const auto model = core.config.models.find(core.device(key.device).model);
  const auto activation = model == core.config.models.end() ? Activation::next_association : model->second.activation;
  Change change(core, act, key);
  if (key.state == KeyState::pre_active) change.to(KeyState::active);  // one marked compromised meanwhile stays so
  const Key confirmed = change.delivery(Delivery::confirmed).record("confirmed", detail);
  deactivate_superseded(core, act, confirmed, activation);
  judge_kek(core, act, confirmed);
}

std::string describe_answer(const std::optional<Bytes>& answer) {
  if (!answer) return "no-answer";
  const ByteView shown(answer->data(), std::min(answer->size(), longest_answer_recorded));
  return "answer:" + to_hex(shown) + (shown.size() < answer->size() ? "..." : "");
}

std::vector<Key> keys_of_transfer(Core& core, DeviceId device, std::uint32_t transfer) {
  (void)core.device(device);
  std::vector<Key> keys;
  for (auto& key : core.registry.keys(device))
    if (transfer != 0 && key.transfer == transfer && key.delivery != Delivery::planned) keys.push_back(std::move(key));
  if (keys.empty())
    throw Refused("not-released", "no transfer " + std::to_string(transfer) + " of " + device.to_string() + " was released: nothing to confirm");
  return keys;
}

Delivery judge(Core& core, const Key& key, const std::optional<Bytes>& answer, bool success) {
  const auto act = reply_act(key);
  const auto detail = describe_answer(answer);
  switch (key.delivery) {
    case Delivery::released:
    case Delivery::in_doubt: break;
    case Delivery::unproven:
    case Delivery::confirmed:
      if (success) return key.delivery;  // the same answer again
      throw Refused("already-confirmed", "transfer " + std::to_string(key.transfer) + " of " + key.device.to_string() + " was answered with success before");
    default:
      throw Refused("already-resolved", "the doubt about transfer " + std::to_string(key.transfer) + " of " + key.device.to_string() +
                                            " was resolved: the device kept its old key. If it answers success now, rotate again");
  }
  if (!success) {
    // A lost or negative answer means unknown: meters answer "not ok" and have replaced the key.
    if (key.delivery == Delivery::released) Change(core, act, key).delivery(Delivery::in_doubt).record("in-doubt", detail);
    return Delivery::in_doubt;
  }
  if (key.role == KeyRole::kek) {
    Change(core, act, key).delivery(Delivery::unproven).record("unproven", detail);
    return Delivery::unproven;
  }
  confirm(core, act, key, detail);
  return Delivery::confirmed;
}

}  // namespace

ReplyResult record_reply(Core& core, DeviceId device, std::uint32_t transfer, const std::optional<Bytes>& action_response) {
  const bool success = action_response && dlms::is_success(*action_response);
  return core.record_change({.name = "transfer.reply", .operation_id = "", .authority = {}}, device, [&] {
    ReplyResult result{.delivery = Delivery::in_doubt, .keys = {}};
    for (const auto& key : keys_of_transfer(core, device, transfer)) {
      result.delivery = judge(core, key, action_response, success);
      result.keys.push_back({.role = key.role, .id = key.id, .generation = key.generation});
    }
    return result;
  });
}

void resolve(Core& core, const KeyRef& ref, Held held, const std::string& evidence, const Authority& authority, const std::string& given_id) {
  if (evidence.empty() || evidence.size() > 200 || audit::printable(evidence, 200) != evidence)
    throw BadInput("evidence is 1 to 200 printable ASCII characters without quotes or backslashes: how was it seen which key the device holds?");
  const Act act{.name = "transfer.resolve", .operation_id = core.operation_id(given_id), .authority = authority};
  core.record_change(act, ref.device, [&] {
    check_authority(authority);
    std::string storage;
    const auto digest = digest_of({act.name, name_of(ref, storage), held == Held::new_key ? "new" : "old", evidence});
    if (core.is_repeat(act.operation_id, act.name, digest)) return;
    const Key key = core.key(ref);
    if (key.role == KeyRole::kek)
      throw Refused("kek-not-probable", "a KEK can't be probed by an association; rotate the GAK alone: its success tells which KEK the device holds");
    if (key.delivery != Delivery::in_doubt)
      throw Refused("not-in-doubt",
                    std::string(name_of(ref, storage)) + " is " + std::string(to_string(key.delivery)) + ", not in doubt: there is nothing to resolve");
    core.registry.put_operation(
        {.id = act.operation_id, .kind = std::string(act.name), .device = ref.device, .digest = digest, .state = registry::OperationState::done});
    if (held == Held::new_key)
      confirm(core, act, key, evidence);
    else
      Change(core, act, key).delivery(Delivery::not_held).record("not-held", evidence);
  });
}

}  // namespace smets1kms::lifecycle
