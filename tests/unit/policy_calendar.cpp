// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "policy/calendar.hpp"
#include "support/expect.hpp"

using namespace smets1kms;
using namespace smets1kms::policy;
using test::contains;
using test::message_of;

namespace {

std::string after(const char* start, const char* within) {
  return format_time(limit(parse_time(start), parse_period(within)).deadline);
}

Time london(const char* utc_like) {
  return from_london(std::chrono::local_seconds(
      std::chrono::floor<std::chrono::seconds>(parse_time(utc_like)).time_since_epoch()));
}

}  // namespace

TEST_CASE(
    "15 calendar months: same day number, clamped to the month's last, UTC time of day kept") {
  struct {
    const char *from, *to;
  } const vectors[] = {
      {"2019-08-31T10:11:12.013Z", "2020-11-30T10:11:12.013Z"},
      {"2019-11-30T00:00Z", "2021-02-28T00:00:00.000Z"},
      {"2018-11-30T23:59:59.999Z", "2020-02-29T23:59:59.999Z"},
      {"2020-02-29T12:00Z", "2021-05-29T12:00:00.000Z"},
      {"2020-05-31T12:00Z", "2021-08-31T12:00:00.000Z"},
      {"2020-09-16T12:00Z", "2021-12-16T12:00:00.000Z"},
      {"2020-09-17T12:00Z", "2021-12-17T12:00:00.000Z"},
      {"2022-11-29T12:00Z", "2024-02-29T12:00:00.000Z"},
      {"2022-11-30T12:00Z", "2024-02-29T12:00:00.000Z"},
      {"2098-11-29T12:00Z", "2100-02-28T12:00:00.000Z"},  // 2100 is no leap year
      {"2019-12-31T23:30Z", "2021-03-31T23:30:00.000Z"},
      {"2020-12-28T01:30Z", "2022-03-28T01:30:00.000Z"},
  };
  for (const auto& [from, to] : vectors) CHECK(after(from, "15 months") == to);
}

