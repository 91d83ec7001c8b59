// SPDX-License-Identifier: Apache-2.0
#include "report/statistics.hpp"

#include <cstring>

namespace smets1kms::report {
namespace {

using Status = DutyStatus;

constexpr std::size_t statuses = static_cast<std::size_t>(Status::outcome_unknown) + 1;

constexpr std::pair<const char*, const char*> titles[] = {
    {"devices", "Devices in the trail"},
    {"in-service", "In service"},
    {"suspended", "Suspended (the clock runs on)"},
    {"not-commissioned", "Not commissioned yet: nothing is asked"},
    {"clock-doubtful", "The clock was set, or nothing was recorded, while their duties ran"},
    {"recorded-late", "Something that became of them was recorded late"},
    {"decommissioned", "Decommissioned"},
    {"recommissioned", "Recommissioned at least once"},
    {"overdue-now", "Overdue now: a regulator's duty is not met and its deadline has passed"},
    {"overdue-now-project", "Overdue now under a project rule"},
    {"outcome-unknown", "Outcome unknown: every replacement that is missing is in doubt"},
    {"due-soon", "Due soon, by a regulator's duty"},
    {"in-doubt", "Rotations in doubt: the device may hold the old or the new key"},
    {"unproven", "KEKs delivered and not proved yet"},
    {"open-intent", "Operations begun without an outcome"},
    {"conflict", "Conflicts: more objects in the token than the trail knows"},
    {"withheld", "Transfers withheld until handover targets have shown that they hold the keys"},
    {"former-target",
     "A usable key (pre-active, active, suspended) was handed to a target that is retired or "
     "compromised"},
    {"without-kek", "Devices without a KEK: their duties run, and nothing can be rotated for them"},
    {"facts-unknown",
     "Devices that can't be judged: their facts are unknown or contradict each other"},
    {"breaches", "Breaches of a regulator's duty, now or in the past"},
    {"breaches-late", "Met after the deadline"},
    {"breaches-past", "Never met; nothing can be done any more"},
    {"breaches-project", "Deadlines of a project rule that were missed"},
    {"exempt", "Devices that do not support a role that a rule is about"},
    {"exempt-guek", "GUEK not supported"},
    {"exempt-gbek", "GBEK not supported"},
    {"exempt-gak", "GAK not supported"},
    {"exempt-kek", "KEK not supported"},
    {"deviation", "Judged by a deviation from the regulator's number"},
    {"deviation-beyond", "Met by the deviation's deadline, and after the regulator's own"},
    {"adjusted", "Judged by an adjusted project rule"},
    {"compromised", "Devices with keys suspected to be compromised"},
    {"destroyed", "Devices with keys destroyed"},
    {"unheard", "On the list, and the trail has never heard of them"},
    {"unlisted", "In service by the trail, and not on the list"},
    {"kind-differs", "Of another kind on the list than in the trail"},
    {"date-differs", "Commissioned at another time on the list than in the trail"},
    {"listed-later", "On the list as commissioned after the moment of this report"},
    {"listed-not-commissioned", "On the list, and not commissioned by the trail"},
    {"listed-decommissioned", "On the list, and decommissioned by the trail"},
};

}  // namespace

std::string Column::slug() const {
  return "p" + std::to_string(static_cast<int>(id) + 1) +
         (origin == RuleOrigin::project ? "-project" : "");
}

audit::Record Lookup::record(const Event& event) {
  const auto bytes = log_.record(event.index);
  if (first_8(audit::leaf_hash(bytes)) != event.leaf)
    throw audit::VerificationFailed("it was changed while the report was made", event.index);
  return audit::Record::decode(bytes);
}

std::string Lookup::who(const Event& event) {
  using enum audit::Field;
  const auto found = record(event);
  std::string text;
  for (const auto& [field, word] : {std::pair(requested_by, "requested by "),
                                    {authorised_by, "authorised by "},
                                    {reference, "reference "}})
    if (!found.text(field).empty())
      text += (text.empty() ? "" : ", ") + std::string(word) + std::string(found.text(field));
  return text;
}

Statistics::Statistics(const policy::Policy* policy, Time now, bool has_list, std::size_t shown)
    : policy_(policy), now_(now), has_list_(has_list), shown_(shown) {
  for (const auto& [slug, title] : titles) lists[slug] = {.title = title};
  for (const auto& each : buckets)
    lists[std::string(each.slug)] = {.title = "From commissioning to confirmed replacement: " +
                                              std::string(each.title)};
  for (const char* each : {"in-doubt", "unproven", "open-intent", "conflict", "withheld",
                           "without-kek", "compromised", "destroyed"})
    keys[each];
  if (policy == nullptr) return;
  for (const auto& edition : policy->editions())
    for (const auto& rule : edition.rules)
      if (const Column column{rule.id, rule.origin};
          rule.terms && std::ranges::find(columns, column) == columns.end())
        columns.push_back(column);
  std::ranges::sort(columns, {},
                    [](const Column& each) { return std::pair(each.origin, each.id); });
  for (const auto& column : columns)
    for (std::size_t i = 0; i < statuses; ++i) {
      const auto status = std::string(to_string(static_cast<Status>(i)));
      lists[column.slug() + "-" + status] = {
          .title = std::string(to_string(column.id)) +
                   (column.origin == RuleOrigin::project ? " (project rule)" : "") + ": " + status};
    }
}

std::uint64_t Statistics::number(std::string_view slug) const {
  const auto list = lists.find(slug);
  return list == lists.end() ? 0 : list->second.count;
}

/// Adds a device to a list once: devices come in order, so a second time would be the next.
void Statistics::put(const std::string& slug, const PageRef& place) {
  DeviceList& list = lists[slug];
  if (list.count != 0 && list.last == place.device) return;
  list.last = place.device;
  ++list.count;
  if (list.first.size() < shown_) list.first.push_back(place);
  if (listed) listed(slug, place);
}

void Statistics::add_device(const Device& device, PageRef place, Lookup& lookup) {
  if (!device.events.empty()) put("devices", place);
  if (!device.events.empty() && !device.unknown.empty()) {
    put("facts-unknown", place);
    unknown.add({place, device.unknown});
  }
  take_life(device, place);
  for (const auto& duty : device.duties) take_duty(device, duty, place, lookup);
  take_keys(device, place, lookup);
  take_handovers(device, place);
  if (has_list_) reconcile(device, place);
}

void Statistics::take_life(const Device& device, const PageRef& place) {
  using enum DeviceChange;
  if (!device.facts) return;
  bool suspended_now = false, commissioned_yet = false;
  for (const auto& event : device.facts->events) {
    if (event.moment.at > now_) continue;
    commissioned_yet = true;
    suspended_now = event.change == suspended || (suspended_now && event.change == commissioned);
    if (event.change == recommissioned) put("recommissioned", place);
    if (policy_ != nullptr && policy_->late_by(event.moment)) put("recorded-late", place);
  }
  put(!commissioned_yet   ? "not-commissioned"
      : device.in_service ? "in-service"
                          : "decommissioned",
      place);
  if (suspended_now) put("suspended", place);
}

void Statistics::take_duty(const Device& device, const policy::Duty& duty, const PageRef& place,
                           Lookup& lookup) {
  const bool regulators = whose(duty) == RuleOrigin::regulator;
  put(Column{duty.id, whose(duty)}.slug() + "-" + std::string(to_string(duty.status)), place);
  ++duties;
  if (is_open_breach(duty)) put(regulators ? "overdue-now" : "overdue-now-project", place);
  if (duty.status == Status::outcome_unknown) put("outcome-unknown", place);
  if (duty.status == Status::due_soon && regulators) put("due-soon", place);
  if (duty.status == Status::exempt_unsupported) {
    put("exempt", place);
    for (const auto& [role, progress] : duty.roles)
      put("exempt-" + std::string(to_string(role)), place);
  }
  if (duty.id == RuleId::p1 && duty.limit) take_distribution(duty, place);
  if (duty.adjustment != nullptr) take_deviation(duty, place);
  if (regulators && duty.limit) {
    const Time end = ended(duty).value_or(now_);
    for (const auto& each : doubtful)
      if (each.from <= end && each.to >= duty.began) put("clock-doubtful", place);
  }
  if (!duty.breach) return;
  put(regulators ? "breaches" : "breaches-project", place);
  if (regulators && duty.status == Status::met_late) put("breaches-late", place);
  if (regulators && duty.status != Status::met_late && !duty.wanted) put("breaches-past", place);
  add_breach_case(device, duty, place, lookup);
}

void Statistics::take_distribution(const policy::Duty& duty, const PageRef& place) {
  const auto when = ended(duty);
  const bool is_met = duty.status == Status::met || duty.status == Status::met_late;
  if (when && !is_met) return;  // decommissioned before it was due
  std::size_t bucket = buckets.size() - 1;
  if (when) {
    const auto days = std::chrono::floor<std::chrono::days>(*when - duty.began).count();
    for (bucket = 0; days >= buckets[bucket].until;) ++bucket;
  }
  const std::string slug(buckets[bucket].slug);
  const auto before = number(slug);
  put(slug, place);
  if (duty.breach && number(slug) != before) ++late[bucket];
}

void Statistics::take_deviation(const policy::Duty& duty, const PageRef& place) {
  if (!duty.adjustment->deviation) return put("adjusted", place);
  put("deviation", place);
  deviations.insert(duty.adjustment);
  const auto own = policy::limit(duty.began, duty.rule->terms->within).deadline;
  if (duty.status == Status::met && *ended(duty) > own) put("deviation-beyond", place);
}

void Statistics::add_breach_case(const Device& device, const policy::Duty& duty,
                                 const PageRef& place, Lookup& lookup) {
  auto& all = whose(duty) == RuleOrigin::regulator ? breach_cases : project_stories;
  BreachCase breach_case{.place = place, .duty = duty};
  if (all.first.size() < all.most)
    for (const auto& fact : duty.facts) {
      const Event* event = fact.moment.record ? device.event(*fact.moment.record) : nullptr;
      breach_case.who.push_back(event != nullptr ? lookup.who(*event) : std::string());
    }
  all.add(std::move(breach_case));
}

void Statistics::take_keys(const Device& device, const PageRef& place, Lookup& lookup) {
  const auto add = [&](const std::string& slug, const Event& event, std::string what) {
    auto& rows = keys.at(slug);
    put(slug, place);
    KeyRow row{.place = place,
               .index = event.index,
               .time = event.time,
               .key = key_of(event),
               .what = std::move(what),
               .who = {}};
    if (rows.first.size() < rows.most) {
      const auto record = lookup.record(event);
      row.who = lookup.who(event);
      if (slug == "compromised") {
        row.what = std::string(record.text(audit::Field::result)) +
                   (row.what.empty() ? "" : "; " + row.what);
        for (const auto field : {audit::Field::detail, audit::Field::notify})
          if (!record.text(field).empty())
            row.what += (field == audit::Field::notify ? "; notify " : "; ") +
                        std::string(record.text(field));
      }
    }
    rows.add(std::move(row));
  };
  for (const auto& problem : device.problems)
    add(std::string(to_string(problem.kind)), *problem.event,
        problem.why.empty() ? name_of(*problem.event) : problem.why);
  for (const auto& event : device.events) {
    if (event.what == EventKind::destroyed)
      add("destroyed", event,
          rule_of(event).result == "blobs-deleted" ? "every blob deleted; a backup may hold one"
                                                   : "absence checked");
    if (event.what != EventKind::compromised) continue;
    std::string what = "not replaced yet";
    if (device.facts)
      for (const auto& key : device.facts->keys)
        if (key.role == event.role && key.generation > event.generation && key.confirmed &&
            !key.compromised)
          what = "replaced by generation " + std::to_string(key.generation) + " on " +
                 format_time(key.confirmed->at);
    add("compromised", event, what);
  }
}

/// Counts the device's keys by the targets that they were handed to: the verifier has checked that
/// these are the ones admitted for their role when they were made.
void Statistics::take_handovers(const Device& device, const PageRef& place) {
  for (const auto& made : device.events) {
    if ((made.what != EventKind::made && made.what != EventKind::withheld) || !made.role) continue;
    auto state = made.state;
    std::vector<std::uint16_t> received;
    for (const auto& later : device.events) {
      if (later.key != made.key || later.index <= made.index) continue;
      if (later.state != KeyState::none) state = later.state;
      if (later.what == EventKind::received) received.push_back(later.target);
    }
    std::uint16_t number = 0;
    for (auto& target : targets.first) {
      ++number;
      if (!target.admission.takes(*made.role) || made.index < target.record ||
          made.index > target.until_record)
        continue;
      auto& handed = target.keys[*made.role];
      ++handed.count;
      ++handed.states[state];
      if (std::ranges::find(received, number) != received.end()) ++handed.received;
      if (target.is_former && state <= KeyState::suspended) put("former-target", place);
    }
  }
}

void Statistics::reconcile(const Device& device, const PageRef& place) {
  const auto differ = [&](const char* slug, std::string how) {
    put(slug, place);
    differing.add({place, std::move(how)});
  };
  if (device.listed == nullptr) {
    if (device.in_service) put("unlisted", place);
    return;
  }
  const std::string line = "line " + std::to_string(device.listed->generation) + " of the list: ";
  if (device.events.empty() && device.listed->since > now_) return put("listed-later", place);
  if (device.events.empty())
    return differ("unheard", line + std::string(to_string(device.listed->kind)) + ", " +
                                 format_time(device.listed->since) +
                                 "; the trail has no record of it");
  if (!device.facts) return;
  const auto& facts = *device.facts;
  if (facts.kind != device.listed->kind)
    differ("kind-differs", line + std::string(to_string(device.listed->kind)) +
                               "; the trail: " + std::string(to_string(facts.kind)));
  std::string dates;
  bool same = false;
  for (const auto& event : facts.events)
    if (event.change == DeviceChange::commissioned ||
        event.change == DeviceChange::recommissioned) {
      dates += (dates.empty() ? "" : ", ") + format_time(event.moment.at);
      same = same || event.moment.at == device.listed->since;
    }
  if (dates.empty())
    return differ("listed-not-commissioned",
                  line + format_time(device.listed->since) + "; no commissioning in the trail");
  if (!same)
    differ("date-differs", line + format_time(device.listed->since) + "; the trail: " + dates);
  if (!device.in_service)
    differ("listed-decommissioned", line + "there, and decommissioned by the trail");
}

Answer answer(const Statistics& statistics, audit::Verdict verdict, const policy::Policy* policy,
              bool has_list) {
  const auto count = [&](const char* slug) { return statistics.number(slug); };
  const auto devices = [](std::uint64_t n) {
    return std::to_string(n) + (n == 1 ? " device" : " devices");
  };
  const bool regulated = std::ranges::any_of(
      statistics.columns, [](const Column& each) { return each.origin == RuleOrigin::regulator; });
  Answer result{.good = false, .headline = {}, .remarks = {}};
  if (verdict != audit::Verdict::verified)
    result.headline = "Not shown: the trail is not verified, so nothing on this page is proved";
  else if (policy == nullptr)
    result.headline = "Not shown: the policy's document can't be read, so no duty was judged";
  else if (!regulated)
    result.headline =
        "Nothing to say: the policy in use has project rules only, none of the regulator's";
  else if (const auto unlike = policy->differs_from_shipped(); !unlike.empty())
    result.headline =
        "Not shown: by the trail's own document the regulator's rules of edition " +
        unlike.front() +
        " are others than this program knows, so nothing was measured by the regulator's";
  else if (count("overdue-now") != 0)
    result.headline = "Not compliant: " + devices(count("overdue-now")) +
                      (count("overdue-now") == 1 ? " is" : " are") +
                      " overdue by the regulator's rules";
  else if (count("devices") == 0)
    result.headline = "Not shown: the trail has no device";
  else if (const auto unjudged =
               count("facts-unknown") + count("unheard") + count("listed-not-commissioned");
           unjudged != 0)
    result.headline =
        "Not shown: nothing known is overdue, but " + devices(unjudged) + " can't be judged";
  else {
    const auto n = statistics.deviations.size();
    result.good = true;
    result.headline =
        "Compliant" +
        (n == 0 ? std::string()
                : " with " + std::to_string(n) + (n == 1 ? " deviation" : " deviations")) +
        ": no regulator's duty is overdue";
  }
  if (const auto n = count("clock-doubtful"); n != 0)
    result.headline +=
        "; the clock was set, or nothing was recorded for longer than promised, while duties of " +
        devices(n) + " ran";
  for (const auto& [slug, what] :
       {std::pair("breaches",
                  "with a breach on record, now or in the past: what was late once stays late"),
        std::pair("without-kek", "without a KEK: nothing can be rotated, and the duties run"),
        std::pair(
            "recorded-late",
            "with a fact that was recorded late: it counts from its record where its own time "
            "would help (a project rule)"),
        std::pair("deviation", "judged by a deviation from the regulator's number"),
        std::pair("former-target",
                  "with a usable key that a retired or compromised handover target was handed"),
        std::pair("unlisted", "in service by the trail, and not in the operator's list"),
        std::pair("listed-decommissioned",
                  "in the operator's list, and decommissioned by the trail"),
        std::pair("date-differs",
                  "with another commissioning date in the operator's list: their deadlines follow "
                  "the trail's"),
        std::pair("kind-differs", "of another kind in the operator's list")})
    if (count(slug) != 0) result.remarks.push_back(devices(count(slug)) + " " + what);
  if (!has_list)
    result.remarks.emplace_back(
        "Completeness was not checked: no list of commissioned devices was given (--fleet), and a "
        "trail can't show the devices it never heard of");
  return result;
}

}  // namespace smets1kms::report
