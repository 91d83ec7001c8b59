// SPDX-License-Identifier: Apache-2.0
#include "policy/duties.hpp"

#include <algorithm>
#include <functional>
#include <map>

#include "smets1kms/errors.hpp"

namespace smets1kms::policy {
namespace {

using Serves = std::function<bool(const KeyFacts&)>;

template <class Range, class Value>
bool contains(const Range& range, const Value& value) {
  return std::ranges::find(range, value) != range.end();
}

void check(const DeviceFacts& device) {
  if (!std::ranges::is_sorted(device.events, {},
                              [](const DeviceEvent& each) { return each.moment.at; }))
    throw BadInput("the events of a device are not in the order of their time");
  for (const auto& key : device.keys)
    for (const auto& later : {key.in_doubt, key.confirmed, key.not_held})
      if (later && later->at < key.generated.at)
        throw BadInput(std::string(to_string(key.role)) + " generation " +
                       std::to_string(key.generation) + ": the device's answer (" +
                       format_time(later->at) + ") is before the key was generated (" +
                       format_time(key.generated.at) + ")");
}

/// Judge of a device as it was known at a moment.
class Judge {
 public:
  Judge(const DeviceFacts& device, const Policy& policy, Time now)
      : device_(device), policy_(policy), now_(now) {}

  std::vector<Duty> all() {
    for (std::size_t i = 0; i < device_.events.size(); ++i)
      if (begins(device_.events[i]) && known(device_.events[i].moment)) post_commissioning(i);
    if (duties_.empty()) {
      nothing_asked(RuleId::p1, now_, "it was not commissioned then");
      return std::move(duties_);
    }
    periodic();
    compromises();
    std::ranges::stable_sort(duties_, {}, &Duty::began);
    return std::move(duties_);
  }

 private:
  static bool begins(const DeviceEvent& event) {
    return event.change == DeviceChange::commissioned ||
           event.change == DeviceChange::recommissioned;
  }
  [[nodiscard]] bool known(const std::optional<Moment>& moment) const {
    return moment && moment->at <= now_;
  }
  /// True if the device took the key; one that is suspected before the device has it replaces
  /// nothing.
  [[nodiscard]] bool took(const KeyFacts& key) const {
    return known(key.confirmed) && !(key.compromised && key.compromised->at <= key.confirmed->at);
  }
  /// Returns from when an event counts where its earlier time would help the site.
  [[nodiscard]] Time counts_from(const Moment& moment) const {
    return policy_.late_by(moment) ? *moment.recorded : moment.at;
  }
  [[nodiscard]] Fact fact_of(const DeviceEvent& event) const {
    return {.kind = event.change == DeviceChange::commissioned     ? FactKind::commissioned
                    : event.change == DeviceChange::recommissioned ? FactKind::recommissioned
                                                                   : FactKind::decommissioned,
            .moment = event.moment,
            .late = policy_.late_by(event.moment)};
  }
  /// Returns the last commissioning or decommissioning that counts at a moment; nullptr: none.
  [[nodiscard]] const DeviceEvent* standing(Time when) const {
    const DeviceEvent* last = nullptr;
    for (const auto& event : device_.events)
      if (begins(event)
              ? event.moment.at <= when
              : event.change == DeviceChange::decommissioned && counts_from(event.moment) <= when)
        last = &event;
    return last;
  }
  /// Makes a duty of `id` that begins at `start`, under the edition then in force.
  [[nodiscard]] Duty begin(RuleId id, Time start) const {
    const Edition& edition = policy_.at(start);
    return {.id = id,
            .edition = &edition,
            .rule = edition.rule(id),
            .adjustment = policy_.adjustment(edition, id, start),
            .began = start};
  }
  static void set_limit(Duty& duty) {
    const auto* changed = duty.adjustment;
    duty.limit =
        limit(duty.began,
              changed != nullptr && changed->within ? *changed->within : duty.rule->terms->within);
    duty.due_soon = duty.limit->deadline - length(changed != nullptr && changed->due_soon
                                                      ? *changed->due_soon
                                                      : duty.rule->terms->due_soon);
  }
  [[nodiscard]] bool covers(const Rule* rule) const {
    return rule != nullptr && contains(rule->terms->kinds, device_.kind);
  }

