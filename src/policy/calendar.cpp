// SPDX-License-Identifier: Apache-2.0
#include "policy/calendar.hpp"

#include <date/tz.h>

#include <algorithm>
#include <charconv>

#include "base/enum_names.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::policy {
namespace {

using std::chrono::days, std::chrono::hours, std::chrono::milliseconds, std::chrono::minutes;

constexpr EnumNames<Unit, 4> units{{"minutes", "hours", "days", "months"}};

/// The last year for which Debian's tzdata lists each clock change; `date` doesn't read the rule
/// that follows.
constexpr int last_year = 2037;

const date::time_zone& london() {
  static const date::time_zone& zone = []() -> const date::time_zone& {
    try {
      const auto* found = date::locate_zone("Europe/London");
      const auto summer = date::sys_days(date::year(last_year) / 7 / 1);
      if (found->get_info(date::sys_seconds(summer)).offset == hours(1)) return *found;
    } catch (const std::runtime_error&) {
    }
    throw Error(
        "Europe/London is missing from the system's time-zone data, or its clock changes up to "
        "2037 are: install Debian's package tzdata");
  }();
  return zone;
}

Time end_of_day(Time start, int following) {
  const date::sys_time<milliseconds> moment(start.time_since_epoch());
  const auto day = date::floor<date::days>(london().to_local(moment));
  if (date::year_month_day(day).year() > date::year(last_year))
    throw BadInput(format_time(start) + " is after " + std::to_string(last_year) +
                   ", where the system's data on the days of Europe/London ends");
  // Clocks change in the small hours, not at midnight: `earliest` never has to choose.
  const auto end = london().to_sys(day + date::days(following + 1), date::choose::earliest);
  return Time(milliseconds(end.time_since_epoch()));
}

Time add_months(Time start, int count) {
  const auto day = std::chrono::floor<days>(start);
  auto moved = std::chrono::year_month_day(day) + std::chrono::months(count);
  if (!moved.ok()) moved = moved.year() / moved.month() / std::chrono::last;
  return std::chrono::sys_days(moved) + (start - day);
}

}  // namespace

Period parse_period(std::string_view text) {
  Period period{};
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, period.count);
  if (error == std::errc{} && period.count >= 1 && period.count <= 9999 && rest != end &&
      *rest == ' ') {
    const std::string_view unit(rest + 1, end);
    for (std::size_t i = 0; i < units.words.size(); ++i)
      if (const auto word = units.words[i]; unit == word || unit == word.substr(0, word.size() - 1))
        return {period.count, static_cast<Unit>(i)};
  }
  throw BadInput("'" + std::string(text.substr(0, 40)) +
                 "' is not a period: 1 to 9999 minutes, hours, days or months, like \"7 days\"");
}

std::string to_string(Period period) {
  const auto word = units.name(period.unit);
  return std::to_string(period.count) + " " +
         std::string(period.count == 1 ? word.substr(0, word.size() - 1) : word);
}

milliseconds length(Period period) {
  switch (period.unit) {
    case Unit::minutes: return minutes(period.count);
    case Unit::hours: return hours(period.count);
    case Unit::days: return days(period.count);
    case Unit::months: break;
  }
  throw BadInput("'" + to_string(period) + "' has no fixed length: give minutes, hours or days");
}

Limit limit(Time start, Period within) {
  if (within.unit == Unit::months) return {add_months(start, within.count), {}, {}};
  const Time after = start + length(within);
  if (within.unit != Unit::days) return {after, {}, {}};
  const Time end = end_of_day(start, within.count);
  return {std::min(after, end), after, end};
}

std::string to_string(const Limit& limit, Period within) {
  std::string text = format_time(limit.deadline);
  if (limit.after_hours && limit.end_of_day)
    text += " (" + std::to_string(24 * within.count) + " h: " + format_time(*limit.after_hours) +
            "; end of day " + std::to_string(within.count) +
            " in Europe/London: " + format_time(*limit.end_of_day) + ")";
  return text;
}

Time from_london(std::chrono::local_seconds local) {
  const date::local_seconds wall(local.time_since_epoch());
  const auto info = london().get_info(wall);
  if (info.result != date::local_info::unique)
    throw BadInput(date::format("%FT%T", wall) +
                   (info.result == date::local_info::nonexistent ? " is skipped" : " comes twice") +
                   " by a clock change in Europe/London: give another time");
  return Time(milliseconds((wall.time_since_epoch() - info.first.offset)));
}

}  // namespace smets1kms::policy
