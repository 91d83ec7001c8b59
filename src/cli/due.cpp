// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "cli/common.hpp"
#include "command_line/text.hpp"

namespace smets1kms::cli {
namespace {

using std::chrono::milliseconds;

/// Returns the author of a duty's rule. A project rule is never shown as the regulator's.
std::string whose(const Duty& duty) {
  if (!duty.origin) return "-";
  if (*duty.origin == RuleOrigin::project) return "project rule";
  return duty.source + (duty.adjusted && duty.adjusted->deviation ? ", deviation" : "");
}

/// Returns "2d 3h", "-5h 12m": two units are enough.
std::string short_text(milliseconds span) {
  using namespace std::chrono;
  const auto left = duration_cast<minutes>(span < 0ms ? -span : span).count();
  const std::string sign = span < 0ms ? "-" : "";
  if (left >= 1440)
    return sign + std::to_string(left / 1440) + "d " + std::to_string(left % 1440 / 60) + "h";
  return sign + (left >= 60 ? std::to_string(left / 60) + "h " : "") + std::to_string(left % 60) +
         "m";
}

std::vector<KeyRole> roles_of(const Duty& duty) {
  std::vector<KeyRole> roles;
  for (const auto& [role, progress] : duty.roles) roles.push_back(role);
  return roles;
}

const Fields<Duty>& duty_fields() {
  using Adjustment = Duty::Adjustment;
  static const Fields<Adjustment> adjusted(
      {{"deviation", "true if it changes the regulator's", &Adjustment::deviation},
       {"who", "who decided it", &Adjustment::who},
       {"authorised_by", "who authorised it; empty: no deviation", &Adjustment::authorised_by},
       {"why", "why", &Adjustment::why},
       {"from", "from when", &Adjustment::from},
       {"until", "until when", &Adjustment::until}});
  static const Fields<DutyFact> facts(
      {{"at", "when", [](const DutyFact& fact) { return fact.moment.at; }},
       {"what", "what happened", &DutyFact::what},
       {"record", "the record of the trail that says so",
        [](const DutyFact& fact) { return fact.moment.record; }}});
  const auto margin = [](const Duty& d) {
    return d.margin ? std::optional<std::int64_t>(d.margin->count()) : std::nullopt;
  };
  static const Fields<Duty> fields(
      "smets1-kms-duty-1", "A duty of one device as it stood at a moment",
      {{"device_id", "an EUI-64", &Duty::device, "DEVICE"},
       {"rule", "P1 after commissioning, P2 at intervals, P3 on suspicion", &Duty::rule, "RULE"},
       {"edition", "of the policy, in force when the duty began", &Duty::edition},
       {"whose", "regulator or project", &Duty::origin, "WHOSE", whose},
       {"source", "where the rule stands", [](const Duty& d) { return unless_empty(d.source); }},
       {"status", "how it stands", &Duty::status, "STATUS"},
       {"began", "when it began", &Duty::began},
       {"deadline", "until when it is to be met", &Duty::deadline, "DEADLINE"},
       {"after_hours", "of a limit in days: that many times 24 hours", &Duty::after_hours},
       {"end_of_day", "of a limit in days: the end of the last, Europe/London", &Duty::end_of_day},
       {"due_soon_from", "from when it is due soon", &Duty::due_soon_from},
       {"margin_ms", "milliseconds that are left, or were when it was met; negative: late", margin,
        "MARGIN", [](const Duty& d) { return d.margin ? short_text(*d.margin) : "-"; }},
       {"breach", "true if the deadline passed and it was not met", &Duty::breach},
       {"wanted", "true if a replacement now would still serve it", &Duty::wanted},
       {"waits_for", "what it waits for", &Duty::waits_for, "WAITS FOR",
        [](const Duty& d) {
          const auto& text = d.wanted ? d.waits_for : d.why;
          return d.late_facts.empty() ? text : text + " (" + d.late_facts + ")";
        }},
       {"late_facts", "the facts that were recorded late, and how late",
        [](const Duty& d) { return unless_empty(d.late_facts); }},
       {"no_kek_reason", "why the device has no KEK",
        [](const Duty& d) { return unless_empty(d.no_kek_reason); }},
       {"why", "why nothing is asked", [](const Duty& d) { return unless_empty(d.why); }},
       nested("adjusted", "what the site changed of the rule", adjusted, &Duty::adjusted),
       {"roles", "the keys that it is about", roles_of},
       nested("facts", "what led there, oldest first", facts, &Duty::facts)});
  return fields;
}
const Fields<NotJudged> not_judged_fields("smets1-kms-not-judged-1",
                                          "A device whose facts contradict each other",
                                          {{"device_id", "an EUI-64", &NotJudged::device},
                                           {"not_judged", "why", &NotJudged::why}});
const Fields<UpcomingChange>& change_fields() {
  using Change = UpcomingChange;
  const auto of_duty = [](auto get) {
    return [get](const Change& c) { return std::invoke(get, c.duty); };
  };
  static const Fields<Change> fields(
      "smets1-kms-upcoming-1", "A change that comes by itself if nothing is done",
      {{"at", "when", &Change::at, "WHEN"},
       {"becomes", "what the duty becomes", &Change::becomes, "BECOMES"},
       nested("duty", "as it stands now", duty_fields(), &Change::duty),
       {"", "", of_duty(&Duty::device), "DEVICE"},
       {"", "", of_duty(&Duty::rule), "RULE"},
       {"", "", of_duty(whose), "WHOSE"},
       {"", "", of_duty(&Duty::waits_for), "WAITS FOR"}});
  return fields;
}

void print_whole(std::ostream& out, const Duty& duty) {
  out << to_string(duty.rule) << "  " << whose(duty) << ", edition " << duty.edition
      << "\n  status    " << to_string(duty.status);
  if (!duty.why.empty()) out << ": " << printable(duty.why);
  if (const auto roles = roles_of(duty); !roles.empty())
    out << "\n  keys      " << text_of(ValueOf<std::vector<KeyRole>>::value(roles));
  if (duty.deadline) out << "\n  deadline  " << duty.deadline_text;
  if (duty.deadline && duty.adjusted)
    out << "\n  adjusted  by " << printable(duty.adjusted->who + ": " + duty.adjusted->why);
  if (duty.margin) out << "\n  margin    " << short_text(*duty.margin);
  if (!duty.waits_for.empty()) out << "\n  waits for " << duty.waits_for;
  for (const auto& [moment, what] : duty.facts) {
    out << "\n            " << format_time(moment.at) << "  " << what;
    if (moment.record) out << "  (record #" << *moment.record << ")";
  }
  out << "\n\n";
}

/// Devices that could not be judged.
class NotJudgedList {
 public:
  explicit NotJudgedList(const Invocation& in) : in_(in), group_(in.console) {}
  void add(const std::vector<NotJudged>& devices) {
    for (const auto& each : devices)
      show(in_, not_judged_fields, each, [&](std::ostream&) {
        group_.add(each.device.to_string(), "",
                   "not judged, its facts contradict each other: " + each.why);
      });
    count_ += devices.size();
  }
  void finish() {
    group_.finish();
    if (count_ != 0)
      throw Unsuccessful(Exit::failed, "not-judged",
                         counted(count_, "device") + " could not be judged");
  }

