// SPDX-License-Identifier: Apache-2.0
#include <sstream>
#include <utility>

#include "report/html.hpp"
#include "report/report.hpp"

namespace smets1kms::report {
namespace {

using namespace output;

const char* word(bool value) { return value ? "true" : "false"; }

std::string source_of(const policy::Duty& duty) {
  return duty.rule != nullptr ? duty.rule->source : std::string();
}

const Fields<policy::Duty>& duty_fields() {
  using policy::Duty;
  static const Fields<Duty> all(
      {{"rule", "the rule's name", &Duty::id},
       {"whose", "regulator or project", whose},
       {"source", "where the rule stands", source_of},
       {"edition", "the edition of the policy", [](const Duty& d) { return d.edition->name; }},
       {"status", "how the duty stands", &Duty::status},
       {"breach", "true if the deadline passed and it was not met", &Duty::breach},
       {"open", "true if that is still to be done", is_open_breach},
       {"began", "when it began", &Duty::began},
       {"deadline", "until when it is to be met", deadline_of},
       {"ended", "when it was met, or ended otherwise", ended},
       {"margin_ms", "milliseconds that are left, or were; negative: late",
        [](const Duty& d) {
          return d.margin ? std::optional<std::int64_t>(d.margin->count()) : std::nullopt;
        }},
       {"deviation", "true if the site changed it to be later than the regulator's",
        [](const Duty& d) {
          return d.adjustment != nullptr ? std::optional(d.adjustment->deviation) : std::nullopt;
        }},
       {"late_facts", "the facts that were recorded late, and how late",
        [](const Duty& d) { return unless_empty(late_facts(d)); }},
       {"why", "why it does not apply",
        [](const Duty& d) { return unless_empty(std::string(d.why)); }},
       {"roles", "the keys that it is about",
        [](const Duty& d) {
          std::vector<KeyRole> roles;
          for (const auto& each : d.roles) roles.push_back(each.role);
          return roles;
        }},
       nested("facts", "the records that led there", fact_fields(), &Duty::facts)});
  return all;
}

/// Returns a field in a form that a spreadsheet does not take for a formula.
std::string field(std::string_view text) {
  std::string safe(text);
  if (!safe.empty() && std::string_view("=+-@").find(safe[0]) != std::string_view::npos)
    safe.insert(0, "'");
  if (safe.find_first_of(",\"\r\n") == std::string::npos) return safe;
  std::string quotes = "\"";
  for (const char c : safe) quotes += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quotes + "\"";
}

}  // namespace

const Fields<policy::Fact>& fact_fields() {
  using policy::Fact;
  static const Fields<Fact> all(
      {{"what", "what happened", [](const Fact& fact) { return to_string(fact); }},
       {"at", "when", [](const Fact& fact) { return fact.moment.at; }},
       {"record", "its index in the trail", [](const Fact& fact) { return fact.moment.record; }}});
  return all;
}

const Fields<DeviceLine>& device_fields() {
  const auto of_facts = [](auto member) {
    return [member](const DeviceLine& of) {
      return of.first.facts ? std::optional((*of.first.facts).*member) : std::nullopt;
    };
  };
  static const Fields<Event> listed({{"line", "its number", &Event::generation},
                                     {"kind", "the kind there", &Event::kind},
                                     {"commissioned_at", "the time there", &Event::since}});
  static const Fields<Problem> problems(
      {{"kind", "a stable word", &Problem::kind},
       {"key", "role and generation", [](const Problem& p) { return key_of(*p.event); }},
       {"record", "its index in the trail", [](const Problem& p) { return p.event->index; }},
       {"why", "why there is no KEK", [](const Problem& p) { return unless_empty(p.why); }}});
  static const Fields<DeviceLine> all(
      "smets1-audit-report-device-1", "A device, in the file beside the summary of 'report --json'",
      {{"device", "an EUI-64", [](const DeviceLine& of) { return of.first.name(); }},
       {"page", "the page that shows it",
        [](const DeviceLine& of) {
          return of.second.page == 0
                     ? std::nullopt
                     : std::optional(html::page_name(html::home_kind, of.second.page));
        }},
       {"kind", "of device", of_facts(&policy::DeviceFacts::kind)},
       {"supports", "the keys it has", of_facts(&policy::DeviceFacts::supports)},
       {"in_service", "false if it was decommissioned",
        [](const DeviceLine& of) {
          return of.first.facts ? std::optional(of.first.in_service) : std::nullopt;
        }},
       {"unknown", "why it can't be judged",
        [](const DeviceLine& of) { return unless_empty(of.first.unknown); }},
       nested("listed", "its line of the operator's list", listed,
              [](const DeviceLine& of) {
                return of.first.listed != nullptr ? std::optional(*of.first.listed) : std::nullopt;
              }),
       nested(
           "duties", "what the policy asked", duty_fields(),
           [](const DeviceLine& of) -> auto& { return of.first.duties; }),
       nested(
           "problems", "what a person has to settle", problems,
           [](const DeviceLine& of) -> auto& { return of.first.problems; }),
       {"records", "the indices of its records in the trail", [](const DeviceLine& of) {
          std::vector<std::uint64_t> records;
          for (const auto& event : of.first.events) records.push_back(event.index);
          return records;
        }}});
  return all;
}

std::string csv_lines(const Device& device) {
  std::ostringstream lines;
  const auto begin = [&]() -> std::ostream& {
    lines << device.name() << ',';
    if (device.facts) lines << to_string(device.facts->kind);
    return lines << ',';
  };
  const auto time = [](const std::optional<Time>& at) { return at ? format_time(*at) : ""; };
  if (device.duties.empty()) begin() << ",,,,not-judged,,,,,,,,,\n";
  for (const auto& duty : device.duties) {
    begin() << to_string(duty.id) << ',' << to_string(whose(duty)) << ',' << field(source_of(duty))
            << ',' << field(duty.edition->name) << ',' << to_string(duty.status) << ','
            << word(duty.breach) << ',' << word(is_open_breach(duty)) << ','
            << format_time(duty.began) << ',' << time(deadline_of(duty)) << ',' << time(ended(duty))
            << ',';
    if (duty.margin) lines << std::chrono::floor<std::chrono::seconds>(*duty.margin).count();
    lines << ',' << word(duty.adjustment != nullptr && duty.adjustment->deviation) << ','
          << field(waits_for(duty)) << ',';
    const char* between = "";
    for (const auto& fact : duty.facts)
      if (fact.moment.record) lines << std::exchange(between, " ") << *fact.moment.record;
    lines << '\n';
  }
  return lines.str();
}

}  // namespace smets1kms::report
