// SPDX-License-Identifier: Apache-2.0
#include "report/device_facts.hpp"

#include "smets1kms/errors.hpp"

namespace smets1kms::report {
namespace {

/// Builder of a device's facts from its records.
class FactsBuilder {
 public:
  FactsBuilder(Device& device, Time now) : device_(device), now_(now) {}

  void run() {
    for (const auto& event : device_.events) add(event);
    for (const auto* open : open_) note(Problem::Kind::open_intent, open);
    for (const auto& key : keys_) {
      if (key.way == EventKind::in_doubt) note(Problem::Kind::in_doubt, key.since);
      if (key.way == EventKind::unproven) note(Problem::Kind::unproven, key.since);
      if (key.way == EventKind::withheld) note(Problem::Kind::withheld, key.since);
    }
    if (registered_ == nullptr && device_.unknown.empty())
      device_.unknown = "no record says what it is and when it was commissioned (device.register)";
    std::ranges::stable_sort(facts_.events, {},
                             [](const DeviceEvent& each) { return each.moment.at; });
    for (const auto& each : facts_.events)
      if (each.moment.at <= now_) device_.in_service = each.change != DeviceChange::decommissioned;
    if (without_kek_ != nullptr && !facts_.events.empty() &&
        facts_.events.back().change != DeviceChange::decommissioned)
      note(Problem::Kind::without_kek, without_kek_);
    if (!device_.unknown.empty()) return;
    for (auto& key : keys_) facts_.keys.push_back(key.facts);
    device_.facts = std::move(facts_);
  }

 private:
  struct Key {
    policy::KeyFacts facts;
    std::uint64_t id;
    EventKind way;
    const Event* since;
  };

  void add(const Event& event) {
    if (!event.readable) return contradict(event, "its facts are not as they should be");
    if (event.since > event.time + date_tolerance)
      return contradict(event, "its date lies ahead of its record");
    switch (event.what) {
      case EventKind::registered: return register_device(event);
      case EventKind::commissioned: return change(DeviceChange::commissioned, event);
      case EventKind::suspended: return change(DeviceChange::suspended, event);
      case EventKind::resumed: return change(DeviceChange::resumed, event);
      case EventKind::decommissioned: return change(DeviceChange::decommissioned, event);
      case EventKind::recommissioned: return change(DeviceChange::recommissioned, event);
      case EventKind::begun: open_.push_back(&event); return;
      case EventKind::made:
      case EventKind::withheld:
      case EventKind::imported: close(event); return add_key(event);
      case EventKind::released: return end_withholding(event);
      case EventKind::failed:
      case EventKind::settled:
      case EventKind::destroyed:
        if (event.state >= KeyState::destroyed) end_withholding(event);
        return close(event);
      case EventKind::conflict: return note(Problem::Kind::conflict, &event);
      case EventKind::in_doubt:
      case EventKind::unproven:
      case EventKind::confirmed:
      case EventKind::not_held: return move(event);
      case EventKind::compromised:
        if (Key* key = find(event)) key->facts.compromised = moment(event);
        return;
      default:
        if (rule_of(event).phase == "outcome") close(event);
    }
  }

  void note(Problem::Kind kind, const Event* event) { device_.problems.push_back({kind, event}); }
  static Moment moment(const Event& event) { return {.at = event.since, .record = event.index}; }
  void contradict(const Event& event, const std::string& what) {
    if (device_.unknown.empty())
      device_.unknown = "record " + std::to_string(event.index) + ": " + what;
  }
  void register_device(const Event& event) {
    if (registered_ != nullptr) {
      if (event.kind != registered_->kind || event.supports != registered_->supports ||
          event.since != registered_->since)
        contradict(event, "it says otherwise of the device than record " +
                              std::to_string(registered_->index) + " does");
      return;
    }
    registered_ = &event;
    if (rule_of(event).result == "registered-without-kek") without_kek_ = &event;
    facts_.kind = event.kind;
    facts_.supports = roles_of(event.supports);
    if (event.is_dated) change(DeviceChange::commissioned, event);
  }
  void change(DeviceChange what, const Event& event) {
    facts_.events.push_back(
        {what, {.at = event.since, .record = event.index, .recorded = event.time}});
  }