  void nothing_asked(RuleId id, Time when, std::string_view why,
                     DutyStatus status = DutyStatus::not_applicable) {
    Duty duty = begin(id, when);
    duty.status = status;
    duty.why = why;
    duties_.push_back(std::move(duty));
  }

  void not_covered(const Duty& duty) {
    nothing_asked(duty.id, duty.began,
                  duty.rule == nullptr ? "the edition has no such rule"
                                       : "the rule is not for this kind of device");
  }

  /// Adds a duty of S1SR clause 20 or SEC Appendix AT: every supported role, by a key generated at
  /// the commissioning or after.
  void post_commissioning(std::size_t index) {
    const DeviceEvent& event = device_.events[index];
    const Time from = counts_from(event.moment);
    Duty duty = begin(RuleId::p1, event.moment.at);
    if (policy_.adjustment(*duty.edition, RuleId::p1, from) != duty.adjustment)
      duty.adjustment = nullptr;  // a device is not dated back into a deviation
    if (!covers(duty.rule)) return not_covered(duty);
    const Fact cause = fact_of(event);
    Duty exempt = duty;
    for (const auto role : duty.rule->terms->roles)
      (contains(device_.supports, role) ? duty : exempt)
          .roles.push_back({role, RoleProgress::none});
    if (!duty.roles.empty())
      judge(
          std::move(duty), {cause}, [=](const KeyFacts& key) { return key.generated.at >= from; },
          index + 1);
    if (exempt.roles.empty()) return;
    exempt.status = DutyStatus::exempt_unsupported;
    exempt.facts = {cause};
    duties_.push_back(std::move(exempt));
  }

  /// Adds the duties of S1SR clause 20, at intervals: each confirmed replacement of a role begins
  /// the next.
  void periodic() {
    const auto before = duties_.size();
    for (const auto& key : device_.keys) {
      if (!took(key) || !contains(device_.supports, key.role) || !replaces(key)) continue;
      Duty duty = begin(RuleId::p2, key.confirmed->at);
      if (!covers(duty.rule) || !contains(duty.rule->terms->roles, key.role)) continue;
      duty.roles = {{key.role, RoleProgress::none}};
      const Fact cause{FactKind::confirmed, *key.confirmed, key.role, key.generation};
      judge(std::move(duty), {cause}, [&](const KeyFacts& next) {
        return next.generation > key.generation && replaces(next);
      });
    }
    if (duties_.size() != before) return;
    const Time start = std::ranges::find_if(device_.events, begins)->moment.at;
    const Rule* rule = policy_.at(start).rule(RuleId::p2);
    const bool supports_any =
        rule != nullptr && std::ranges::any_of(rule->terms->roles, [&](KeyRole role) {
          return contains(device_.supports, role);
        });
    if (covers(rule) && !supports_any)
      return nothing_asked(RuleId::p2, start, {}, DutyStatus::exempt_unsupported);
    nothing_asked(RuleId::p2, start,
                  rule == nullptr ? "the edition has no periodic replacement"
                  : !covers(rule) ? "the rule is not for this kind of device"
                                  : "no replacement is confirmed to count from");
  }
  /// True if a key was generated after the last commissioning before its confirmation: a key that
  /// came with the device replaces nothing.
  [[nodiscard]] bool replaces(const KeyFacts& key) const {
    const Time end = known(key.confirmed) ? key.confirmed->at : now_;
    for (auto event = device_.events.rbegin(); event != device_.events.rend(); ++event)
      if (begins(*event) && event->moment.at <= end) return key.generated.at >= event->moment.at;
    return false;
  }

