#include "audit/story.hpp"

#include <algorithm>

namespace smets1kms::audit {
namespace {

std::string called(const Step& step) { return std::string(to_string(step.role)) + " " + std::to_string(step.generation) + " (" + key_name(step.key) + ")"; }

[[noreturn]] void fail(const Step& step, const std::string& why) { throw Failed(why, step.index); }

constexpr bool is_pending(Way way) { return way == Way::planned || way == Way::released || way == Way::in_doubt || way == Way::unproven; }

}  // namespace

Story::Key* Story::find(const Id& id) {
  const auto found = std::ranges::find(keys_, id, &Key::id);
  return found == keys_.end() ? nullptr : &*found;
}

Story::Key& Story::need(const Step& step) {
  Key* key = find(step.key);
  if (key == nullptr) fail(step, called(step) + " was never planned: no intent names it");
  check_same(step, *key);
  return *key;
}

void Story::check_same(const Step& step, const Key& key) const {
  if (step.role != key.role || step.generation != key.generation)
    fail(step, "key " + key_name(key.id) + " is " + std::string(to_string(key.role)) + " " + std::to_string(key.generation) + ", not what this record says");
  if (step.has_kek && step.kek != key.kek) fail(step, called(step) + " is said to be wrapped under another KEK than was planned");
  if (step.has_states && step.from != key.state)
    fail(step, called(step) + " is said to be " + std::string(to_string(step.from)) + ", and is " + std::string(to_string(key.state)));
}

void Story::follow_chain(const Step& step) {
  if (device_) {
    if (step.sequence != sequence_ + 1)
      fail(step, "it is record " + std::to_string(step.sequence) + " of " + device_name(*device_) + ", and record " + std::to_string(sequence_ + 1) +
                     " should follow");
    if (step.previous != leaf_) fail(step, "device_prev is not the hash of the previous record of " + device_name(*device_));
  }
  if (step.before != (device_ && sequence_ > 0 ? index_ + 1 : 0)) fail(step, "the index stored for the device's previous record is not that record's");
  ++sequence_;
  index_ = step.index;
  leaf_ = step.leaf;
}

void Story::take(const Step& step) {
  follow_chain(step);
  const Rule& rule = rule_of(step);
  switch (rule.effect) {
    case Effect::remark: break;
    case Effect::plan: plan(step); break;
    case Effect::begin:
      (void)need(step);
      open_.push_back({step.operation, step.key, rule.operation, step.index});
      break;
    case Effect::make: make(step, rule); break;
    case Effect::finish:
      close(step, rule.operation);
      finish(step, need(step));
      break;
    case Effect::abandon:
      close(step, rule.operation);
      std::erase_if(keys_, [&](const Key& key) { return key.id == step.key && key.state == State::none; });
      break;
    case Effect::change: change(step, rule); break;
    case Effect::settle: settle(step, rule); break;
    case Effect::conflict: break;
  }
}

/// A new id, a new generation, a KEK that may wrap, and no other key of the role on its way.
void Story::plan(const Step& step) {
  if (find(step.key) != nullptr) fail(step, "the id of " + called(step) + " was given to a key before");
  if (device_) {
    for (const auto& key : keys_) {
      if (key.role != step.role) continue;
      if (key.generation >= step.generation) fail(step, called(step) + " does not follow generation " + std::to_string(key.generation));
      // A KEK from its manufacturer takes the place of those that may not be used any more, or of itself in the other vault.
      if (rule_of(step).operation == "key.import") {
        const bool moved = step.has_predecessor && step.predecessor == key.id && key.state == State::active && key.imported && key.kek == step.kek;
        if (key.state <= State::suspended && key.way != Way::not_held && !moved)
          fail(step, called(step) + " is imported while generation " + std::to_string(key.generation) + " is usable");
      } else if (is_pending(key.way) && key.state != State::destroyed && key.state != State::destroyed_compromised)
        fail(step, called(step) + " is planned while generation " + std::to_string(key.generation) + " is on its way: the device could be left with neither");
    }
    if (step.from != State::none) fail(step, called(step) + " is planned, and said to exist");
    if (step.has_kek) {
      const Key* kek = find(step.kek);
      if (kek == nullptr || kek->role != Role::kek || (kek->state != State::active && kek->state != State::pre_active))
        fail(step, called(step) + " is planned under a key that is not a usable KEK of its device");
      if (kek->moved) fail(step, called(step) + " is planned under a KEK that was moved before");
    }
    if (step.has_predecessor) {
      const Key* before = find(step.predecessor);
      if (before == nullptr || before->role != step.role) fail(step, called(step) + " names a predecessor that is not a key of its role");
    }
  }
  open_.push_back({step.operation, step.key, rule_of(step).operation, step.index});
  keys_.push_back({.id = step.key,
                   .kek = step.kek,
                   .role = step.role,
                   .generation = step.generation,
                   .since = step.index,
                   .imported = rule_of(step).operation == "key.import"});
}

void Story::make(const Step& step, const Rule& rule) {
  close(step, rule.operation);
  Key& key = need(step);
  if (device_ && step.to == State::none) fail(step, called(step) + " is made, and said not to exist");
  move(step, key);
  key.way = device_ ? rule.way : Way::confirmed;
  key.sealed = step.is_sealed;
  if (Key* before = key.imported && step.has_predecessor ? find(step.predecessor) : nullptr) before->moved = true;
}

/// A key in the token is gone once a search has found nothing; only one that rests outside of it goes with its blobs.
void Story::finish(const Step& step, Key& key) {
  const Rule& rule = rule_of(step);
  if (rule.result == "blobs-deleted" && !key.sealed) fail(step, called(step) + " is destroyed without a check of its absence in the token");
  if (rule.operation == "key.enrol") key.sealed = false;
  move(step, key);
}

void Story::change(const Step& step, const Rule& rule) {
  Key& key = need(step);
  if (key.state == State::none) fail(step, called(step) + " was never made, and was released");
  if (rule.from != 0) {
    if ((rule.from >> static_cast<unsigned>(key.way) & 1) == 0)
      fail(step, called(step) + " can't be " + std::string(rule.result) + ": nothing of it is on its way");
    key.way = rule.way;
  } else if (rule.result == "superseded" && std::ranges::none_of(keys_, [&](const Key& other) {
               return other.role == key.role && other.generation > key.generation && other.way == Way::confirmed;
             })) {
    fail(step, called(step) + " is said to be superseded, and no newer key of its role is confirmed");
  }
  move(step, key);
}

/// Whatever the operation was: what it had planned or begun is closed.
void Story::settle(const Step& step, const Rule& rule) {
  close(step, {});
  Key& key = need(step);
  if (key.state != State::none) {
    move(step, key);
  } else if (device_ && step.to == State::destroyed) {
    move(step, key);
    key.way = rule.way;
  } else {
    std::erase_if(keys_, [&](const Key& each) { return each.id == step.key; });
  }
}

/// Each outcome has its intent, and one only. `name`: the operation that it must be of.
void Story::close(const Step& step, std::string_view name) {
  const auto found = std::ranges::find_if(
      open_, [&](const Open& open) { return open.operation == step.operation && open.key == step.key && (name.empty() || open.name == name); });
  if (found == open_.end()) fail(step, "an outcome of " + called(step) + " without an open intent of the same operation");
  open_.erase(found);
}

void Story::move(const Step& step, Key& key) {
  if (step.has_states) key.state = step.to;
  key.since = step.index;
}

void Story::findings(std::vector<Finding>& list) const {
  const std::string of = device_ ? " of " + device_name(*device_) : "";
  for (const auto& each : open_)
    list.push_back({.kind = "open-intent",
                    .text = std::string(each.name) + " of key " + key_name(each.key) + of + " was begun, and has no outcome yet",
                    .index = each.index});
  for (const auto& key : keys_)
    if (key.way == Way::in_doubt || key.way == Way::unproven)
      list.push_back({.kind = key.way == Way::in_doubt ? "in-doubt" : "unproven",
                      .text = std::string(to_string(key.role)) + " " + std::to_string(key.generation) + of +
                              (key.way == Way::in_doubt ? " is in doubt: which key the device holds is not known" : " waits for a GAK that proves it"),
                      .index = key.since});
}

}  // namespace smets1kms::audit
