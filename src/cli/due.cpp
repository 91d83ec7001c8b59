// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <map>
#include <queue>

#include "base/clock.hpp"
#include "cli/commands.hpp"
#include "lifecycle/fleet_duties.hpp"

namespace smets1kms::cli {
namespace {

using policy::Duty;

constexpr const char* text =
    "Lists what the policy asks for: by which rule, whose it is (the regulator's by its name, or a "
    "project rule), until\n"
    "when, and what it waits for. Without options: what is late, due soon, in doubt, or asked as "
    "soon as reasonably\n"
    "practicable (after commissioning, on suspicion). 'rotate --due' acts on it. No token and no "
    "PIN is needed, and a\n"
    "writer is not kept waiting. Margin: the time left, or that was left when it was met; with a "
    "minus: late.\n"
    "Rules: P1 after commissioning, P2 every 15 months (until 17 December 2021), P3 on suspected "
    "compromise.";

/// Columns of a fixed width: rows are printed as they are found, however many devices there are.
struct Column {
  const char* name;
  int width;
};
void print_row(std::initializer_list<Column> columns, const std::vector<std::string>& cells) {
  std::size_t i = 0;
  std::string line;
  for (const auto& column : columns) {
    line += cells.empty() ? column.name : cells[i];
    const auto width = static_cast<std::size_t>(column.width);
    const auto used = (cells.empty() ? std::string(column.name) : cells[i]).size();
    line += std::string(used < width ? width - used : 1, ' ');
    ++i;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  std::cout << line << '\n';
}
constexpr std::initializer_list<Column> due_columns{
    {"DEVICE", 25},   {"RULE", 6},    {"WHOSE", 28},   {"STATUS", 20},
    {"DEADLINE", 26}, {"MARGIN", 10}, {"WAITS FOR", 0}};
constexpr std::initializer_list<Column> next_columns{
    {"WHEN", 26}, {"BECOMES", 17}, {"DEVICE", 25}, {"RULE", 6}, {"WHOSE", 28}, {"WAITS FOR", 0}};

/// A project rule is never shown as the regulator's.
std::string whose(const Duty& duty) {
  if (duty.rule == nullptr) return "-";
  if (duty.rule->origin == RuleOrigin::project) return "project rule";
  return duty.rule->source +
         (duty.adjustment != nullptr && duty.adjustment->deviation ? ", deviation" : "");
}

/// "2d 3h", "-5h 12m": two units are enough.
std::string short_text(std::chrono::milliseconds span) {
  using namespace std::chrono;
  const auto left = duration_cast<minutes>(span < 0ms ? -span : span).count();
  const std::string sign = span < 0ms ? "-" : "";
  if (left >= 1440)
    return sign + std::to_string(left / 1440) + "d " + std::to_string(left % 1440 / 60) + "h";
  return sign + (left >= 60 ? std::to_string(left / 60) + "h " : "") + std::to_string(left % 60) +
         "m";
}

Json to_json(const Duty& duty, const DeviceHistory& device) {
  Json json{{"device_id", device.device.id.to_string()},
            {"rule", to_string(duty.id)},
            {"edition", duty.edition->name}};
  if (duty.rule != nullptr)
    json.update(Json{{"whose", to_string(duty.rule->origin)}, {"source", duty.rule->source}});
  json["status"] = to_string(duty.status);
  json["began"] = format_time(duty.began);
  if (duty.limit) json["deadline"] = format_time(duty.limit->deadline);
  if (duty.limit && duty.limit->after_hours)
    json["after_hours"] = format_time(*duty.limit->after_hours);
  if (duty.limit && duty.limit->end_of_day)
    json["end_of_day"] = format_time(*duty.limit->end_of_day);
  if (duty.due_soon) json["due_soon_from"] = format_time(*duty.due_soon);
  if (duty.margin) json["margin_ms"] = duty.margin->count();
  json["breach"] = duty.breach;
  json["wanted"] = duty.wanted;
  json["waits_for"] = lifecycle::waits_for(duty, device);
  if (!duty.why.empty()) json["why"] = duty.why;
  if (const auto* changed = duty.adjustment)
    json["adjusted"] = {{"deviation", changed->deviation},
                        {"who", changed->who},
                        {"why", changed->why},
                        {"from", format_time(changed->from)},
                        {"until", changed->until ? Json(format_time(*changed->until)) : Json()}};
  json["roles"] = Json::array();
  for (const auto& each : duty.roles) json["roles"].push_back(to_string(each.role));
  json["facts"] = Json::array();
  for (const auto& fact : duty.facts) {
    json["facts"].push_back({{"at", format_time(fact.moment.at)}, {"what", to_string(fact)}});
    if (fact.moment.record) json["facts"].back()["record"] = *fact.moment.record;
  }
  return json;
}

void print_whole(const Duty& duty, const DeviceHistory& device) {
  std::cout << to_string(duty.id) << "  " << whose(duty) << ", edition " << duty.edition->name
            << "\n  status    " << to_string(duty.status);
  if (!duty.why.empty()) std::cout << ": " << duty.why;
  std::string roles;
  for (const auto& each : duty.roles)
    roles += (roles.empty() ? "" : ", ") + std::string(to_string(each.role));
  if (!roles.empty()) std::cout << "\n  keys      " << roles;
  if (duty.limit) {
    const auto* changed = duty.adjustment;
    std::cout << "\n  deadline  "
              << policy::to_string(*duty.limit, changed != nullptr && changed->within
                                                    ? *changed->within
                                                    : duty.rule->terms->within);
    if (changed != nullptr)
      std::cout << "\n  adjusted  by " << changed->who << ": " << changed->why;
  }
  if (duty.margin) std::cout << "\n  margin    " << short_text(*duty.margin);
  if (const auto waits = lifecycle::waits_for(duty, device); !waits.empty())
    std::cout << "\n  waits for " << waits;
  for (const auto& fact : duty.facts) {
    std::cout << "\n            " << format_time(fact.moment.at) << "  " << to_string(fact);
    if (fact.moment.record) std::cout << "  (record #" << *fact.moment.record << ")";
  }
  std::cout << "\n\n";
}

/// What was asked for, and what was found while devices went by.
class Listing {
 public:
  Listing(const Invocation& invocation, const options::variables_map& values,
          const policy::Policy& policy, Time now)
      : json_(invocation.json), whole_(values.count("device") != 0), policy_(policy), now_(now) {
    for (const char* name : {"within", "status"})
      if (values.count("next") != 0 && values.count(name) != 0)
        throw Usage(std::string("--next shows what changes by itself, whatever --") + name +
                    " says");
    if (whole_ && values.count("within") != 0)
      throw Usage("--device shows every duty of the device; --within is for the fleet");
    if (values.count("within") != 0) within_ = duration(values["within"].as<std::string>());
    if (values.count("status") != 0) status_ = needed(values, "status", parse_duty_status);
    if (values.count("next") != 0) {
      const auto asked = values["next"].as<long>();
      if (asked < 1)
        throw Usage("--next " + std::to_string(asked) + ": how many changes, 1 or more");
      next_ = static_cast<std::size_t>(asked);
    }
  }
  void see(const lifecycle::DeviceDuties& device) {
    ++devices_;
    if (!device.contradiction.empty()) {
      ++not_judged_;
      if (json_)
        std::cout << Json{{"device_id", device.device.device.id.to_string()},
                          {"not_judged", device.contradiction}}
                         .dump()
                  << '\n';
      else
        remark(device.device.device.id.to_string() +
               ": not judged, its facts contradict each other: " + device.contradiction);
      return;
    }
    for (const auto& duty : device.duties) {
      ++counts_[duty.status];
      if (next_ == 0 && is_asked_for(duty)) show(duty, device.device);
    }
    if (next_ != 0) look_ahead(device.device);
  }
  /// How many devices could not be judged.
  std::size_t finish() {
    if (next_ != 0) show_coming();
    if (!json_ && !whole_) {
      if (!headed_)
        std::cout << (next_ != 0 ? "nothing becomes due by itself\n" : "nothing of that\n");
      std::cout << '\n' << devices_ << " devices at " << format_time(now_) << ":";
      const char* separator = " ";
      for (const auto& [status, count] : counts_) {
        std::cout << separator << count << " " << to_string(status);
        separator = ", ";
      }
      std::cout << '\n';
    }
    return not_judged_;
  }

 private:
  struct Later {
    bool operator()(const std::pair<policy::UpcomingChange, DeviceHistory>& a,
                    const std::pair<policy::UpcomingChange, DeviceHistory>& b) const {
      return a.first.at < b.first.at;
    }
  };

  [[nodiscard]] bool is_asked_for(const Duty& duty) const {
    if (status_)
      return duty.status == *status_ &&
             (!within_ || (duty.limit && duty.limit->deadline <= now_ + *within_));
    return whole_ || lifecycle::is_due(duty, now_, within_);
  }
  void head(std::initializer_list<Column> columns) {
    if (!headed_) print_row(columns, {});
    headed_ = true;
  }
  void show(const Duty& duty, const DeviceHistory& device) {
    if (json_) {
      std::cout << to_json(duty, device).dump() << '\n';
    } else if (whole_) {
      print_whole(duty, device);
    } else {
      head(due_columns);
      print_row(due_columns,
                {device.device.id.to_string(), std::string(to_string(duty.id)), whose(duty),
                 std::string(to_string(duty.status)),
                 duty.limit ? format_time(duty.limit->deadline) : "-",
                 duty.margin ? short_text(*duty.margin) : "-",
                 duty.wanted ? lifecycle::waits_for(duty, device) : std::string(duty.why)});
    }
  }
  void look_ahead(const DeviceHistory& device) {
    for (auto& coming : policy::look_ahead(lifecycle::facts_of(device), policy_, now_)) {
      if (soonest_.size() == next_ && coming.at >= soonest_.top().first.at) break;
      soonest_.emplace(std::move(coming), device);
      if (soonest_.size() > next_) soonest_.pop();
    }
  }
  void show_coming() {
    std::vector<std::pair<policy::UpcomingChange, DeviceHistory>> all;
    for (; !soonest_.empty(); soonest_.pop()) all.insert(all.begin(), soonest_.top());
    for (const auto& [coming, device] : all) {
      if (json_) {
        Json json{{"at", format_time(coming.at)}, {"becomes", to_string(coming.becomes)}};
        json["duty"] = to_json(coming.duty, device);
        std::cout << json.dump() << '\n';
        continue;
      }
      head(next_columns);
      print_row(next_columns, {format_time(coming.at), std::string(to_string(coming.becomes)),
                               device.device.id.to_string(), std::string(to_string(coming.duty.id)),
                               whose(coming.duty), lifecycle::waits_for(coming.duty, device)});
    }
  }

  bool json_, whole_;
  const policy::Policy& policy_;
  Time now_;
  std::optional<std::chrono::milliseconds> within_;
  std::optional<DutyStatus> status_;
  std::size_t next_ = 0, devices_ = 0, not_judged_ = 0;
  bool headed_ = false;
  std::map<DutyStatus, std::uint64_t> counts_;
  std::priority_queue<std::pair<policy::UpcomingChange, DeviceHistory>,
                      std::vector<std::pair<policy::UpcomingChange, DeviceHistory>>, Later>
      soonest_;
};

}  // namespace

int due(const Invocation& invocation) {
  options::options_description own;
  own.add_options()("within", options::value<std::string>(),
                    "what is due in so much time, late ones too: 3d, 36h, 90m")(
      "at", options::value<std::string>(),
      "as it stood, or will stand if nothing is done, at another moment, like "
      "2021-12-16T00:00:00Z")(
      "next", options::value<long>(),
      "so many changes that come by themselves, the soonest first: what becomes due, when, why")(
      "device", options::value<std::string>(),
      "every duty of this device, with the facts that led there")(
      "status", options::value<std::string>(),
      "not-applicable, exempt-unsupported, pending, due-soon, met, met-late, overdue, lapsed, "
      "closed, outcome-unknown");
  const auto values =
      parse(invocation, "due [--within 3d] [--at TIME] [--next N] [--device ID] [--status STATUS]",
            text, own);
  const auto config = invocation.config();
  const auto policy = lifecycle::policy_of(config);
  const auto fleet = Fleet::open(config);
  const auto now = values.count("at") != 0 ? needed(values, "at", parse_time) : Clock().now().utc;
  if (const auto last =
          values.count("at") != 0 ? std::nullopt : fleet.clock_behind(now))
    remark("warning: the clock says " + format_time(now) +
           ", and the audit trail's last record is of " + format_time(*last) +
           ": by such a clock it can't be told what is due. Mend it, or say --at TIME");
  Listing listing(invocation, values, policy, now);
  if (values.count("device") != 0)
    listing.see(lifecycle::duties_of(fleet.history(needed(values, "device", DeviceId::parse)),
                                     policy, now));
  else
    lifecycle::for_each_duties(fleet, policy, now,
                               [&](const lifecycle::DeviceDuties& device) { listing.see(device); });
  return listing.finish() == 0 ? 0 : 1;
}

}  // namespace smets1kms::cli