  /// Adds the duties of the project rule: one for each moment at which keys were marked, for the
  /// roles whose marked keys the device may still have.
  void compromises() {
    std::map<Time, std::map<KeyRole, const KeyFacts*>> marked;  // each role's newest key
    for (const auto& key : device_.keys) {
      if (!known(key.compromised)) continue;
      const KeyFacts*& newest = marked[key.compromised->at][key.role];
      if (newest == nullptr || newest->generation < key.generation) newest = &key;
    }
    for (const auto& [when, keys] : marked) {
      Duty duty = begin(RuleId::p3, when);
      if (!covers(duty.rule)) {
        not_covered(duty);
        continue;
      }
      std::vector<Fact> causes;
      std::map<KeyRole, std::uint32_t> generations;
      for (const auto& [role, key] : keys) {
        causes.push_back({FactKind::compromised, *key->compromised, role, key->generation});
        if (!contains(duty.rule->terms->roles, role) || replaced_before(*key, when)) continue;
        generations[role] = key->generation;
        duty.roles.push_back({role, RoleProgress::none});
      }
      if (!in_service(when) || duty.roles.empty()) {
        nothing_asked(RuleId::p3, when,
                      duty.roles.empty() ? "the device had newer keys already"
                                         : "the device was not in service");
        duties_.back().facts = std::move(causes);
      } else {
        judge(std::move(duty), std::move(causes),
              [&](const KeyFacts& key) { return key.generation > generations.at(key.role); });
      }
    }
  }
  [[nodiscard]] bool replaced_before(const KeyFacts& old, Time when) const {
    return std::ranges::any_of(device_.keys, [&](const KeyFacts& key) {
      return key.role == old.role && key.generation > old.generation && took(key) &&
             key.confirmed->at <= when;
    });
  }
  [[nodiscard]] bool in_service(Time when) const {
    const auto* last = standing(when);
    return last != nullptr && begins(*last);
  }

  /// Finds what served each role, and the status from that. `causes`: what the duty began with.
  /// `later`: the first of the device's events that can be later than they.
  void judge(Duty duty, std::vector<Fact> causes, const Serves& serves, std::size_t later = 0) {
    set_limit(duty);
    duty.facts = std::move(causes);
    const Time deadline = duty.limit->deadline;
    const DeviceEvent* gone = gone_from(duty.id);
    const Time last = gone != nullptr ? counts_from(gone->moment) : Time::max();
    bool met = true;
    Time met_at = Time::min();
    bool all_in_doubt = true;
    for (auto& role : duty.roles) {
      const KeyFacts* key = best(role.role, serves, last);
      if (key != nullptr) add_facts(duty, *key);
      role.progress = progress(key);
      if (role.progress == RoleProgress::confirmed) {
        met_at = std::max(met_at, key->confirmed->at);
        continue;
      }
      met = false;
      all_in_doubt = all_in_doubt && role.progress == RoleProgress::in_doubt;
    }
    const Edition& at_deadline = policy_.at(deadline);
    const bool lapses = at_deadline.rule(duty.id) == nullptr && *at_deadline.from <= now_ &&
                        !(met && met_at < *at_deadline.from);
    for (; later < device_.events.size(); ++later) {
      const auto& event = device_.events[later];
      if ((begins(event) || event.change == DeviceChange::decommissioned) &&
          event.moment.at >= duty.began && counts_from(event.moment) <= (met ? met_at : now_))
        duty.facts.push_back(fact_of(event));
    }
    const bool closes = gone != nullptr && last <= deadline && !met;
    if (closes && (!lapses || last < *at_deadline.from)) {
      duty.status = DutyStatus::closed;
      duty.margin = deadline - last;
    } else if (lapses) {
      duty.status = DutyStatus::lapsed;
      duty.margin = deadline - *at_deadline.from;
      duty.facts.push_back({FactKind::rule_ended, {*at_deadline.from}});
    } else if (met) {
      duty.status = met_at <= deadline ? DutyStatus::met : DutyStatus::met_late;
      duty.margin = deadline - met_at;
    } else {
      duty.status = all_in_doubt             ? DutyStatus::outcome_unknown
                    : now_ > deadline        ? DutyStatus::overdue
                    : now_ >= *duty.due_soon ? DutyStatus::due_soon
                                             : DutyStatus::pending;
      duty.margin = deadline - now_;
      // Nothing is wanted for a breach that stays for ever: the device has gone, or the rule has
      // (P2 since SEC Appendix AT).
      duty.wanted = gone == nullptr && policy_.at(now_).rule(duty.id) != nullptr;
    }
    duty.breach = duty.status == DutyStatus::met_late || duty.status == DutyStatus::overdue ||
                  (duty.status == DutyStatus::outcome_unknown && now_ > deadline);
    std::ranges::stable_sort(duty.facts, {}, [](const Fact& each) { return each.moment.at; });
    duties_.push_back(std::move(duty));
  }
  /// Returns the decommissioning from which the device has not come back while the rule was in
  /// force; nullptr: it has, or was never gone. What it left unmet comes back with it.
  [[nodiscard]] const DeviceEvent* gone_from(RuleId id) const {
    const DeviceEvent* gone = nullptr;
    for (const auto& event : device_.events)
      if (begins(event)) {
        const Time at = event.moment.at;
        if (gone != nullptr && at <= now_ &&
            (at <= counts_from(gone->moment) || policy_.at(at).rule(id) != nullptr))
          gone = nullptr;
      } else if (gone == nullptr && event.change == DeviceChange::decommissioned &&
                 counts_from(event.moment) <= now_) {
        gone = &event;
      }
    return gone;
  }

