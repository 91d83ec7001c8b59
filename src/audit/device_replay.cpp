// SPDX-License-Identifier: Apache-2.0
#include "audit/device_replay.hpp"

#include <algorithm>
#include <utility>

namespace smets1kms::audit {
namespace {

std::string called(const RecordSummary& summary) {
  return std::string(role_name(summary.role)) + " " + std::to_string(summary.generation) + " (" +
         to_hex(summary.key) + ")";
}

[[noreturn]] void fail(const RecordSummary& summary, const std::string& why) {
  throw VerificationFailed(why, summary.index);
}

[[noreturn]] void fail_key(const RecordSummary& summary, const std::string& what) {
  fail(summary, called(summary) + what);
}

constexpr bool is_pending(Delivery delivery) {
  return delivery == Delivery::planned || delivery == Delivery::released ||
         delivery == Delivery::in_doubt || delivery == Delivery::unproven ||
         delivery == Delivery::withheld;
}

/// An event of a device's life, and the events that it may follow.
struct DeviceEvent {
  std::string_view operation, follows;
};
constexpr DeviceEvent device_events[] = {
    {op::device_commission, "device.register"},
    {op::device_suspend, "device.register device.commission device.resume device.recommission"},
    {op::device_resume, "device.suspend"},
    {op::device_decommission,
     "device.register device.commission device.resume device.recommission device.suspend"},
    {op::device_recommission, "device.decommission"}};

/// Word that a settlement has for an operation which it closes.
struct SettledAs {
  std::string_view word, operations;
};
constexpr SettledAs settled_as[] = {
    {"rotate", "key.generate"},
    {"import", "key.import"},
    {"token-key",
     "audit-key.generate enrolment-key.generate import-key.generate storage-key.generate "
     "target.admit"},
    {"token-key.destroy", "storage-key.destroy"}};

}  // namespace

DeviceReplay::Key* DeviceReplay::find(const Id& id) {
  const auto found = std::ranges::find(keys_, id, &Key::id);
  return found == keys_.end() ? nullptr : &*found;
}

DeviceReplay::Key& DeviceReplay::need(const RecordSummary& summary) {
  Key* key = find(summary.key);
  if (key == nullptr) fail_key(summary, " was never planned: no intent names it");
  check_same(summary, *key);
  return *key;
}

void DeviceReplay::check_same(const RecordSummary& summary, const Key& key) const {
  if (summary.role != key.role || summary.generation != key.generation)
    fail(summary, "key " + to_hex(key.id) + " is " + std::string(role_name(key.role)) + " " +
                      std::to_string(key.generation) + ", not what this record says");
  const auto effect = record_type_of(summary).effect;
  const bool names_purpose =
      summary.target != 0 && effect != Effect::settle && effect != Effect::conflict;
  if (!device_ && names_purpose && summary.target != key.target)
    fail_key(summary, " was planned for another purpose or handover target");
  if (device_ && summary.predecessor != key.predecessor)
    fail_key(summary, " is said to have another predecessor than was planned");
  // A KEK that its manufacturer sent came under none.
  if (device_ && (summary.has_kek == key.imported || (summary.has_kek && summary.kek != key.kek)))
    fail_key(summary, " is said to be wrapped under another KEK than was planned");
  if (device_ && summary.transfer != key.transfer)
    fail_key(summary, " is said to go in transfer " + std::to_string(summary.transfer) +
                          ", and was planned for " + std::to_string(key.transfer));
  if (summary.has_states && summary.from != key.state)
    fail_key(summary, " is said to be " + std::string(to_string(summary.from)) + ", and is " +
                          std::string(to_string(key.state)));
}

void DeviceReplay::follow_chain(const RecordSummary& summary) {
  if (device_) {
    if (summary.sequence != sequence_ + 1)
      fail(summary, "it is record " + std::to_string(summary.sequence) + " of " +
                        device_name(*device_) + ", and record " + std::to_string(sequence_ + 1) +
                        " should follow");
    if (summary.previous != leaf_)
      fail(summary,
           "device_prev is not the hash of the previous record of " + device_name(*device_));
  }
  if (summary.before != (device_ && sequence_ > 0 ? index_ + 1 : 0))
    fail(summary, "the index stored for the device's previous record is not that record's");
  ++sequence_;
  index_ = summary.index;
  leaf_ = summary.leaf;
}

void DeviceReplay::add(const RecordSummary& summary) {
  follow_chain(summary);
  const RecordType& rule = record_type_of(summary);
  need_marks(summary, rule);
  switch (rule.effect) {
    case Effect::remark:
      if (rule.operation.starts_with("device.")) follow_device(summary, rule);
      if (device_ && summary.has_key && !rule.operation.empty() &&
          need(summary).state == KeyState::none)
        fail_key(summary, " was never made");
      if (const Key* key = summary.has_key ? find(summary.key) : nullptr;
          key != nullptr && key->delivery == Delivery::withheld &&
          rule.operation == op::transfer_release_again)
        fail_key(summary, " is withheld, and its transfer is handed out again");
      if (rule.result == "registered-without-kek" &&
          std::ranges::any_of(keys_, [](const Key& key) { return key.state != KeyState::none; }))
        fail(summary, "a device that has keys is said to have no KEK");
      break;
    case Effect::plan: plan(summary); break;
    case Effect::begin: begin(summary, rule.operation); break;
    case Effect::make: make(summary, rule); break;
    case Effect::finish:
      close(summary, rule.operation);
      finish(summary, need(summary));
      break;
    case Effect::abandon:
      close(summary, rule.operation);
      (void)need(summary);
      std::erase_if(keys_, [&](const Key& key) {
        return key.id == summary.key && key.state == KeyState::none;
      });
      break;
    case Effect::change: change(summary, rule); break;
    case Effect::settle: settle(summary, rule); break;
    case Effect::conflict: (void)need(summary); break;
  }
}

/// Follows the device's life: its states follow each other legally.
void DeviceReplay::follow_device(const RecordSummary& summary, const RecordType& rule) {
  const auto event = std::ranges::find(device_events, rule.operation, &DeviceEvent::operation);
  const bool is_legal =
      event == std::end(device_events)
          ? true
          : status_.empty() || event->follows.find(status_) != std::string_view::npos;
  const bool is_commission = rule.operation == op::device_commission;
  if (!is_legal || (is_commission && is_in_service_ && !status_.empty()))
    fail(summary, "'" + std::string(rule.operation) + "' does not follow '" + std::string(status_) +
                      "' in the life of " + device_name(*device_));
  is_in_service_ =
      event == std::end(device_events)
          ? summary.has_time
          : rule.operation != op::device_decommission &&
                (is_in_service_ || is_commission || rule.operation == op::device_recommission);
  if (event != std::end(device_events))
    status_ = rule.operation;
  else if (!std::exchange(status_, rule.operation).empty())
    registered_again_ = summary.index;
}

/// Plans a key, which needs a new id, a new generation, a KEK that may wrap, and no other key of
/// the role on its way.
void DeviceReplay::plan(const RecordSummary& summary) {
  if (find(summary.key) != nullptr)
    fail(summary, "the id of " + called(summary) + " was given to a key before");
  if (device_) {
    for (const auto& key : keys_) {
      if (key.role != summary.role) continue;
      if (key.generation >= summary.generation)
        fail_key(summary, " does not follow generation " + std::to_string(key.generation));
      // A KEK from its manufacturer replaces KEKs that may not be used any more, or itself in the
      // other vault.
      if (record_type_of(summary).operation == op::key_import) {
        const bool moved = summary.has_predecessor && summary.predecessor == key.id &&
                           key.state == KeyState::active && key.imported && key.kek == summary.kek;
        if (key.state <= KeyState::suspended && key.delivery != Delivery::not_held && !moved)
          fail_key(summary, " is imported while generation " + std::to_string(key.generation) +
                                " is usable");
      } else if (is_pending(key.delivery) && key.state != KeyState::destroyed &&
                 key.state != KeyState::destroyed_compromised)
        fail_key(summary, " is planned while generation " + std::to_string(key.generation) +
                              " is on its way: the device could be left with neither");
    }
    if (summary.from != KeyState::none) fail_key(summary, " is planned, and said to exist");
    const bool is_imported = record_type_of(summary).operation == op::key_import;
    if (is_imported == (summary.transfer != 0))
      fail_key(summary, is_imported ? " is imported, and said to go in a transfer"
                                    : " is planned for no transfer");
    for (const auto& key : keys_)
      if (!is_imported && key.transfer == summary.transfer && key.operation != summary.operation)
        fail_key(summary, " is planned for transfer " + std::to_string(summary.transfer) +
                              ", which is another operation's");
    if (!is_in_service_ && record_type_of(summary).operation == op::key_generate)
      fail_key(summary, " is planned for a device that is not in service");
    if (summary.has_kek) {
      const Key* kek = find(summary.kek);
      if (kek == nullptr || kek->role != KeyRole::kek ||
          (kek->state != KeyState::active && kek->state != KeyState::pre_active))
        fail_key(summary, " is planned under a key that is not a usable KEK of its device");
      if (kek->moved) fail_key(summary, " is planned under a KEK that was moved before");
    }
    if (summary.has_predecessor) {
      const Key* before = find(summary.predecessor);
      if (before == nullptr || before->role != summary.role)
        fail_key(summary, " names a predecessor that is not a key of its role");
    }
  }
  open_.push_back({summary.operation, summary.key, record_type_of(summary).operation, summary.index,
                   summary.authority});
  keys_.push_back({.id = summary.key,
                   .kek = summary.kek,
                   .predecessor = summary.predecessor,
                   .operation = summary.operation,
                   .role = summary.role,
                   .generation = summary.generation,
                   .made_by = record_type_of(summary).operation,
                   .since = summary.index,
                   .imported = record_type_of(summary).operation == op::key_import,
                   .transfer = summary.transfer,
                   .target = summary.target});
}

/// Begins an operation on a key that is there. A key of the token itself is destroyed by the
/// operation of its kind, and once; the audit key that signs is not.
void DeviceReplay::begin(const RecordSummary& summary, std::string_view name) {
  const Key& key = need(summary);
  if (name == op::key_enrol && !key.sealed) fail_key(summary, " does not wait for its admission");
  if (!device_) {
    if (key.delivery != Delivery::confirmed)
      fail_key(summary, " is not there: it was not made, or is destroyed");
    if (key.made_by.substr(0, key.made_by.find('.')) != name.substr(0, name.find('.')))
      fail_key(summary, " is of another kind: '" + std::string(key.made_by) + "' made it");
    const auto last = std::ranges::find_if(keys_.rbegin(), keys_.rend(), [&](const Key& other) {
      return other.made_by == key.made_by && other.delivery == Delivery::confirmed;
    });
    if (name == op::audit_key_destroy && last->id == key.id)
      fail_key(summary, " is the audit key that signs, and is to be destroyed");
  }
  open_.push_back({summary.operation, summary.key, name, summary.index, summary.authority});
}

void DeviceReplay::make(const RecordSummary& summary, const RecordType& rule) {
  close(summary, rule.operation);
  Key& key = need(summary);
  if (device_ && summary.to == KeyState::none) fail_key(summary, " is made, and said not to exist");
  if (const Key* kek = device_ && summary.has_kek ? find(summary.kek) : nullptr;
      kek != nullptr && kek->state != KeyState::active && kek->state != KeyState::pre_active)
    fail_key(summary, " is made under a KEK that was not usable any more");
  move(summary, key);
  key.delivery = device_ ? rule.delivery : Delivery::confirmed;
  key.sealed = summary.is_sealed;
  key.handovers = summary.handovers;
  for (const auto& other : keys_)
    if (other.transfer == key.transfer && key.transfer != 0 && other.state != KeyState::none &&
        (other.delivery == Delivery::withheld) != (key.delivery == Delivery::withheld))
      fail_key(summary, " goes in the transfer of a key of which it is said that it " +
                            std::string(key.delivery == Delivery::withheld ? "was released"
                                                                           : "is withheld"));
  if (Key* before = key.imported && summary.has_predecessor ? find(summary.predecessor) : nullptr)
    before->moved = true;
}

/// Finishes an operation. A key in the token is gone once a search has found nothing; only a key
/// outside of the token goes with its blobs.
void DeviceReplay::finish(const RecordSummary& summary, Key& key) {
  const RecordType& rule = record_type_of(summary);
  if (rule.result == "blobs-deleted" && !key.sealed)
    fail_key(summary, " is destroyed without a check of its absence in the token");
  if (rule.operation == op::key_enrol) key.sealed = false;
  if (!device_) key.delivery = Delivery::not_held;
  move(summary, key);
}

void DeviceReplay::change(const RecordSummary& summary, const RecordType& rule) {
  Key& key = need(summary);
  if (key.state == KeyState::none) fail_key(summary, " was never made, and was released");
  if (summary.has_target) check_target(summary, key);
  if (suspicions_ != nullptr && !suspicions_->vouch_for(summary))
    fail_key(summary, " is marked for a suspicion that no record of its operation has");
  if (rule.operation == op::key_reseal && !key.sealed)
    fail_key(summary, " is resealed, and is not at rest outside of the token");
  if (rule.operation.starts_with("handover.")) return;
  if (rule.operation == op::transfer_reply &&
      std::ranges::find(keys_, summary.operation, &Key::operation) == keys_.end())
    fail_key(summary, " is answered under an operation that made no key of its device");
  if (rule.result == "confirmed" && summary.from == KeyState::pre_active &&
      summary.to != KeyState::active)
    fail_key(summary, " is confirmed, and is not active");
  if (rule.from != 0) {
    if ((rule.from >> static_cast<unsigned>(key.delivery) & 1) == 0)
      fail_key(summary, " can't be " + std::string(rule.result) +
                            (key.delivery == Delivery::withheld ? ": its transfer is withheld"
                                                                : ": nothing of it is on its way"));
    if (rule.operation == op::transfer_release) check_receipts(summary, key);
    key.delivery = rule.delivery;
  } else if (rule.result == "superseded" && std::ranges::none_of(keys_, [&](const Key& other) {
               return other.role == key.role && other.generation > key.generation &&
                      other.delivery == Delivery::confirmed;
             })) {
    fail_key(summary, " is said to be superseded, and no newer key of its role is confirmed");
  }
  move(summary, key);
}

/// Checks that the target named is one that the key was handed over to, and shows receipt once.
void DeviceReplay::check_target(const RecordSummary& summary, Key& key) const {
  const auto end = key.handovers.targets.begin() + key.handovers.count;
  const auto place = std::find(key.handovers.targets.begin(), end, summary.target);
  if (place == end) fail_key(summary, " was not handed over to the target that is named");
  if (record_type_of(summary).operation != op::handover_receive) return;
  const auto bit = 1U << (place - key.handovers.targets.begin());
  if ((key.received & bit) != 0) fail_key(summary, " was received by this target before");
  key.received |= static_cast<std::uint8_t>(bit);
}

/// Checks that of all keys of a transfer each target that asked for it has shown receipt.
void DeviceReplay::check_receipts(const RecordSummary& summary, const Key& key) const {
  for (const auto& each : keys_)
    if (each.lacks_receipt() &&
        (each.id == key.id || (key.transfer != 0 && each.transfer == key.transfer)))
      fail_key(summary,
               " is released, and a target that was to be served before has not shown that "
               "it holds " +
                   std::string(role_name(each.role)) + " " + std::to_string(each.generation));
}

/// Closes what an operation of any kind had planned or begun.
void DeviceReplay::settle(const RecordSummary& summary, const RecordType& rule) {
  const auto operation = close(summary, {});
  const auto is_called = [&](const SettledAs& each) {
    return summary.target == target_tag(each.word) &&
           each.operations.find(operation) != each.operations.npos;
  };
  if (summary.target != target_tag(operation) && std::ranges::none_of(settled_as, is_called))
    fail(summary,
         "what is settled is '" + std::string(operation) + "', and its detail says otherwise");
  Key& key = need(summary);
  if (key.state != KeyState::none) {
    move(summary, key);
  } else if (device_ && summary.to == KeyState::destroyed) {
    move(summary, key);
    key.delivery = rule.delivery;
  } else {
    std::erase_if(keys_, [&](const Key& each) { return each.id == summary.key; });
  }
}

/// Closes an intent; each outcome has one, and one only. `name`: the operation that it must be of;
/// empty: any. Returns its operation.
std::string_view DeviceReplay::close(const RecordSummary& summary, std::string_view name) {
  const auto found = std::ranges::find_if(open_, [&](const Open& open) {
    return open.operation == summary.operation && open.key == summary.key &&
           (name.empty() || open.name == name);
  });
  if (found == open_.end())
    fail(summary,
         "an outcome of " + called(summary) + " without an open intent of the same operation");
  if (!name.empty() && found->authority != summary.authority)
    fail(summary, "the outcome of " + called(summary) +
                      " names other identities, another reference or reason than its intent");
  const auto operation = found->name;
  open_.erase(found);
  return operation;
}

void DeviceReplay::move(const RecordSummary& summary, Key& key) {
  if (key.state == KeyState::none) key.made = summary.index;
  if (summary.has_states) key.state = summary.to;
  key.since = summary.index;
  is_suspected_ = is_suspected_ || (key.role == KeyRole::kek && is_suspected(key.state));
}

}  // namespace smets1kms::audit
