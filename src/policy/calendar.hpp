// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "smets1kms/types.hpp"

/// Periods, limits, and the days of Europe/London, which the rules count with.
namespace smets1kms::policy {

enum class Unit : std::uint8_t { minutes, hours, days, months };

/// A period as the rules name it: "7 days", "15 months". `count` is 1 to 9999.
struct Period {
  int count;
  Unit unit;
  friend bool operator==(const Period&, const Period&) = default;
};
/// Reads a number, a space, a unit (singular or plural). Throws BadInput.
[[nodiscard]] Period parse_period(std::string_view text);
[[nodiscard]] std::string to_string(Period period);
/// Returns the length, with days of 24 h. Throws BadInput for months, which have no length of their
/// own.
[[nodiscard]] std::chrono::milliseconds length(Period period);

/// Last moment of a period, itself included: exactly on the deadline is on time.
struct Limit {
  Time deadline;
  std::optional<Time> after_hours;  ///< for a limit in days: that many times 24 h
  /// For a limit in days: the end of the last day in Europe/London.
  std::optional<Time> end_of_day;
};

/// Returns the limit of a period. "Within 7 days following" (S1SR clause 20, SEC Appendix AT) can
/// be read in hours or in days of Europe/London: the earlier of the two is the limit. They differ
/// in favour of the day at the spring clock change only. Months are calendar months: same day
/// number, or the month's last where it has none; UTC time of day kept. Throws BadInput for a start
/// after 2037, where the time-zone data of the system ends.
[[nodiscard]] Limit limit(Time start, Period within);
/// Returns "2021-04-03T23:00:00.000Z (168 h: 2021-04-03T23:30:00.000Z; end of day 7 in
/// Europe/London: 2021-04-03T23:00:00.000Z)".
[[nodiscard]] std::string to_string(const Limit& limit, Period within);

/// Returns the UTC time of a wall-clock time of Europe/London. Throws BadInput for one that the
/// spring change skips or the autumn one repeats.
[[nodiscard]] Time from_london(std::chrono::local_seconds local);

}  // namespace smets1kms::policy
