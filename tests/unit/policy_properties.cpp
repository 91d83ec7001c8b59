// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>

#include "policy/duties.hpp"

// Properties of duties over random devices; a failure prints its counterexample and how to run it
// again.

using namespace smets1kms;
using namespace smets1kms::policy;

namespace {

const Policy& gb() {
  static const Policy policy = Policy::shipped();
  return policy;
}

Time day(int number) { return parse_time("2020-01-01T00:00Z") + std::chrono::days(number); }
constexpr int days =
    1200;  // to April 2023: both editions, deadlines of P2 on both sides of the cut-over

/// 0 to `end` - 1, small tests as well: rapidcheck would begin with small numbers.
int below(int end) { return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, end)); }
bool half() { return below(2) == 0; }

std::optional<Moment> maybe_after(Time when) {
  // Days are whole, so that deadlines are met to the moment, and missed by little, often enough.
  if (half()) return std::nullopt;
  return Moment{when + std::chrono::days(*rc::gen::element(0, 1, 3, 6, 7, 8, 20, 456, 457)) +
                std::chrono::milliseconds(*rc::gen::element(0, 0, 0, 1))};
}

DeviceFacts any_device() {
  DeviceFacts device{
      .kind = DeviceKind::esme, .supports = {KeyRole::gak, KeyRole::kek}, .events = {}, .keys = {}};
  if (half()) device.supports.push_back(KeyRole::guek);
  int at = below(700), recorded = 0;
  const auto moment = [&] {
    recorded = std::max(recorded, at + *rc::gen::element(0, 0, 0, 1, 2, 30));
    return Moment{.at = day(at), .recorded = day(recorded)};
  };
  device.events.push_back({DeviceChange::commissioned, moment()});
  for (int i = below(4); i > 0; --i) {
    at += *rc::gen::element(0, 2, 7, 8, 100, 400);
    device.events.push_back(
        {*rc::gen::element(DeviceChange::suspended, DeviceChange::resumed,
                           DeviceChange::decommissioned, DeviceChange::recommissioned),
         moment()});
  }
  std::map<KeyRole, std::uint32_t> generations;
  for (int i = below(8); i > 0; --i) {
    const auto near = *rc::gen::elementOf(device.events);
    KeyFacts key{.role = *rc::gen::elementOf(device.supports),
                 .generation = 0,
                 .generated = {near.moment.at +
                               std::chrono::days(*rc::gen::element(-3, 0, 1, 6, 300, 450))}};
    key.generation = ++generations[key.role];
    key.in_doubt = maybe_after(key.generated.at);
    (below(4) > 0 ? key.confirmed : key.not_held) = maybe_after(key.generated.at);
    if (below(4) == 0) key.compromised = maybe_after(key.generated.at);
    device.keys.push_back(key);
  }
  return device;
}
Time any_moment() {
  return day(below(days)) + std::chrono::milliseconds(*rc::gen::element(-1, 0, 1));
}

std::string name_of(const policy::Duty& duty) {
  std::string name = std::string(to_string(duty.id)) + " of " + format_time(duty.began);
  for (const auto& each : duty.roles) name += " " + std::string(to_string(each.role));
  return name;
}
std::string all_of(const policy::Duty& duty) {
  std::string text = name_of(duty) + " " + duty.edition->name + " " +
                     std::string(to_string(duty.status)) + (duty.breach ? " breach" : "") +
                     (duty.wanted ? " wanted" : "") + " " + std::string(duty.why);
  if (duty.limit) text += " " + format_time(duty.limit->deadline);
  if (duty.margin) text += " " + std::to_string(duty.margin->count());
  for (const auto& each : duty.roles) text += " " + std::to_string(static_cast<int>(each.progress));
  for (const auto& each : duty.facts)
    text += " [" + format_time(each.moment.at) + " " + to_string(each) + "]";
  return text;
}
std::vector<std::string> all_at(const DeviceFacts& device, Time now) {
  std::vector<std::string> all;
  for (const auto& duty : duties(device, gb(), now)) all.push_back(all_of(duty));
  return all;
}
/// The duty at `index` of `all` among `others`: of those of one name the one at the same place.
const policy::Duty* same(const std::vector<policy::Duty>& others,
                         const std::vector<policy::Duty>& all, std::size_t index) {
  const auto alike = [&](const policy::Duty& each) {
    return name_of(each) == name_of(all[index]) &&
           each.limit.has_value() == all[index].limit.has_value();
  };
  auto place = std::count_if(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(index), alike);
  for (const auto& each : others)
    if (alike(each) && place-- == 0) return &each;
  return nullptr;
}
bool has_ended(DutyStatus status) {
  return status == DutyStatus::met || status == DutyStatus::met_late ||
         status == DutyStatus::closed || status == DutyStatus::lapsed;
}

}  // namespace