  [[nodiscard]] RoleProgress progress(const KeyFacts* key) const {
    if (key == nullptr) return RoleProgress::none;
    if (took(*key)) return RoleProgress::confirmed;
    return known(key->in_doubt) ? RoleProgress::in_doubt : RoleProgress::generated;
  }
  /// Returns the key that was confirmed first; where none is, the newest that is under way.
  [[nodiscard]] const KeyFacts* best(KeyRole role, const Serves& serves, Time last) const {
    const KeyFacts *first = nullptr, *newest = nullptr;
    for (const auto& key : device_.keys) {
      if (key.role != role || !known(key.generated) || key.generated.at >= last || !serves(key))
        continue;
      if (took(key) && key.confirmed->at < last) {
        if (first == nullptr || key.confirmed->at < first->confirmed->at) first = &key;
      } else if (!known(key.confirmed) && !known(key.not_held) && !known(key.compromised) &&
                 (newest == nullptr || newest->generation < key.generation)) {
        newest = &key;
      }
    }
    return first != nullptr ? first : newest;
  }
  void add_facts(Duty& duty, const KeyFacts& key) const {
    duty.facts.push_back({FactKind::generated, key.generated, key.role, key.generation});
    const std::pair<FactKind, const std::optional<Moment>&> rest[] = {
        {FactKind::in_doubt, key.in_doubt}, {FactKind::confirmed, key.confirmed}};
    for (const auto& [kind, moment] : rest)
      if (known(moment)) duty.facts.push_back({kind, *moment, key.role, key.generation});
  }

  const DeviceFacts& device_;
  const Policy& policy_;
  Time now_;
  std::vector<Duty> duties_;
};

}  // namespace

std::vector<Duty> duties(const DeviceFacts& device, const Policy& policy, Time now) {
  check(device);
  return Judge(device, policy, now).all();
}

std::vector<StatusChange> look_ahead(const DeviceFacts& device, const Policy& policy, Time now) {
  std::vector<StatusChange> coming;
  for (auto& duty : duties(device, policy, now)) {
    if (!duty.wanted || duty.breach) continue;
    const Edition& then = policy.at(duty.limit->deadline);
    const bool lapses = then.rule(duty.id) == nullptr;
    const Time ends = lapses ? *then.from : duty.limit->deadline;
    if (duty.status == DutyStatus::pending && *duty.due_soon < ends)
      coming.push_back({*duty.due_soon, DutyStatus::due_soon, duty});
    const DutyStatus breach =
        duty.status == DutyStatus::outcome_unknown ? duty.status : DutyStatus::overdue;
    coming.push_back({ends, lapses ? DutyStatus::lapsed : breach, std::move(duty)});
  }
  std::ranges::stable_sort(coming, {}, &StatusChange::at);
  return coming;
}

}  // namespace smets1kms::policy
