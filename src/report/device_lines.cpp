// SPDX-License-Identifier: Apache-2.0
#include "report/html.hpp"
#include "report/report.hpp"

namespace smets1kms::report {
namespace {

/// Written by hand: a fleet has millions of these lines.
std::string json_text(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    json += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return json + "\"";
}
std::string json_text(Time time) { return "\"" + format_time(time) + "\""; }
const char* word(bool value) { return value ? "true" : "false"; }

std::string source_of(const policy::Duty& duty) {
  return duty.rule != nullptr ? duty.rule->source : std::string();
}

std::string json_duty(const policy::Duty& duty) {
  std::string json =
      "{\"rule\":" + json_text(to_string(duty.id)) +
      ",\"whose\":" + json_text(to_string(whose(duty))) +
      ",\"source\":" + json_text(source_of(duty)) +
      ",\"edition\":" + json_text(duty.edition->name) +
      ",\"status\":" + json_text(to_string(duty.status)) + ",\"breach\":" + word(duty.breach) +
      ",\"open\":" + word(is_open_breach(duty)) + ",\"began\":" + json_text(duty.began);
  if (duty.limit) json += ",\"deadline\":" + json_text(duty.limit->deadline);
  if (const auto when = ended(duty)) json += ",\"ended\":" + json_text(*when);
  if (duty.margin) json += ",\"margin_ms\":" + std::to_string(duty.margin->count());
  if (duty.adjustment != nullptr)
    json += std::string(",\"deviation\":") + word(duty.adjustment->deviation);
  if (!duty.why.empty()) json += ",\"why\":" + json_text(duty.why);
  json += ",\"roles\":[";
  for (std::size_t i = 0; i < duty.roles.size(); ++i)
    json += (i == 0 ? "" : ",") + json_text(to_string(duty.roles[i].role));
  json += "],\"facts\":[";
  for (std::size_t i = 0; i < duty.facts.size(); ++i) {
    const auto& fact = duty.facts[i];
    json += std::string(i == 0 ? "" : ",") + "{\"what\":" + json_text(to_string(fact)) +
            ",\"at\":" + json_text(fact.moment.at) +
            (fact.moment.record ? ",\"record\":" + std::to_string(*fact.moment.record) : "") + "}";
  }
  return json + "]}";
}

/// A field that a spreadsheet does not take for a formula.
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

std::string json_line(const Device& device, const PageRef& place) {
  std::string json = "{\"device\":" + json_text(device.name());
  if (place.page != 0)
    json += ",\"page\":" + json_text(html::page_name(html::home_kind, place.page));
  if (device.facts) {
    json += ",\"kind\":" + json_text(to_string(device.facts->kind)) + ",\"supports\":[";
    for (std::size_t i = 0; i < device.facts->supports.size(); ++i)
      json += (i == 0 ? "" : ",") + json_text(to_string(device.facts->supports[i]));
    json += std::string("],\"in_service\":") + word(device.in_service);
  }
  if (!device.unknown.empty()) json += ",\"unknown\":" + json_text(device.unknown);
  if (device.listed != nullptr)
    json += ",\"listed\":{\"line\":" + std::to_string(device.listed->generation) +
            ",\"kind\":" + json_text(to_string(device.listed->kind)) +
            ",\"commissioned_at\":" + json_text(device.listed->since) + "}";
  json += ",\"duties\":[";
  for (std::size_t i = 0; i < device.duties.size(); ++i)
    json += (i == 0 ? "" : ",") + json_duty(device.duties[i]);
  json += "],\"problems\":[";
  for (std::size_t i = 0; i < device.problems.size(); ++i)
    json += std::string(i == 0 ? "" : ",") +
            "{\"kind\":" + json_text(to_string(device.problems[i].kind)) +
            ",\"key\":" + json_text(key_of(*device.problems[i].event)) +
            ",\"record\":" + std::to_string(device.problems[i].event->index) + "}";
  json += "],\"records\":[";
  for (std::size_t i = 0; i < device.events.size(); ++i)
    json += (i == 0 ? "" : ",") + std::to_string(device.events[i].index);
  return json + "]}\n";
}

std::string csv_lines(const Device& device) {
  const std::string begin =
      device.name() + "," +
      (device.facts ? std::string(to_string(device.facts->kind)) : std::string()) + ",";
  if (!device.unknown.empty() || device.duties.empty()) return begin + ",,,,not-judged,,,,,,,,,\n";
  std::string lines;
  for (const auto& duty : device.duties) {
    std::string records;
    for (const auto& fact : duty.facts)
      if (fact.moment.record)
        records += (records.empty() ? "" : " ") + std::to_string(*fact.moment.record);
    const auto when = ended(duty);
    const auto time = [](const std::optional<Time>& at) {
      return at ? format_time(*at) : std::string();
    };
    lines += begin + std::string(to_string(duty.id)) + "," + std::string(to_string(whose(duty))) +
             "," + field(source_of(duty)) + "," + field(duty.edition->name) + "," +
             std::string(to_string(duty.status)) + "," + word(duty.breach) + "," +
             word(is_open_breach(duty)) + "," + format_time(duty.began) + "," +
             time(duty.limit ? std::optional(duty.limit->deadline) : std::nullopt) + "," +
             time(when) + "," +
             (duty.margin
                  ? std::to_string(std::chrono::floor<std::chrono::seconds>(*duty.margin).count())
                  : std::string()) +
             "," + word(duty.adjustment != nullptr && duty.adjustment->deviation) + "," +
             field(waits_for(duty)) + "," + records + "\n";
  }
  return lines;
}

}  // namespace smets1kms::report