TEST_CASE(
    "7 days: the earlier of 168 hours and the end of the seventh following day in Europe/London") {
  struct {
    const char *from, *hours, *day;
  } const vectors[] = {
      {"2020-01-15T10:00Z", "2020-01-22T10:00:00.000Z", "2020-01-23T00:00:00.000Z"},  // winter
      {"2020-07-15T10:00Z", "2020-07-22T10:00:00.000Z", "2020-07-22T23:00:00.000Z"},  // summer
      {"2020-07-15T22:59:59.999Z", "2020-07-22T22:59:59.999Z",
       "2020-07-22T23:00:00.000Z"},  // last of its day there
      {"2020-07-15T23:00Z", "2020-07-22T23:00:00.000Z",
       "2020-07-23T23:00:00.000Z"},  // first of the next
      {"2020-02-25T12:00Z", "2020-03-03T12:00:00.000Z",
       "2020-03-04T00:00:00.000Z"},  // over 29 February
      {"2021-02-25T12:00Z", "2021-03-04T12:00:00.000Z", "2021-03-05T00:00:00.000Z"},  // over none
      {"2020-12-28T12:00Z", "2021-01-04T12:00:00.000Z",
       "2021-01-05T00:00:00.000Z"},  // over the year's end
      {"2021-03-27T23:30Z", "2021-04-03T23:30:00.000Z",
       "2021-04-03T23:00:00.000Z"},  // spring: the day is earlier
      {"2021-03-27T23:00Z", "2021-04-03T23:00:00.000Z", "2021-04-03T23:00:00.000Z"},  // equal
      {"2021-03-27T22:59:59.999Z", "2021-04-03T22:59:59.999Z", "2021-04-03T23:00:00.000Z"},
      {"2021-03-21T23:30Z", "2021-03-28T23:30:00.000Z",
       "2021-03-28T23:00:00.000Z"},  // the seventh day is that of the change
      {"2021-03-20T23:30Z", "2021-03-27T23:30:00.000Z",
       "2021-03-28T00:00:00.000Z"},  // it ends before the change
      {"2021-03-28T00:59:59Z", "2021-04-04T00:59:59.000Z",
       "2021-04-04T23:00:00.000Z"},  // just before the change
      {"2021-03-28T01:00Z", "2021-04-04T01:00:00.000Z",
       "2021-04-04T23:00:00.000Z"},  // at the change
      {"2021-10-30T22:30Z", "2021-11-06T22:30:00.000Z",
       "2021-11-07T00:00:00.000Z"},  // autumn: the hours are earlier
      {"2021-10-31T00:30Z", "2021-11-07T00:30:00.000Z",
       "2021-11-08T00:00:00.000Z"},  // 01:30 the first time
      {"2021-10-31T01:30Z", "2021-11-07T01:30:00.000Z",
       "2021-11-08T00:00:00.000Z"},  // 01:30 the second time
      {"2037-03-28T23:30Z", "2037-04-04T23:30:00.000Z",
       "2037-04-04T23:00:00.000Z"},  // the last spring that tzdata lists
  };
  for (const auto& [from, hours, day] : vectors) {
    CAPTURE(std::string(from));
    const auto both = limit(parse_time(from), parse_period("7 days"));
    REQUIRE(both.after_hours);
    REQUIRE(both.end_of_day);
    CHECK(format_time(*both.after_hours) == hours);
    CHECK(format_time(*both.end_of_day) == day);
    CHECK(both.deadline == std::min(*both.after_hours, *both.end_of_day));
  }
  CHECK(to_string(limit(parse_time("2021-03-27T23:30Z"), {7, Unit::days}), {7, Unit::days}) ==
        "2021-04-03T23:00:00.000Z (168 h: 2021-04-03T23:30:00.000Z; end of day 7 in Europe/London: "
        "2021-04-03T23:00:00.000Z)");
  CHECK(contains(message_of<BadInput>([] {
                   (void)limit(parse_time("2038-01-01T00:00Z"), {7, Unit::days});
                 }),
                 "after 2037"));
  CHECK(after("2038-01-01T00:00Z", "15 months") == "2039-04-01T00:00:00.000Z");  // needs no zone
}

TEST_CASE("minutes and hours are what they are, over a clock change as well") {
  CHECK(after("2021-03-28T00:50Z", "30 minutes") == "2021-03-28T01:20:00.000Z");
  CHECK(after("2021-10-31T00:50Z", "2 hours") == "2021-10-31T02:50:00.000Z");
  CHECK_FALSE(limit(parse_time("2021-10-31T00:50Z"), {2, Unit::hours}).end_of_day);
  CHECK(to_string(limit(parse_time("2021-10-31T00:50Z"), {2, Unit::hours}), {2, Unit::hours}) ==
        "2021-10-31T02:50:00.000Z");
}

TEST_CASE("periods are read, written, and refused") {
  for (const char* text : {"7 days", "1 day", "15 months", "30 minutes", "1 hour", "9999 hours"})
    CHECK(to_string(parse_period(text)) == text);
  for (const char* text : {"", "7", "days", "7days", "7  days", "0 days", "-1 days", "10000 days",
                           "7 Days", "7 days ", " 7 days", "7.5 days", "1 year", "7 dayss"})
    CHECK(contains(message_of<BadInput>([&] { (void)parse_period(text); }), "is not a period"));
  CHECK(length({2, Unit::days}) == std::chrono::hours(48));
  CHECK(contains(message_of<BadInput>([] { (void)length({1, Unit::months}); }), "no fixed length"));
}

TEST_CASE("wall-clock times of Europe/London") {
  CHECK(format_time(london("2021-12-17T00:00Z")) == "2021-12-17T00:00:00.000Z");
  CHECK(format_time(london("2021-07-01T00:00Z")) == "2021-06-30T23:00:00.000Z");
  CHECK(contains(message_of<BadInput>([] { london("2021-03-28T01:30Z"); }),
                 "skipped by a clock change"));
  CHECK(contains(message_of<BadInput>([] { london("2021-10-31T01:30Z"); }),
                 "comes twice by a clock change"));
}
