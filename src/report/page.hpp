// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "report/html.hpp"
#include "report/report.hpp"

namespace smets1kms::report::html {

/// Writer of the summary page, section by section, in the order of its declaration.
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
  void remarks(const Capped<RecordNote>& some, const char* caption);
  void capped(std::uint64_t shown, std::uint64_t count, const char* what);
  /// Returns a number with a link to the devices behind it.
  [[nodiscard]] std::string number(const std::string& slug) const;
  [[nodiscard]] std::string devices(const std::string& slug) const;
  [[nodiscard]] std::string record(std::uint64_t index) const {
    return "record " + std::to_string(index);
  }

  std::ostream& out_;
  const Summary& summary_;
  const Statistics& statistics_;
  Links links_;
};

}  // namespace smets1kms::report::html
