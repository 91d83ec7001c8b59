// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <ostream>
#include <string>
#include <string_view>

#include "report/statistics.hpp"

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
/// Returns a status as a word with a mark that does not need colour.
[[nodiscard]] std::string status_mark(DutyStatus status, bool breach);
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

/// Writes the facts that led to a duty's status, each with its record.
void write_facts(std::ostream& out, const policy::Duty& duty, const std::vector<std::string>& who,
                 const PageRef& place, const Links& links);
/// Writes a device. `lookup` nullptr: records are shown by what the verification kept of them,
/// without who asked for them.
void write_device(std::ostream& out, const Device& device, const PageRef& place, Lookup* lookup);
/// Writes a page up to <main>. `banner`: the trail's verdict, the first line of every page.
void begin_page(std::ostream& out, const std::string& title, const std::string& banner);
void end_page(std::ostream& out);
/// Begins a table in its own container, so that a narrow page does not scroll sideways; `stacks`:
/// there its cells stand one below the other.
void begin_table(std::ostream& out, std::string_view caption,
                 std::initializer_list<std::string_view> columns, bool stacks = false);
void end_table(std::ostream& out);

}  // namespace smets1kms::report::html
