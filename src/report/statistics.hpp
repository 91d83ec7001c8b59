// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <map>
#include <set>

#include "audit/log.hpp"
#include "report/collector.hpp"
#include "report/device_facts.hpp"

namespace smets1kms::report {

/// Page that a device stands on; 0: the report itself.
struct PageRef {
  std::uint64_t device = 0, page = 0;
};

/// The devices behind a number.
struct DeviceList {
  std::string title;
  std::uint64_t count = 0;
  std::uint64_t last = 0;  ///< device
  std::vector<PageRef> first{};
};

/// A breach, or a duty that was met late, told from its records.
struct BreachCase {
  PageRef place;
  policy::Duty duty;
  /// For each fact of the duty: who asked, who authorised, under which reference.
  std::vector<std::string> who{};
};

/// A key of a device, for a table.
struct KeyRow {
  PageRef place;
  std::uint64_t index;
  Time time;
  std::string key, what, who;
};

/// A rule as a column: a project rule never stands in a regulator's.
struct Column {
  RuleId id;
  RuleOrigin origin;
  friend auto operator<=>(const Column&, const Column&) = default;
  [[nodiscard]] std::string slug() const;  ///< "p1", "p3-project"
};

/// Reader of a record once more, for what a page shows of it. Throws audit::VerificationFailed
/// where it is no longer the one that was read.
class Lookup {
 public:
  explicit Lookup(audit::Log& log) : log_(log) {}
  [[nodiscard]] audit::Record record(const Event& event);
  /// Returns "requested by A, authorised by B, reference C".
  [[nodiscard]] std::string who(const Event& event);

 private:
  audit::Log& log_;
};

/// A range of days from commissioning to the confirmed replacement of all keys.
struct Bucket {
  std::string_view slug, title;
  int until;  ///< days, not included
};
inline constexpr std::array<Bucket, 12> buckets{{{"took-0", "less than 1 day", 1},
                                                 {"took-1", "1 to 2 days", 2},
                                                 {"took-2", "2 to 3 days", 3},
                                                 {"took-3", "3 to 4 days", 4},
                                                 {"took-4", "4 to 5 days", 5},
                                                 {"took-5", "5 to 6 days", 6},
                                                 {"took-6", "6 to 7 days", 7},
                                                 {"took-7", "7 to 8 days", 8},
                                                 {"took-8", "8 to 14 days", 14},
                                                 {"took-14", "14 to 30 days", 30},
                                                 {"took-30", "more than 30 days", 1 << 30},
                                                 {"took-open", "not yet", 0}}};
inline constexpr std::size_t limit_bucket = 7;  ///< the first one behind the limit of 7 days

/// Statistics of a fleet: one structure for everything that the pages, the JSON and the CSV say.
class Statistics {
 public:
  /// Makes statistics that keep `shown` devices of each list.
  explicit Statistics(const policy::Policy* policy = nullptr, Time now = {}, bool has_list = false,
                      std::size_t shown = 0);
  /// Adds a device; they come in order.
  void add_device(const Device& device, PageRef place, Lookup& lookup);

  std::map<std::string, DeviceList, std::less<>> lists;
  std::uint64_t duties = 0;
  std::vector<Column> columns;
  std::array<std::uint64_t, buckets.size()> late{};  ///< devices among a bucket's that were late
  Capped<BreachCase> breach_cases, project_stories;
  /// In-doubt, unproven, open-intent, conflict, withheld, without-kek, compromised, destroyed.
  std::map<std::string, Capped<KeyRow>> keys;
  /// Handover targets, with the keys of the devices that were added.
  Capped<HandoverTarget> targets;
  /// Devices that can't be judged, or are otherwise in the list, and why.
  Capped<std::pair<PageRef, std::string>> unknown, differing;
  /// Deviations that duties were judged by.
  std::set<const policy::Adjustment*> deviations;
  std::vector<DoubtfulTime> doubtful;
  /// Hears of every entry of every list.
  std::function<void(const std::string& slug, const PageRef&)> listed;

  [[nodiscard]] std::uint64_t number(std::string_view slug) const;

 private:
  void put(const std::string& slug, const PageRef& place);
  void take_duty(const Device& device, const policy::Duty& duty, const PageRef& place,
                 Lookup& lookup);
  void take_distribution(const policy::Duty& duty, const PageRef& place);
  void take_deviation(const policy::Duty& duty, const PageRef& place);
  void add_breach_case(const Device& device, const policy::Duty& duty, const PageRef& place,
                       Lookup& lookup);
  void take_keys(const Device& device, const PageRef& place, Lookup& lookup);
  void take_handovers(const Device& device, const PageRef& place);
  void take_life(const Device& device, const PageRef& place);
  void reconcile(const Device& device, const PageRef& place);

  const policy::Policy* policy_;
  Time now_;
  bool has_list_;
  std::size_t shown_;
};

/// Answer to the question whether the fleet is compliant, by the regulator's duties alone.
struct Answer {
  bool good;
  std::string headline;
  std::vector<std::string> remarks;
};
[[nodiscard]] Answer answer(const Statistics& statistics, audit::Verdict verdict,
                            const policy::Policy* policy, bool has_list);

}  // namespace smets1kms::report