TEST_CASE("what is met stays met, what has ended stays so, and a breach stays for ever") {
  std::map<DutyStatus, int> seen;
  const bool holds = rc::check([&] {
    const auto device = any_device();
    std::vector<Time> moments(20);
    std::ranges::generate(moments, any_moment);
    std::ranges::sort(moments);
    std::vector<policy::Duty> before;
    for (const auto now : moments) {
      const auto after = duties(device, gb(), now);
      for (const auto& duty : after) ++seen[duty.status];
      for (std::size_t i = 0; i < before.size(); ++i) {
        if (before[i].status == DutyStatus::not_applicable) continue;
        const policy::Duty* later = same(after, before, i);
        // "No role to replace at intervals" goes once there is a P2.
        if (later == nullptr && before[i].id == RuleId::p2 && !before[i].limit) continue;
        RC_ASSERT(later != nullptr);
        const bool came_back =  // a duty that the device's going had closed
            before[i].status == DutyStatus::closed &&
            std::ranges::any_of(device.events, [&](const DeviceEvent& event) {
              return event.change == DeviceChange::recommissioned && event.moment.at <= now &&
                     event.moment.at >= before[i].limit->deadline - *before[i].margin;
            });
        if (has_ended(before[i].status) && !came_back)
          RC_ASSERT(std::pair(later->status, later->margin) ==
                    std::pair(before[i].status, before[i].margin));
        if (before[i].breach) RC_ASSERT(later->breach);
        if (before[i].limit) RC_ASSERT(later->limit->deadline == before[i].limit->deadline);
      }
      before = after;
    }
  });
  CHECK(holds);
  // The generator is no good if it doesn't come by here.
  for (const auto status :
       {DutyStatus::pending, DutyStatus::due_soon, DutyStatus::met, DutyStatus::met_late,
        DutyStatus::overdue, DutyStatus::lapsed, DutyStatus::closed, DutyStatus::outcome_unknown}) {
    CAPTURE(std::string(to_string(status)));
    CHECK(seen[status] > 0);
  }
}

TEST_CASE("an unrelated event changes nothing") {
  const bool holds = rc::check([] {
    const auto device = any_device();
    const Time now = any_moment();
    const auto before = all_at(device, now);
    auto with = device;
    switch (below(4)) {
      case 0: {  // suspension does not stop the clock
        const auto place = with.events.begin() + below(static_cast<int>(with.events.size()));
        with.events.insert(
            place + 1,
            {*rc::gen::element(DeviceChange::suspended, DeviceChange::resumed), place->moment});
        break;
      }
      case 1:  // a key of a role that is not supported
        with.keys.push_back({.role = KeyRole::gbek,
                             .generation = 1,
                             .generated = {day(0)},
                             .confirmed = Moment{day(below(days))}});
        break;
      case 2:  // a key that the device was shown not to have taken
        with.keys.push_back({.role = KeyRole::gak,
                             .generation = 100,
                             .generated = {day(0)},
                             .in_doubt = Moment{day(0)},
                             .not_held = Moment{day(0)}});
        break;
      default:  // what happens later
        with.keys.push_back({.role = KeyRole::gak,
                             .generation = 100,
                             .generated = {now + std::chrono::milliseconds(1)},
                             .compromised = Moment{now + std::chrono::days(1)}});
        with.events.push_back(
            {DeviceChange::decommissioned,
             {std::max(now, with.events.back().moment.at) + std::chrono::milliseconds(1)}});
    }
    RC_ASSERT(all_at(with, now) == before);
  });
  CHECK(holds);
}

TEST_CASE("what look-ahead says comes true where nothing is done, and nothing else comes") {
  const bool holds = rc::check([] {
    auto device = any_device();
    const Time now = any_moment();
    std::erase_if(device.events, [&](const DeviceEvent& each) { return each.moment.at > now; });
    for (auto& key : device.keys)
      for (auto* moment : {&key.in_doubt, &key.confirmed, &key.not_held, &key.compromised})
        if (*moment && (*moment)->at > now) moment->reset();
    std::erase_if(device.keys, [&](const KeyFacts& each) { return each.generated.at > now; });
    // The status of each duty from now on, as look-ahead tells it; a breach begins after its
    // deadline.
    std::map<Time, std::vector<std::string>> told;
    for (const auto& each : look_ahead(device, gb(), now)) {
      const bool breach =
          each.becomes == DutyStatus::overdue || each.becomes == DutyStatus::outcome_unknown;
      told[each.at + std::chrono::milliseconds(breach ? 1 : 0)].push_back(
          name_of(each.duty) + " " + std::string(to_string(each.becomes)) + (breach ? "!" : ""));
    }
    const auto statuses = [&](Time when) {
      std::vector<std::string> list;
      for (const auto& duty : duties(device, gb(), when))
        if (duty.status != DutyStatus::not_applicable)
          list.push_back(name_of(duty) + " " + std::string(to_string(duty.status)) +
                         (duty.breach ? "!" : ""));
      return list;
    };
    auto before = statuses(now);
    for (const auto& [when, changes] : told) {
      RC_ASSERT(statuses(when - std::chrono::milliseconds(1)) == before);
      const auto after = statuses(when);
      for (const auto& change : changes) RC_ASSERT(std::ranges::count(after, change) > 0);
      before = after;
    }
    RC_ASSERT(statuses(now + std::chrono::days(2000)) == before);
  });
  CHECK(holds);
}