 private:
  const Invocation& in_;
  Grouped group_;
  std::size_t count_ = 0;
};

/// Ends the command with exit code 7 where a duty has a status that --fail-on names.
void check_fail_on(const Invocation& in, const std::map<DutyStatus, std::uint64_t>& counts) {
  for (const auto status : in.values.list("fail-on", parse_duty_status))
    if (const auto found = counts.find(status); found != counts.end() && found->second != 0) {
      const auto text = std::to_string(found->second) + " duties are " +
                        std::string(to_string(status)) + " (--fail-on)";
      in.console.note(text);
      throw Unsuccessful(Exit::fail_on, "fail-on", text);
    }
}

void of_device(const Invocation& in, const Fleet& fleet, Time at) {
  const auto status = in.values.optional("status", parse_duty_status);
  std::map<DutyStatus, std::uint64_t> counts;
  for (const auto& duty : fleet.duties(in.values.needed("device", DeviceId::parse), at)) {
    ++counts[duty.status];
    if (!status || duty.status == *status)
      show(in, duty_fields(), duty, [&](std::ostream& out) { print_whole(out, duty); });
  }
  check_fail_on(in, counts);
}

void upcoming(const Invocation& in, const Fleet& fleet, Time at) {
  NotJudgedList not_judged(in);
  std::vector<NotJudged> devices;
  const auto changes = fleet.upcoming(at, *in.values.number("next"), &devices);
  not_judged.add(devices);
  if (changes.empty() && !in.json) in.out << "nothing becomes due by itself\n";
  if (!changes.empty()) {
    Rows rows(in, change_fields());
    for (const auto& change : changes) rows.add(change);
  }
  not_judged.finish();
}

void of_fleet(const Invocation& in, const Fleet& fleet, Time at) {
  const auto within = in.values.optional("within", parse_duration);
  const auto status = in.values.optional("status", parse_duty_status);
  NotJudgedList not_judged(in);
  std::optional<Rows<Duty>> rows;
  std::map<DutyStatus, std::uint64_t> counts;
  std::uint64_t devices = 0;
  std::optional<DeviceId> after;
  do {
    constexpr std::size_t most = 1000;
    const auto page =
        status ? fleet.due(at, *status, within, after, most) : fleet.due(at, within, after, most);
    for (const auto& duty : page.duties) {
      if (!rows) rows.emplace(in, duty_fields());
      rows->add(duty);
    }
    not_judged.add(page.not_judged);
    devices += page.devices;
    for (const auto& [each, count] : page.counts) counts[each] += count;
    after = page.next;
  } while (after);
  if (!in.json) {
    if (rows) rows->finish();
    in.out << (rows     ? ""
               : status ? "no duty has this status\n"
                        : "nothing is due\n")
           << '\n'
           << devices << " devices at " << format_time(at) << ':';
    const char* separator = " ";
    for (const auto& [each, count] : counts)
      in.out << std::exchange(separator, ", ") << count << " " << to_string(each);
    in.out << '\n';
  }
  not_judged.finish();
  check_fail_on(in, counts);
}

void run_due(const Invocation& in) {
  const auto& values = in.values;
  if (values.has("next") && values.count({"within", "status"}) != 0)
    throw Usage("--next shows what changes by itself, whatever --within and --status say");
  if (values.has("next") && values.has("fail-on"))
    throw Usage("--fail-on goes with the duties as they stand, not with --next");
  (void)values.list("fail-on", parse_duty_status);
  if (values.has("device") && values.count({"within", "next"}) != 0)
    throw Usage("--device shows every duty of the device; --within and --next are for the fleet");
  const auto moment = values.optional("at", parse_time);
  const auto fleet = Fleet::open(config_of(in), callbacks_of(in));
  const auto at = moment ? *moment : fleet.now();
  if (const auto last = moment ? std::nullopt : fleet.clock_behind(at))
    in.console.warn("warning: the clock says " + format_time(at) +
                    ", and the audit trail's last record is of " + format_time(*last) +
                    ": by such a clock it can't be told what is due. Set it right, or say --at "
                    "TIME");
  values.has("device") ? of_device(in, fleet, at)
  : values.has("next") ? upcoming(in, fleet, at)
                       : of_fleet(in, fleet, at);
}

}  // namespace

Command due() {
  return {"due",
          "what the policy asks for, by when, by which rule, and what it waits for",
          "[--within 3d] [--at TIME] [--next N] [--device ID] [--status STATUS] "
          "[--fail-on STATUS]",
          R"(
Lists what the policy asks for: by which rule, whose it is (the regulator's by its name, or a
project rule), until when, and what it waits for. Without options: what is late, due soon, in doubt,
or asked as soon as reasonably practicable (after commissioning, on suspicion). 'rotate --due' acts
on it. No token and no PIN is needed, and a writer is not kept waiting. Margin: the time left, or
that was left when it was met; with a minus: late.
Rules: P1 after commissioning, P2 every 15 months (until 17 December 2021), P3 on suspected
compromise.)",
          {text("within", "TIME", "what is due in so much time, late ones too: 3d, 36h, 90m"),
           text("at", "TIME",
                "as it stood, or will stand if nothing is done, at another moment, like "
                "2021-12-16T00:00:00Z"),
           number("next", "N",
                  "so many changes that come by themselves, the soonest first: what becomes due, "
                  "when, why",
                  1, 10000),
           text("device", "DEVICE", "every duty of this device, with the facts that led there"),
           text("status", "STATUS",
                "not-applicable, exempt-unsupported, pending, due-soon, met, met-late, overdue, "
                "lapsed, closed, outcome-unknown"),
           repeated("fail-on", "STATUS",
                    "ends with exit code 7 where any duty has this status, for a monitor; may be "
                    "repeated")},
          run_due,
          {duty_fields(), not_judged_fields, change_fields()}};
}

}  // namespace smets1kms::cli
