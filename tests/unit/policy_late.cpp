// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "smets1kms/errors.hpp"
#include "unit/policy_events.hpp"

// Facts that are recorded late, and devices that go and come back.

using namespace smets1kms;
using namespace smets1kms::policy;
using test::Story;
using enum DeviceChange;
using enum KeyRole;

namespace {

const Policy& gb() {
  static const Policy policy = Policy::shipped();
  return policy;
}
/// "overdue!? met": each P1, oldest first; `!`: a breach, `?`: a replacement is wanted.
std::string p1(const Story& story, std::string_view now, const Policy& policy = gb()) {
  std::string text;
  for (const auto& duty : story.at(now, RuleId::p1, policy))
    if (duty.status != DutyStatus::exempt_unsupported)
      text += (text.empty() ? "" : " ") + std::string(to_string(duty.status)) +
              (duty.breach ? "!" : "") + (duty.wanted ? "?" : "");
  return text;
}
constexpr const char *day_1 = "2026-03-01T10:00Z", *day_5 = "2026-03-05T10:00Z",
                     *day_6 = "2026-03-06T10:00Z", *day_9 = "2026-03-09T10:00Z",
                     *day_10 = "2026-03-10T10:00Z", *day_20 = "2026-03-20T10:00Z",
                     *day_30 = "2026-03-30T10:00Z", *later = "2026-05-01T10:00Z";
Story commissioned_on_day_1() { return Story().commissioned(day_1); }

}  // namespace

// Due on 8 March, seven days after the commissioning on the first.
TEST_CASE("an event that is recorded late counts from its record where its own time would help") {
  struct Case {
    const char* what;
    Story story;
    const char* then;
  };
  const Story base = commissioned_on_day_1();
  const Case cases[] = {
      {"commissioning, late: the deadline runs from the day itself",
       Story().commissioned(day_1, day_20), "overdue!?"},
      {"commissioning, late: keys of before its record don't serve",
       Story().commissioned(day_1, day_20).both(day_5, day_6), "overdue!?"},
      {"commissioning, late: keys of after it do, late",
       Story().commissioned(day_1, day_20).both(day_20, day_30), "met-late!"},
      {"commissioning, within the day: as if at once",
       Story().commissioned(day_1, "2026-03-02T10:00Z").both(day_1, day_6), "met"},
      {"decommissioning, dated back to before the deadline: it closes nothing",
       Story(base).is(decommissioned, day_6, day_20), "overdue!"},
      {"decommissioning, recorded late and before the deadline: it closes from then on",
       Story(base).is(decommissioned, "2026-03-03T10:00Z", day_6), "closed"},
      {"decommissioning, within the day: as if at once",
       Story(base).is(decommissioned, day_6, "2026-03-07T10:00Z"), "closed"},
      {"decommissioned and recommissioned, both dated back: it was never gone",
       Story(base).is(decommissioned, day_6, day_20).is(recommissioned, day_9, day_20),
       "overdue!? overdue!?"},
      {"the same around a late rotation: its keys don't meet the new duty",
       Story(base)
           .both(day_10, day_10)
           .is(decommissioned, day_6, day_20)
           .is(recommissioned, day_9, day_20),
       "met-late! overdue!?"},
      {"recommissioning, late: the deadline runs from the day itself",
       Story(base).both(day_5, day_5).is(decommissioned, day_6).is(recommissioned, day_9, day_30),
       "met overdue!?"},
      {"suspension and resumption, late: they change nothing, and help nobody",
       Story(base).is(suspended, day_5, day_20).is(resumed, day_6, day_20), "overdue!?"},
  };
  for (const auto& [what, story, then] : cases) {
    CAPTURE(what);
    CHECK(p1(story, later) == then);
  }
}