  Key* find(const Event& event) {
    const auto found = std::ranges::find(keys_, event.key, &Key::id);
    return found == keys_.end() ? nullptr : &*found;
  }
  void close(const Event& event) {
    std::erase_if(open_, [&](const Event* open) {
      return open->operation == event.operation && open->key == event.key;
    });
  }
  void add_key(const Event& event) {
    if (!event.role) return;
    if (event.what == EventKind::imported) without_kek_ = nullptr;
    policy::KeyFacts facts{
        .role = *event.role, .generation = event.generation, .generated = moment(event)};
    if (event.what == EventKind::imported)
      facts.confirmed = moment(event);  // the device has had it from its making
    keys_.push_back({.facts = facts, .id = event.key, .way = event.what, .since = &event});
  }
  void end_withholding(const Event& event) {
    if (Key* key = find(event); key != nullptr && key->way == EventKind::withheld)
      key->way = EventKind::made;
  }
  void move(const Event& event) {
    Key* key = find(event);
    if (key == nullptr) return;
    key->way = event.what;
    key->since = &event;
    auto& fact = event.what == EventKind::confirmed  ? key->facts.confirmed
                 : event.what == EventKind::not_held ? key->facts.not_held
                                                     : key->facts.in_doubt;
    if (fact) return;
    fact = moment(event);
    // The trail has it behind the key's making, even if a clock was set back between.
    fact->at = std::max(fact->at, key->facts.generated.at);
  }

  Device& device_;
  Time now_;
  policy::DeviceFacts facts_{};
  const Event* registered_ = nullptr;
  const Event* without_kek_ = nullptr;  ///< the record that says so, as long as it is true
  std::vector<Key> keys_;
  std::vector<const Event*> open_;
};

}  // namespace

std::string_view to_string(Problem::Kind kind) {
  static constexpr std::string_view words[] = {"in-doubt", "unproven", "open-intent",
                                               "conflict", "withheld", "without-kek"};
  return words[static_cast<std::size_t>(kind)];
}

const Event* Device::event(std::uint64_t index) const {
  const auto found = std::ranges::lower_bound(events, index, {}, &Event::index);
  return found == events.end() || found->index != index ? nullptr : &*found;
}

Device device_facts(std::span<const Event> events, const policy::Policy* policy, Time now) {
  Device device{.id = events.front().device, .events = events};
  if (events.back().what == EventKind::listed) {
    device.listed = &events.back();
    device.events = events.first(events.size() - 1);
  }
  if (device.events.empty()) {
    device.unknown = "the trail has no record of it";
    return device;
  }
  FactsBuilder(device, now).run();
  if (!device.facts || policy == nullptr) return device;
  try {
    device.duties = policy::duties(*device.facts, *policy, now);
  } catch (const BadInput& error) {
    device.facts.reset();
    device.unknown = error.what();
  }
  return device;
}

std::optional<Time> deadline_of(const policy::Duty& duty) {
  return duty.limit ? std::optional(duty.limit->deadline) : std::nullopt;
}

std::optional<Time> ended(const policy::Duty& duty) {
  using enum DutyStatus;
  const bool is_over = duty.status == met || duty.status == met_late || duty.status == lapsed ||
                       duty.status == closed;
  if (!is_over || !duty.limit || !duty.margin) return std::nullopt;
  return duty.limit->deadline - *duty.margin;
}

bool is_open_breach(const policy::Duty& duty) { return duty.breach && duty.wanted; }

RuleOrigin whose(const policy::Duty& duty) {
  if (duty.rule != nullptr) return duty.rule->origin;
  return duty.id == RuleId::p1 || duty.id == RuleId::p2 ? RuleOrigin::regulator
                                                        : RuleOrigin::project;
}

}  // namespace smets1kms::report
