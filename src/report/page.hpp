// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "report/html.hpp"
#include "report/report.hpp"

namespace smets1kms::report::html {

/// Writes the summary page, section by section, in the order of its declaration.
class Page {
 public:
  Page(std::ostream& out, const Summary& summary, const std::string& directory)
      : out_(out), summary_(summary), statistics_(summary.statistics), links_(directory) {}
  void first_screen();
  void distribution();
  void breaches();
  void doubts();
  void exemptions();
  void deviations();
  void compromises();
  void destructions();
  void reconciliation();
  void token();
  void editions();
  void verification();
  void limits();
  void lists();

 private:
  struct Wanted {
    const char *slug, *what;
  };
  void begin(const char* id, const char* title);
  void statuses();
  void wanted(const char* caption, std::initializer_list<Wanted> all);
  void chart();
  void breach_cases(const Capped<BreachCase>& some, const char* caption, const char* what);
  void keys(const std::string& slug, const char* caption);
  void remarks(const Capped<Remark>& some, const char* caption);
  void reasons(const Capped<std::pair<PageRef, std::string>>& some, const char* what,
               const char* caption, const char* column);
  /// Writes the table of a list that may be cut; nothing for an empty one.
  template <class Item, class Row>
  void write_capped(const Capped<Item>& some, const char* what, const char* caption,
                    std::initializer_list<std::string_view> columns, Row row, bool stacks = true) {
    if (some.count == 0) return;
    if (some.count > some.first.size())
      out_ << "<p class=\"soft\">The first " << some.first.size() << " of " << some.count << " "
           << what << ".</p>\n";
    write_table(out_, caption, columns, some.first, row, stacks);
  }
  /// A number with a link to the devices behind it.
  [[nodiscard]] std::string number(const std::string& slug) const;
  [[nodiscard]] std::string devices(const std::string& slug) const;

  std::ostream& out_;
  const Summary& summary_;
  const Statistics& statistics_;
  Links links_;
};

}  // namespace smets1kms::report::html
