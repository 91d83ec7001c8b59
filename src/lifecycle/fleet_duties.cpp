// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/fleet_duties.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "audit/record.hpp"
#include "lifecycle/fleet_impl.hpp"
#include "lifecycle/key_rules.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::lifecycle {
namespace {

std::optional<Moment> moment(const std::optional<Time>& at) {
  return at ? std::optional(Moment{.at = *at}) : std::nullopt;
}
/// Returns the moment of a device's answer: after the making of the key, even if a clock was set
/// back between.
std::optional<Moment> answer_moment(const std::optional<Time>& at, Time made) {
  return at ? std::optional(Moment{.at = std::max(*at, made)}) : std::nullopt;
}

Reason reason_for(const policy::Duty& duty) {
  if (duty.id == RuleId::p2) return Reason::periodic;
  if (duty.id == RuleId::p3) return Reason::suspected_compromise;
  const bool again = std::ranges::any_of(duty.facts, [](const policy::Fact& fact) {
    return fact.kind == policy::FactKind::recommissioned;
  });
  return again ? Reason::recommissioning : Reason::post_commissioning;
}

}  // namespace

void check_page(std::size_t most) {
  if (most < 1 || most > 10'000)
    throw BadInput("a page is of 1 to 10000 items, not of " + std::to_string(most));
}

bool has_usable_kek(const DeviceHistory& device) {
  return std::ranges::any_of(device.keys, [](const Key& key) {
    return key.role == KeyRole::kek &&
           (key.state == KeyState::active || key.state == KeyState::pre_active);
  });
}

policy::DeviceFacts facts_of(const DeviceHistory& device) {
  policy::DeviceFacts facts{.kind = device.device.kind,
                            .supports = device.device.supports,
                            .events = device.events,
                            .keys = {}};
  for (const auto& key : device.keys)
    if (key.state != KeyState::none)
      facts.keys.push_back({.role = key.role,
                            .generation = key.generation,
                            .generated = {.at = key.created_at},
                            .in_doubt = answer_moment(key.in_doubt_at, key.created_at),
                            .confirmed = answer_moment(key.confirmed_at, key.created_at),
                            .not_held = answer_moment(key.not_held_at, key.created_at),
                            .compromised = moment(key.compromised_at)});
  return facts;
}

DeviceDuties duties_of(DeviceHistory device, const policy::Policy& policy, Time now) {
  DeviceDuties result{.device = std::move(device), .duties = {}, .contradiction = {}};
  try {
    result.duties = policy::duties(facts_of(result.device), policy, now);
  } catch (const BadInput& error) {
    result.contradiction = error.what();
  }
  return result;
}

void for_each_history(const Fleet& fleet, const std::function<void(DeviceHistory)>& visit) {
  std::optional<DeviceId> after;
  for (auto devices = fleet.histories(after, histories_at_once); !devices.empty();
       devices = fleet.histories(after, histories_at_once)) {
    after = devices.back().device.id;
    for (auto& each : devices) visit(std::move(each));
  }
}

bool is_due(const policy::Duty& duty, Time now,
            const std::optional<std::chrono::milliseconds>& within) {
  if (!duty.wanted) return false;
  if (within) return is_within(*duty.limit, now, *within);
  return duty.id != RuleId::p2 || duty.status != DutyStatus::pending;
}

std::string waits_for(const policy::Duty& duty, const DeviceHistory& device) {
  std::string text = policy::waits_for(duty);
  if (text.empty() || has_usable_kek(device)) return text;
  if (!device.device.no_kek_reason.empty()) return no_usable_kek(device.device) + "; then " + text;
  policy::Duty others = duty;
  std::erase_if(others.roles,
                [](const RoleReplacement& each) { return each.role == KeyRole::kek; });
  text = policy::waits_for(others);
  return "kek: another from its manufacturer" + (text.empty() ? "" : "; then " + text);
}

std::vector<RotationRequest> rotations_due(const DeviceDuties& device, Time now,
                                           const std::optional<std::chrono::milliseconds>& within) {
  std::map<KeyRole, const policy::Duty*> urgent;
  if (!has_usable_kek(device.device)) return {};
  for (const auto& duty : device.duties) {
    if (!is_due(duty, now, within)) continue;
    for (const auto& [role, progress] : duty.roles) {
      if (progress != RoleProgress::none || role == KeyRole::kek) continue;
      const policy::Duty*& first = urgent[role];
      if (first == nullptr || duty.limit->deadline < first->limit->deadline) first = &duty;
    }
  }
  std::vector<RotationRequest> requests;
  for (const auto& [role, duty] : urgent) {
    const auto reason = reason_for(*duty);
    auto found = std::ranges::find(requests, reason, &RotationRequest::reason);
    if (found == requests.end())
      found = requests.insert(found,
                              {.device = device.device.device.id, .roles = {}, .reason = reason});
    found->roles.push_back(role);
  }
  return requests;
}

Duty to_public(const policy::Duty& duty, const DeviceHistory& device) {
  Duty result{.device = device.device.id,
              .rule = duty.id,
              .edition = duty.edition->name,
              .status = duty.status,
              .began = duty.began,
              .due_soon_from = duty.due_soon,
              .margin = duty.margin,
              .breach = duty.breach,
              .wanted = duty.wanted,
              .roles = duty.roles,
              .no_kek_reason = device.device.no_kek_reason,
              .waits_for = waits_for(duty, device),
              .why = std::string(duty.why),
              .late_facts = late_facts(duty)};
  if (const auto* rule = duty.rule) {
    result.origin = rule->origin;
    result.source = rule->source;
  }
  const auto* changed = duty.adjustment;
  if (changed != nullptr)
    result.adjusted = Duty::Adjustment{changed->deviation, changed->who,  changed->authorised_by,
                                       changed->why,       changed->from, changed->until};
  if (const auto& limit = duty.limit) {
    result.deadline = limit->deadline;
    result.after_hours = limit->after_hours;
    result.end_of_day = limit->end_of_day;
    result.deadline_text =
        policy::to_string(*limit, changed != nullptr && changed->within ? *changed->within
                                                                        : duty.rule->terms->within);
  }
  for (const auto& fact : duty.facts) result.facts.push_back({fact.moment, to_string(fact)});
  return result;
}

}  // namespace smets1kms::lifecycle

