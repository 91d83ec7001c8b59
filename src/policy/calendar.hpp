// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "smets1kms/types.hpp"

/// What the rules count with: periods, limits, and the days of Europe/London.
namespace smets1kms::policy {

enum class Unit : std::uint8_t { minutes, hours, days, months };

/// "7 days", "15 months". `count` is 1 to 9999.
struct Period {
  int count;
  Unit unit;
  friend bool operator==(const Period&, const Period&) = default;
};
/// A number, a space, a unit (singular or plural). Throws BadInput.
[[nodiscard]] Period parse_period(std::string_view text);
[[nodiscard]] std::string to_string(Period period);
/// Days are 24 h here. Throws BadInput for months, which have no length of their own.
[[nodiscard]] std::chrono::milliseconds length(Period period);

/// Until when, the moment itself included: exactly on the deadline is on time.
struct Limit {
  Time deadline;
  std::optional<Time> after_hours;  ///< of a limit in days: that many times 24 h
  std::optional<Time> end_of_day;  ///< of a limit in days: the end of the last day in Europe/London
};

/// "Within 7 days following" (S1SR clause 20, SEC Appendix AT) can be read in hours or in days of
/// Europe/London: the earlier of the two is the limit. They differ in favour of the day at the
/// spring clock change only. Months are calendar months: same day number, or the month's last where
/// it has none; UTC time of day kept. Throws BadInput for a start after 2037, where the time-zone
/// data of the system ends.
[[nodiscard]] Limit limit(Time start, Period within);
/// "2021-04-03T23:00:00.000Z (168 h: 2021-04-03T23:30:00.000Z; end of day 7 in Europe/London:
/// 2021-04-03T23:00:00.000Z)"
[[nodiscard]] std::string to_string(const Limit& limit, Period within);

/// A wall-clock time of Europe/London. Throws BadInput for one that the spring change skips or the
/// autumn one repeats.
[[nodiscard]] Time from_london(std::chrono::local_seconds local);

}  // namespace smets1kms::policy
