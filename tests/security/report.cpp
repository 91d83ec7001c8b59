// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <iomanip>
#include <iostream>

namespace attack {
namespace {

using nlohmann::json;

std::string joined(const std::vector<std::string>& all) {
  std::string text;
  for (const auto& each : all) text += (text.empty() ? "" : "; ") + each;
  return text;
}

/// What is wrong with a cell; empty if it is as it must be.
std::string complaint(const Row& row, const std::string& column, const Outcome& outcome) {
  if (!outcome.not_applicable.empty()) return column == "naive" ? "not run" : "";
  if (column == "naive") {
    if (outcome.succeeded() && !row.impossible.empty())
      return "it succeeds on the naive token, though said to be impossible on SoftHSM";
    if (!outcome.succeeded() && row.impossible.empty())
      return "it does not succeed on the naive token: it shows nothing (" + outcome.answers + ")";
    return {};
  }
  const bool allowed = !row.remains.empty() || (column == "plain" && !row.open_in_plain.empty()) ||
                       (column == "sealed" && !row.open_in_sealed.empty());
  // What remains is one thing: an attack that gains a second one is another attack.
  if (outcome.succeeded() && (!allowed || (!row.remains.empty() && outcome.gained.size() > 1)))
    return "ATTACK SUCCEEDS, " + column + ": " + joined(outcome.gained);
  if (!outcome.succeeded() && allowed)
    return "said to be open (" + column + "), and refused: the table is out of date (" +
           outcome.answers + ")";
  return {};
}

std::string cell(const Row& row, const std::string& column) {
  const auto found = row.outcomes.find(column);
  if (found == row.outcomes.end()) return "not run";
  if (!found->second.not_applicable.empty()) return "nothing there";
  if (found->second.succeeded())
    return column == "naive"                               ? "succeeds"
           : complaint(row, column, found->second).empty() ? "open, known"
                                                           : "SUCCEEDS";
  return column == "naive" && !row.impossible.empty() ? "impossible" : "refused";
}

/// Cut to `width` characters on the screen (UTF-8: continuation bytes take no room).
std::string fitted(const std::string& text, std::size_t width) {
  std::string result;
  std::size_t used = 0;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80 && used++ == width) return result;
    result += c;
  }
  return result + std::string(used < width ? width - used : 0, ' ');
}

}  // namespace

json to_json(const Report& report) {
  json all{{"notes", report.notes}, {"damaged", report.damaged}, {"rows", json::array()}};
  for (const auto& row : report.rows) {
    json one{{"name", row.name},
             {"source", row.source},
             {"impossible", row.impossible},
             {"open_in_plain", row.open_in_plain},
             {"remains", row.remains},
             {"open_in_sealed", row.open_in_sealed}};
    for (const auto& [column, outcome] : row.outcomes)
      one["outcomes"][column] = {{"gained", outcome.gained},
                                 {"answers", outcome.answers},
                                 {"not_applicable", outcome.not_applicable}};
    all["rows"].push_back(std::move(one));
  }
  return all;
}

Report from_json(const json& all) {
  Report report{.rows = {}, .notes = all["notes"], .damaged = all["damaged"]};
  for (const auto& one : all["rows"]) {
    Row row{.name = one["name"],
            .source = one["source"],
            .impossible = one["impossible"],
            .open_in_plain = one["open_in_plain"],
            .remains = one["remains"],
            .open_in_sealed = one["open_in_sealed"],
            .outcomes = {}};
    for (const auto& [column, outcome] : one["outcomes"].items())
      row.outcomes[column] = {.gained = outcome["gained"],
                              .answers = outcome["answers"],
                              .not_applicable = outcome["not_applicable"]};
    report.rows.push_back(std::move(row));
  }
  return report;
}

void merge(Report& into, const Report& other) {
  into.damaged = into.damaged || other.damaged;
  into.notes.insert(into.notes.end(), other.notes.begin(), other.notes.end());
  for (const auto& row : other.rows) {
    auto same = std::find_if(into.rows.begin(), into.rows.end(),
                             [&](const Row& each) { return each.name == row.name; });
    if (same == into.rows.end())
      into.rows.push_back(row);
    else
      same->outcomes.insert(row.outcomes.begin(), row.outcomes.end());
  }
}

bool print(const Report& report) {
  constexpr std::size_t name_width = 62, source_width = 34, cell_width = 14, seen_width = 90;
  const std::vector<std::string> columns{"naive", "officer", "plain", "sealed"};
  std::map<std::string, int> successes, run;
  std::vector<std::string> complaints;
  std::cout << fitted("attack", name_width) << fitted("known as", source_width)
            << fitted("naive", cell_width) << fitted("provisioned", cell_width)
            << fitted("plain", cell_width) << fitted("sealed", cell_width)
            << "seen where provisioned\n";
  int keys_on_naive = 0;
  for (const auto& row : report.rows) {
    std::cout << fitted(row.name, name_width) << fitted(row.source, source_width);
    for (const auto& column : columns) {
      std::cout << fitted(cell(row, column), cell_width);
      const auto found = row.outcomes.find(column);
      if (found == row.outcomes.end()) continue;
      if (found->second.not_applicable.empty()) ++run[column];
      if (found->second.succeeded()) {
        ++successes[column];
        if (column == "naive" && joined(found->second.gained).find("in clear") != std::string::npos)
          ++keys_on_naive;
      }
      if (const auto wrong = complaint(row, column, found->second); !wrong.empty())
        complaints.push_back(row.name + ": " + wrong);
    }
    const auto shown = row.outcomes.contains("officer") ? row.outcomes.at("officer")
                       : row.outcomes.contains("plain") ? row.outcomes.at("plain")
                                                        : Outcome{};
    std::string seen = shown.not_applicable.empty() ? shown.answers : shown.not_applicable;
    if (!row.impossible.empty()) seen += " (" + row.impossible + ")";
    auto line = fitted(seen, seen_width);
    std::cout << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
  }
  std::cout << '\n'
            << report.rows.size() << " attacks. naive: " << successes["naive"] << " succeed, "
            << keys_on_naive
            << " of them with a device key in clear. provisioned: " << successes["officer"]
            << " of " << run["officer"] << " succeed. plain: " << successes["plain"] << " of "
            << run["plain"] << " succeed. sealed: " << successes["sealed"] << " of "
            << run["sealed"] << " succeed.\n";
  for (const auto& row : report.rows)
    for (const std::string column : {"officer", "plain", "sealed"})
      if (const auto found = row.outcomes.find(column);
          found != row.outcomes.end() && found->second.succeeded() &&
          complaint(row, column, found->second).empty())
        std::cout << "known to be open, " << column << ": " << row.name << ": "
                  << (!row.remains.empty() ? row.remains
                      : column == "sealed" ? row.open_in_sealed
                                           : row.open_in_plain)
                  << '\n';
  for (const auto& note : report.notes) std::cout << note << '\n';
  for (const auto& each : complaints) std::cout << "WRONG  " << each << '\n';
  return complaints.empty() && !report.damaged && !report.rows.empty();
}

}  // namespace attack