TEST_CASE("a device that comes back has its unmet duty again, with the old deadline") {
  const Story base = commissioned_on_day_1();
  const Story gone = Story(base).is(decommissioned, day_6);
  CHECK(p1(gone, day_20) == "closed");
  const Story back = Story(gone).is(recommissioned, "2026-03-07T10:00Z");
  CHECK(p1(back, "2026-03-06T12:00Z") == "closed");
  CHECK(p1(back, "2026-03-08T09:00Z") == "due-soon? pending?");
  CHECK(p1(back, day_9) == "overdue!? pending?");
  CHECK(p1(Story(back).both("2026-03-08T09:00Z", "2026-03-08T10:00Z"), day_20) == "met met");
  CHECK(p1(Story(back).both(day_9, day_10), day_20) == "met-late! met");
  CHECK(p1(Story(gone).is(recommissioned, day_20), day_20) == "overdue!? pending?");
  // Gone again after the deadline: the breach stays. Gone again before it: closed.
  CHECK(p1(Story(back).is(decommissioned, day_10), later) == "overdue! closed");
  CHECK(p1(Story(back).is(decommissioned, "2026-03-08T10:00Z"), later) == "closed closed");
  // What was met in the first life stays met.
  CHECK(p1(Story(base).both(day_5, day_5).is(decommissioned, day_6).is(recommissioned, day_9),
           day_10) == "met pending?");
  const auto duty = Story(gone).is(recommissioned, day_20).at(day_30, RuleId::p1, gb()).at(0);
  REQUIRE(duty.facts.size() == 3);
  CHECK(to_string(duty.facts[1]) == "decommissioned");
  CHECK(to_string(duty.facts[2]) == "recommissioned");
}

TEST_CASE("a duty whose rule ended while the device was gone does not come back") {
  const auto story = [](const char* back) {
    return Story({gak})
        .commissioned("2020-03-02T10:00Z")
        .key(gak, "2020-03-05T10:00Z", "2020-03-05T10:00Z")
        .is(decommissioned, "2021-02-01T10:00Z")
        .is(recommissioned, back);
  };
  const auto periodic = [&](const char* back) {
    return story(back).at(later, RuleId::p2, gb()).at(0).status;
  };
  CHECK(periodic("2021-07-01T10:00Z") == DutyStatus::overdue);
  CHECK(periodic("2024-05-06T08:00Z") == DutyStatus::closed);
}

TEST_CASE("going and coming back every six days does not help") {
  Story story = commissioned_on_day_1();
  Time at = parse_time(day_1);
  for (int i = 0; i < 5; ++i) {
    at += std::chrono::hours(6 * 24);
    story.is(decommissioned, format_time(at)).is(recommissioned, format_time(at));
  }
  CHECK(p1(story, format_time(at)) == "overdue!? overdue!? overdue!? overdue!? due-soon? pending?");
}

TEST_CASE("how late a fact is recorded is said with it, by a number of the site's file") {
  const Story story = commissioned_on_day_1().is(decommissioned, day_6, "2026-06-03T10:00Z");
  const auto duty = story.at("2026-07-01T00:00Z", RuleId::p1, gb()).at(0);
  REQUIRE(duty.facts.size() == 2);
  CHECK(to_string(duty.facts[1]) == "decommissioned, recorded 89 days late");
  const auto site = [](const std::string& late) {
    return Policy::parse_site(
        "version = 1\neditions = [\"s1sr-15-month\", \"sec-appendix-at\"]\nrecorded_late = \"" +
            late + "\"\n",
        "s");
  };
  CHECK(p1(story, "2026-07-01T00:00Z", site("90 days")) == "closed");
  CHECK(p1(story, "2026-07-01T00:00Z", site("89 days")) == "closed");  // exactly so late is in time
  CHECK(p1(story, "2026-07-01T00:00Z", site("88 days")) == "overdue!");
  CHECK(policy::late_text(std::chrono::hours(30)) == "recorded 30 h late");
  CHECK_THROWS_AS((void)site("1 month"), BadFile);
}

TEST_CASE("a device is not dated back into a deviation") {
  const auto policy = Policy::parse_site(R"(version = 1
editions = ["s1sr-15-month", "sec-appendix-at"]
[[adjust]]
edition = "sec-appendix-at"
rule = "P1"
within = "60 days"
from = 2026-03-01T00:00:00
until = 2026-03-10T00:00:00
who = "panel"
authorised_by = "security"
why = "storm"
)",
                                         "s");
  CHECK(p1(Story().commissioned(day_1), day_20, policy) == "pending?");
  CHECK(p1(Story().commissioned(day_1, day_20), day_20, policy) == "overdue!?");
}
