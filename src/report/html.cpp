// SPDX-License-Identifier: Apache-2.0
#include "report/html.hpp"

#include <stdexcept>

#include "audit/text.hpp"

namespace smets1kms::report::html {
namespace {

using Status = DutyStatus;
using std::chrono::milliseconds;

std::string device_anchor(std::uint64_t device) {
  auto digits = audit::device_name(device);
  std::erase(digits, '-');
  return "d-" + digits;
}

std::string label_of(RuleId id, RuleOrigin origin, const std::string& source) {
  const std::string name(to_string(id));
  if (origin == RuleOrigin::project) return name + " " + project_tag;
  return source.empty() ? name : name + " <span class=\"tag\">" + escape(source) + "</span>";
}

}  // namespace

std::string escape(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&': safe += "&amp;"; break;
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      case '"': safe += "&quot;"; break;
      case '\'': safe += "&#39;"; break;
      default: safe += c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) ? c : '?';
    }
  }
  return safe;
}

std::string time(Time moment) { return "<time>" + format_time(moment) + "</time>"; }

std::string duration(milliseconds time) {
  auto rest = std::chrono::abs(time);
  const std::pair<milliseconds, const char*> units[] = {{std::chrono::days(1), " d"},
                                                        {std::chrono::hours(1), " h"},
                                                        {std::chrono::minutes(1), " min"},
                                                        {std::chrono::seconds(1), " s"},
                                                        {milliseconds(1), " ms"}};
  std::string text;
  int parts = 0;
  for (const auto& [unit, word] : units) {
    if (rest >= unit && parts < 2) {
      text += (text.empty() ? "" : " ") + std::to_string(rest / unit) + word;
      rest %= unit;
    }
    if (!text.empty()) ++parts;
  }
  return text.empty() ? "0 s" : text;
}

std::string margin_of(const policy::Duty& duty) {
  if (!duty.margin) return {};
  const bool is_late = *duty.margin < milliseconds(0);
  const std::string time = duration(*duty.margin);
  switch (duty.status) {
    case Status::met: return time + " before the deadline";
    case Status::met_late: return time + " late";
    case Status::lapsed:
    case Status::closed: return {};
    default: return is_late ? time + " past the deadline" : time + " left";
  }
}

std::string rule_label(const policy::Duty& duty) {
  return label_of(duty.id, whose(duty), duty.rule != nullptr ? duty.rule->source : "");
}

std::string rule_label(const Column& column, const policy::Policy& policy) {
  std::string sources;
  for (const auto& edition : policy.editions())
    if (const auto* rule = edition.rule(column.id); rule != nullptr &&
                                                    rule->origin == column.origin &&
                                                    sources.find(rule->source) == std::string::npos)
      sources += (sources.empty() ? "" : ", ") + rule->source;
  return label_of(column.id, column.origin, sources);
}

std::string status_mark(Status status, bool breach) {
  const char* kind = breach                                                            ? "bad"
                     : status == Status::met                                           ? "good"
                     : status == Status::due_soon || status == Status::outcome_unknown ? "warn"
                                                                                       : "calm";
  return std::string("<span class=\"mark ") + kind + "\">" + std::string(to_string(status)) +
         (breach && status != Status::overdue ? ", breach" : "") + "</span>";
}

std::string required(const policy::Duty& duty) {
  if (!duty.limit) return {};
  const auto& within = duty.adjustment != nullptr && duty.adjustment->within
                           ? *duty.adjustment->within
                           : duty.rule->terms->within;
  // Both readings of the limit are shown where the earlier is not the obvious one.
  const bool plain = !duty.limit->after_hours || duty.limit->deadline == *duty.limit->after_hours;
  return time(duty.limit->deadline) +
         (plain ? "" : "<br><small>" + escape(to_string(*duty.limit, within)) + "</small>");
}

std::string page_name(std::string_view kind, std::uint64_t number) {
  return std::string(kind) + "-" + audit::padded(number, 5) + ".html";
}

std::string Links::page(const PageRef& place) const {
  return place.page == 0 ? std::string() : directory_ + page_name(home_kind, place.page);
}

std::string Links::device(const PageRef& place) const {
  return "<a class=\"id\" href=\"" + page(place) + "#" + device_anchor(place.device) + "\">" +
         audit::device_name(place.device) + "</a>";
}

std::string Links::record(const PageRef& place, std::uint64_t index) const {
  const auto number = std::to_string(index);
  return "<a href=\"" + page(place) + "#r" + number + "\">record " + number + "</a>";
}

std::string facts_of(const policy::Duty& duty, const std::vector<std::string>& who,
                     const PageRef& place, const Links& links) {
  std::string list = "<ul class=\"facts\">";
  for (std::size_t i = 0; i < duty.facts.size(); ++i) {
    const auto& fact = duty.facts[i];
    list += "<li>" + time(fact.moment.at) + " " + escape(to_string(fact));
    if (fact.moment.record)
      list += " (" + links.record(place, *fact.moment.record) +
              (i < who.size() && !who[i].empty() ? "; " + escape(who[i]) : "") + ")";
    list += "</li>";
  }
  if (const auto waits = waits_for(duty); !waits.empty())
    list += "<li>waits for " + escape(waits) + "</li>";
  return list + "</ul>";
}

std::string table_begin(std::string_view caption, std::span<const std::string_view> columns,
                        bool stacks) {
  std::string text = "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"" +
                     escape(caption) + "\"><table" + (stacks ? " class=\"stacks\"" : "") +
                     "><caption>" + escape(caption) + "</caption><thead><tr>";
  for (const auto column : columns)
    text.append("<th scope=\"col\">").append(column).append("</th>");
  return text + "</tr></thead><tbody>\n";
}
std::string small_line(const std::string& text) { return "<br><small>" + text + "</small>"; }

