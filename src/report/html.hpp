// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <ostream>
#include <span>
#include <string>
#include <string_view>

#include "report/statistics.hpp"

namespace smets1kms::report {
/// The texts of src/report/page as compiled in (src/embed.cmake): name of the file, its text.
[[nodiscard]] std::span<const std::pair<std::string_view, std::string_view>> page_texts();
}  // namespace smets1kms::report

/// Pieces of pages. Each page is one file: no script, nothing from elsewhere.
namespace smets1kms::report::html {

/// Returns the text escaped, for text and attributes alike.
[[nodiscard]] std::string escape(std::string_view text);
/// Returns a moment that a line's end does not cut in two.
[[nodiscard]] std::string time(Time moment);
/// Returns "2 days 3 h", "5 min", "0 s"; without a sign.
[[nodiscard]] std::string duration(std::chrono::milliseconds time);
/// Returns "12 days left", "met 3 h before", "2 days late".
[[nodiscard]] std::string margin_of(const policy::Duty& duty);
/// Returns "S1SR clause 20", or "project rule": the author stands beside every rule.
[[nodiscard]] std::string rule_label(const policy::Duty& duty);
[[nodiscard]] std::string rule_label(const Column& column, const policy::Policy& policy);
/// Tag beside every rule that is not the regulator's.
inline constexpr const char* project_tag = "<span class=\"tag project\">project rule</span>";
/// Returns a status as a word with a mark that does not need colour.
[[nodiscard]] std::string status_mark(DutyStatus status, bool breach);
/// Returns a line of its own in small letters.
[[nodiscard]] std::string small_line(const std::string& text);
/// Returns the deadline, with both readings of the limit where they differ.
[[nodiscard]] std::string required(const policy::Duty& duty);

/// The kind of page that devices stand on; other kinds are lists, by their name.
inline constexpr std::string_view home_kind = "records";

/// Places of devices and pages, as seen from one of the pages.
class Links {
 public:
  /// Makes links. `directory`: that of the device pages, as seen from here, with its slash; empty
  /// on those pages themselves.
  explicit Links(std::string directory) : directory_(std::move(directory)) {}
  [[nodiscard]] std::string page(const PageRef& place) const;
  [[nodiscard]] std::string device(const PageRef& place) const;  ///< a link
  [[nodiscard]] std::string record(const PageRef& place, std::uint64_t index) const;
  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  std::string directory_;
};
/// Returns "records-00012.html".
[[nodiscard]] std::string page_name(std::string_view kind, std::uint64_t number);

/// Returns the facts that led to a duty's status, each with its record.
[[nodiscard]] std::string facts_of(const policy::Duty& duty, const std::vector<std::string>& who,
                                   const PageRef& place, const Links& links);
/// Writes a device. `lookup` nullptr: records are shown by what the verification kept of them,
/// without who asked for them.
void write_device(std::ostream& out, const Device& device, const PageRef& place, Lookup* lookup);
/// Writes a page up to <main>. `banner`: the trail's verdict, the first line of every page.
void begin_page(std::ostream& out, const std::string& title, const std::string& banner);
void end_page(std::ostream& out);
/// Returns a table up to its rows, in its own container, so that a narrow page does not scroll
/// sideways; `stacks`: there its cells stand one below the other.
[[nodiscard]] std::string table_begin(std::string_view caption,
                                      std::span<const std::string_view> columns,
                                      bool stacks = false);
inline constexpr const char* table_end = "</tbody></table></div>\n";
/// Returns a cell of that HTML.
[[nodiscard]] std::string cell(std::string_view content, std::string_view attributes = {});
inline constexpr std::string_view number_column = " class=\"n\"",
                                  required_column = " data-label=\"Required by\"";
/// Returns a table with a row for each item, whose cells `row` gives.
template <class Items, class Row>
std::string table(std::string_view caption, std::initializer_list<std::string_view> columns,
                  const Items& items, Row row, bool stacks = false) {
  auto text = table_begin(caption, columns, stacks);
  for (const auto& each : items) text += "<tr>" + row(each) + "</tr>\n";
  return text + table_end;
}

/// Returns the table of a list that may be cut; nothing for an empty one.
template <class Item, class Row>
std::string capped_table(const Capped<Item>& some, const char* what, std::string_view caption,
                         std::initializer_list<std::string_view> columns, Row row,
                         bool stacks = true) {
  if (some.count == 0) return {};
  const auto shown = some.first.size();
  return (some.count > shown ? "<p class=\"soft\">The first " + std::to_string(shown) + " of " +
                                   std::to_string(some.count) + " " + what + ".</p>\n"
                             : "") +
         table(caption, columns, some.first, row, stacks);
}

/// Returns the tables of the handover targets and of the keys that they were handed.
[[nodiscard]] std::string handovers(const Capped<HandoverTarget>& targets);
/// Returns the picture of the days from commissioning to the confirmed replacement.
[[nodiscard]] std::string chart(const Statistics& statistics);

/// Returns a text of src/report/page, compiled in.
[[nodiscard]] std::string_view page_text(std::string_view file);
/// Fills such a text: "{{name}}" becomes the value of that name. The text between "{{#name}}"
/// and "{{/name}}" is there where that value is not empty, the text behind "{{^name}}" where it
/// is.
[[nodiscard]] std::string fill(std::string_view text,
                               const std::function<std::string(std::string_view name)>& value);

}  // namespace smets1kms::report::html