namespace smets1kms {
namespace {

constexpr std::size_t devices_looked_at = 10'000;  // limit of one page of duties

template <class IsAsked>
DutyPage find_duties(const Fleet& fleet, const policy::Policy& policy, Time at,
                     std::optional<DeviceId> after, std::size_t most, const IsAsked& is_asked) {
  lifecycle::check_page(most);
  DutyPage page{.next = after};
  while (page.devices < devices_looked_at && page.duties.size() < most) {
    auto histories = fleet.histories(page.next, lifecycle::histories_at_once);
    auto each = histories.begin();
    for (; each != histories.end() && page.duties.size() < most; ++each) {
      const auto [device, duties, contradiction] =
          lifecycle::duties_of(std::move(*each), policy, at);
      ++page.devices;
      page.next = device.device.id;
      if (!contradiction.empty()) page.not_judged.push_back({device.device.id, contradiction});
      for (const auto& duty : duties) {
        ++page.counts[duty.status];
        if (is_asked(duty)) page.duties.push_back(lifecycle::to_public(duty, device));
      }
    }
    if (each == histories.end() && histories.size() < lifecycle::histories_at_once) {
      page.next.reset();
      break;
    }
  }
  return page;
}

}  // namespace

std::vector<Duty> Fleet::duties(DeviceId id, Time at) const {
  const auto device = history(id);
  std::vector<Duty> all;
  for (const auto& duty : policy::duties(lifecycle::facts_of(device), impl_->policy, at))
    all.push_back(lifecycle::to_public(duty, device));
  return all;
}

DutyPage Fleet::due(Time at, std::optional<std::chrono::milliseconds> within,
                    std::optional<DeviceId> after, std::size_t most) const {
  return find_duties(*this, impl_->policy, at, after, most,
                     [&](const policy::Duty& duty) { return lifecycle::is_due(duty, at, within); });
}

DutyPage Fleet::due(Time at, DutyStatus status, std::optional<std::chrono::milliseconds> within,
                    std::optional<DeviceId> after, std::size_t most) const {
  return find_duties(*this, impl_->policy, at, after, most, [&](const policy::Duty& duty) {
    return duty.status == status &&
           (!within || (duty.limit && lifecycle::is_within(*duty.limit, at, *within)));
  });
}

std::vector<UpcomingChange> Fleet::upcoming(Time at, std::size_t most,
                                            std::vector<NotJudged>* not_judged) const {
  lifecycle::check_page(most);
  const auto earlier = [](const UpcomingChange& a, const UpcomingChange& b) {
    return std::tie(a.at, a.duty.device, a.duty.rule) < std::tie(b.at, b.duty.device, b.duty.rule);
  };
  std::vector<UpcomingChange> soonest;  // a heap: the last of them is in front
  const auto look_at = [&](const DeviceHistory& device) {
    for (const auto& change : policy::look_ahead(lifecycle::facts_of(device), impl_->policy, at)) {
      if (soonest.size() == most && change.at > soonest.front().at) return;
      soonest.push_back({change.at, change.becomes, lifecycle::to_public(change.duty, device)});
      std::ranges::push_heap(soonest, earlier);
      if (soonest.size() <= most) continue;
      std::ranges::pop_heap(soonest, earlier);
      soonest.pop_back();
    }
  };
  Progress progress{.what = "devices looked at", .total = device_count()};
  lifecycle::for_each_history(*this, [&](const DeviceHistory& device) {
    try {
      look_at(device);
    } catch (const BadInput& error) {
      if (not_judged != nullptr) not_judged->push_back({device.device.id, error.what()});
    }
    if (++progress.done % lifecycle::histories_at_once == 0 && impl_->callbacks.progress)
      impl_->callbacks.progress(progress);
  });
  std::ranges::sort_heap(soonest, earlier);
  return soonest;
}

std::string Fleet::lateness(const Moment& moment) const {
  const auto late = impl_->policy.late_by(moment);
  return late ? policy::late_text(*late) : std::string();
}

std::optional<Time> Fleet::clock_behind(Time now) const {
  const auto last = last_record();
  if (!last) return std::nullopt;
  try {
    const Time at = parse_time(audit::RecordView::parse(last->bytes).text(audit::Field::time));
    return now < at ? std::optional(at) : std::nullopt;
  } catch (const std::exception& error) {  // as the readers of the record or of its time say
    throw StorageError("the last record of the audit trail can't be read (" +
                       std::string(error.what()) + "): the registry is damaged; restore it");
  }
}

}  // namespace smets1kms