std::string_view page_text(std::string_view file) {
  return std::ranges::find(page_texts(), file, [](const auto& each) { return each.first; })->second;
}

std::string fill(std::string_view text,
                 const std::function<std::string(std::string_view name)>& value) {
  std::string filled;
  for (;;) {
    const auto begin = text.find("{{");
    filled += text.substr(0, begin);
    if (begin == std::string_view::npos) return filled;
    const auto name = text.substr(begin + 2, text.find("}}", begin) - begin - 2);
    text.remove_prefix(begin + name.size() + 4);
    if (name[0] != '#' && name[0] != '^') {
      filled += value(name);
      continue;
    }
    const auto end = "{{/" + std::string(name.substr(1)) + "}}";
    const auto length = text.find(end);
    if (length == std::string_view::npos) throw std::logic_error("page.html: no " + end);
    const auto inner = text.substr(0, length);
    if (value(name.substr(1)).empty() == (name[0] == '^')) filled += fill(inner, value);
    text.remove_prefix(inner.size() + end.size());
  }
}

std::string cell(std::string_view content, std::string_view attributes) {
  return std::string("<td").append(attributes).append(">").append(content) + "</td>";
}

namespace {

void write_duties(std::ostream& out, const Device& device, const PageRef& place,
                  const Links& links) {
  const auto row = [&](const policy::Duty& duty) {
    auto status = status_mark(duty.status, duty.breach), limit = required(duty),
         facts = escape(duty.why);
    if (const auto margin = margin_of(duty); !margin.empty()) status += small_line(margin);
    if (duty.adjustment != nullptr)
      limit += small_line((duty.adjustment->deviation ? "by a deviation: " : "adjusted: ") +
                          escape(duty.adjustment->who));
    if (duty.status == Status::exempt_unsupported) {
      std::vector<KeyRole> roles;
      for (const auto& [role, progress] : duty.roles) roles.push_back(role);
      facts += "not supported: " + names_of(roles);
    } else if (!duty.facts.empty()) {
      facts += facts_of(duty, {}, place, links);
    }
    return cell(rule_label(duty) + small_line(escape(duty.edition->name))) + cell(status) +
           cell(limit, required_column) + cell(facts);
  };
  out << table("Duties of " + device.name(), {"Rule", "Status", "Required by", "What led there"},
               device.duties, row, true);
}

void write_event(std::ostream& out, const Event& event, Lookup* lookup) {
  out << "<tr id=\"r" << event.index << "\"><td>" << event.index << "</td><td>" << time(event.time)
      << "</td><td>" << name_of(event);
  if (event.since != event.time && event.readable) out << ", at " << time(event.since);
  out << "</td><td>" << key_of(event) << "</td>";
  if (lookup != nullptr) {
    using enum audit::Field;
    const auto record = lookup->record(event);
    out << "<td>" << escape(lookup->who(event));
    for (const auto field : {reason, justification, detail, edition, rule, notify, model, target})
      if (!record.text(field).empty())
        out << (field == reason ? "; " : "; " + std::string(audit::field_name(field)) + " ")
            << escape(record.text(field));
    if (const auto handed = record.text(handovers); !handed.empty())
      out << "; handed over to " << escape(audit::target_names(handed));
    out << "</td>";
  }
  out << "</tr>\n";
}

}  // namespace

void write_device(std::ostream& out, const Device& device, const PageRef& place, Lookup* lookup) {
  const Links here{""};
  out << "<article class=\"device\" id=\"" << device_anchor(device.id)
      << "\"><h3><span class=\"id\">" << device.name() << "</span></h3>\n<p>";
  if (device.facts)
    out << to_string(device.facts->kind) << "; supports " << names_of(device.facts->supports)
        << "; " << (device.in_service ? "in service" : "not in service") << ".";
  else
    out << (device.events.empty() ? "On the operator's list; "
                                  : "<strong>Can't be judged:</strong> ")
        << escape(device.unknown) << ".";
  if (device.listed != nullptr)
    out << " On the list, line " << device.listed->generation << ": "
        << to_string(device.listed->kind) << ", " << time(device.listed->since) << ".";
  out << "</p>\n";
  for (const auto& problem : device.problems)
    out << "<p><span class=\"mark warn\">" << to_string(problem.kind) << "</span> "
        << key_of(*problem.event) << escape(problem.why) << ", "
        << here.record({}, problem.event->index) << "</p>\n";
  if (!device.duties.empty()) write_duties(out, device, {.device = place.device}, here);
  if (!device.events.empty()) {
    out << "<details><summary>" << device.events.size()
        << (device.events.size() == 1 ? " record" : " records") << " of " << device.name()
        << "</summary>\n";
    std::vector<std::string_view> columns{"Index", "Time", "What", "Key"};
    if (lookup != nullptr) columns.emplace_back("Who, and what else it says");
    out << table_begin("Records of " + device.name(), columns, true);
    for (const auto& event : device.events) write_event(out, event, lookup);
    out << table_end;
    out << "</details>\n";
  }
  out << "</article>\n";
}

void begin_page(std::ostream& out, const std::string& title, const std::string& banner) {
  out << "<!DOCTYPE html>\n<html lang=\"en-GB\">\n<head>\n<meta charset=\"utf-8\">\n<title>"
      << escape(title)
      << "</title>\n<meta name=\"viewport\" content=\"width=device-width, "
         "initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n"
         "<link rel=\"icon\" href=\"data:,\">\n<style>\n"
      << page_text("style.css") << "</style>\n</head>\n<body>\n<header>" << banner
      << "</header>\n<main>\n";
}
void end_page(std::ostream& out) { out << "</main>\n</body>\n</html>\n"; }

}  // namespace smets1kms::report::html
