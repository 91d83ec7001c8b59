// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "smets1kms/errors.hpp"
#include "support/expect.hpp"
#include "unit/policy_events.hpp"

using namespace smets1kms;
using namespace smets1kms::policy;
using test::contains;
using test::message_of;
using test::Story;
using enum DeviceChange;
using enum KeyRole;

namespace {

const Policy& gb() {
  static const Policy policy = Policy::shipped();
  return policy;
}
/// "met s1sr-15-month 2020-01-08T10:00:00.000Z", and so on for every duty of that rule; roles that
/// are exempt beside others are left out.
std::string told(const Story& story, RuleId id, std::string_view now, const Policy& policy = gb()) {
  std::string text;
  const auto duties = story.at(now, id, policy);
  for (const auto& duty : duties)
    if (duty.status != DutyStatus::exempt_unsupported || duties.size() == 1)
      text += (text.empty() ? "" : " | ") + std::string(to_string(duty.status)) +
              (duty.breach ? "!" : "") + (duty.wanted ? "?" : "") + " " + duty.edition->name +
              (duty.limit ? " " + format_time(duty.limit->deadline) : "");
  return text;
}
std::string p1(const Story& story, std::string_view now) { return told(story, RuleId::p1, now); }
std::string p2(const Story& story, std::string_view now) { return told(story, RuleId::p2, now); }
std::string p3(const Story& story, std::string_view now) { return told(story, RuleId::p3, now); }
std::string facts_of(const policy::Duty& duty) {
  std::string text;
  for (const auto& fact : duty.facts)
    text += (text.empty() ? "" : "; ") + format_time(fact.moment.at).substr(0, 10) + " " +
            to_string(fact);
  return text;
}

}  // namespace

// `!` in these tables: a breach. `?`: a replacement is wanted.

TEST_CASE("P1 to the millisecond: exactly on the deadline is on time") {
  const Story open = Story().commissioned("2022-03-01T10:00Z");
  CHECK(p1(open, "2022-03-01T10:00Z") == "pending? sec-appendix-at 2022-03-08T10:00:00.000Z");
  CHECK(p1(open, "2022-03-06T09:59:59.999Z") ==
        "pending? sec-appendix-at 2022-03-08T10:00:00.000Z");
  CHECK(p1(open, "2022-03-06T10:00Z") == "due-soon? sec-appendix-at 2022-03-08T10:00:00.000Z");
  CHECK(p1(open, "2022-03-08T10:00Z") == "due-soon? sec-appendix-at 2022-03-08T10:00:00.000Z");
  CHECK(p1(open, "2022-03-08T10:00:00.001Z") ==
        "overdue!? sec-appendix-at 2022-03-08T10:00:00.000Z");
  CHECK(p1(open, "2052-03-08T10:00Z") == "overdue!? sec-appendix-at 2022-03-08T10:00:00.000Z");
  const auto done = [](const char* when) {
    return Story().commissioned("2022-03-01T10:00Z").both("2022-03-01T10:00Z", when);
  };
  CHECK(p1(done("2022-03-08T10:00Z"), "2022-03-09T00:00Z") ==
        "met sec-appendix-at 2022-03-08T10:00:00.000Z");
  CHECK(p1(done("2022-03-08T10:00:01Z"), "2022-03-09T00:00Z") ==
        "met-late! sec-appendix-at 2022-03-08T10:00:00.000Z");
  CHECK(p1(done("2022-03-08T10:00:01Z"), "2022-03-08T10:00Z") ==
        "due-soon? sec-appendix-at 2022-03-08T10:00:00.000Z");  // as it stood then
  // The spring clock change: the end of the day comes first.
  const auto spring = [](const char* when) {
    return Story().commissioned("2021-03-27T23:30Z").both("2021-03-28T00:00Z", when);
  };
  CHECK(p1(spring("2021-04-03T23:00Z"), "2021-05-01T00:00Z") ==
        "met s1sr-15-month 2021-04-03T23:00:00.000Z");
  CHECK(p1(spring("2021-04-03T23:00:01Z"), "2021-05-01T00:00Z") ==
        "met-late! s1sr-15-month 2021-04-03T23:00:00.000Z");
}

TEST_CASE("P1 asks for every supported role, by a key generated at the commissioning or after") {
  Story story({guek, gbek, gak});
  story.commissioned("2022-03-01T10:00Z")
      .key(guek, "2022-03-01T10:00Z", "2022-03-02T00:00Z")
      .key(gbek, "2022-03-01T09:59:59.999Z", "2022-03-02T00:00Z");
  story.key(gak, "2022-03-02T00:00Z", "2022-03-03T00:00Z");
  CHECK(p1(story, "2022-03-07T00:00Z") ==
        "due-soon? sec-appendix-at 2022-03-08T10:00:00.000Z");  // the GBEK came with it
  CHECK(waits_for(story.at("2022-03-07T00:00Z", RuleId::p1, gb())[0]) == "gbek: a rotation");
  story.key(gbek, "2022-03-07T00:00Z");
  CHECK(waits_for(story.at("2022-03-07T00:00Z", RuleId::p1, gb())[0]) ==
        "gbek: the device's answer");
  story.facts.keys.back().confirmed = Moment{parse_time("2022-03-07T10:00Z"), 17};
  const auto met = story.at("2022-03-09T00:00Z", RuleId::p1, gb())[0];
  CHECK(met.status == DutyStatus::met);
  CHECK(met.margin == std::chrono::hours(24));
  CHECK(waits_for(met).empty());
  CHECK(met.rule->source == "SEC Appendix AT");
  CHECK(facts_of(met) ==
        "2022-03-01 commissioned; 2022-03-01 guek generation 1 generated; 2022-03-02 guek "
        "generation 1 confirmed by the device; 2022-03-02 gak generation 1 "
        "generated; "
        "2022-03-03 gak generation 1 confirmed by the device; 2022-03-07 gbek generation 2 "
        "generated; 2022-03-07 gbek generation 2 confirmed by the device");
  CHECK(met.facts.back().moment.record == 17);
  // One role of three: the other two are exempt.
  const auto duties = Story({gak, kek})
                          .commissioned("2022-03-01T10:00Z")
                          .key(gak, "2022-03-02T00:00Z", "2022-03-02T00:00Z")
                          .at("2022-03-03T00:00Z", RuleId::p1, gb());
  REQUIRE(duties.size() == 2);
  CHECK(duties[0].status == DutyStatus::met);
  CHECK(duties[1].status == DutyStatus::exempt_unsupported);
  CHECK(duties[1].roles.size() == 2);
  CHECK(p1(Story({kek}).commissioned("2022-03-01T10:00Z"), "2023-01-01T00:00Z") ==
        "exempt-unsupported sec-appendix-at");
  // A key that was suspected before the device had it replaces nothing.
  CHECK(p1(Story({gak})
               .commissioned("2022-03-01T10:00Z")
               .key(gak, "2022-03-02T00:00Z", "2022-03-04T00:00Z")
               .compromised("2022-03-03T00:00Z"),
           "2022-03-20T00:00Z")
            .starts_with("overdue!? "));
}

TEST_CASE("a device that was not commissioned, and a kind that the rule is not for") {
  CHECK(p1(Story().commissioned("2022-03-01T10:00Z"), "2022-03-01T09:59:59.999Z") ==
        "not-applicable sec-appendix-at");
  CHECK(Story()
            .commissioned("2022-03-01T10:00Z")
            .at("2050-01-01T00:00Z", RuleId::p1, gb())[0]
            .why.empty());
  CHECK(Story().at("2050-01-01T00:00Z", RuleId::p1, gb())[0].why == "it was not commissioned then");
  Edition meters = shipped_edition("lab");
  for (auto& rule : meters.rules)
    if (rule.terms) rule.terms->kinds = {DeviceKind::gsme};
  const Policy policy({meters});
  const Story esme = Story()
                         .commissioned("2022-03-01T10:00Z")
                         .both("2022-03-01T10:00Z", "2022-03-01T10:01Z")
                         .compromised("2022-03-01T11:00Z");
  for (const auto rule : {RuleId::p1, RuleId::p2, RuleId::p3}) {
    CHECK(told(esme, rule, "2022-03-02T00:00Z", policy) == "not-applicable lab");
    CHECK(esme.at("2022-03-02T00:00Z", rule, policy)[0].why ==
          "the rule is not for this kind of device");
  }
}

TEST_CASE("doubt is not met: outcome-unknown, on either side of the deadline") {
  Story story;
  story.commissioned("2022-03-01T10:00Z")
      .key(guek, "2022-03-02T00:00Z", "2022-03-02T00:01Z")
      .key(gak, "2022-03-02T00:02Z")
      .in_doubt("2022-03-02T00:03Z");
  CHECK(p1(story, "2022-03-03T00:00Z") ==
        "outcome-unknown? sec-appendix-at 2022-03-08T10:00:00.000Z");
  CHECK(p1(story, "2022-03-08T10:00Z") ==
        "outcome-unknown? sec-appendix-at 2022-03-08T10:00:00.000Z");
  CHECK(p1(story, "2022-03-08T10:00:01Z") ==
        "outcome-unknown!? sec-appendix-at 2022-03-08T10:00:00.000Z");
  CHECK(waits_for(story.at("2022-03-03T00:00Z", RuleId::p1, gb())[0]) ==
        "gak: the resolution of its doubt");
  Story held = story, kept = story, other({guek, gbek, gak});
  held.facts.keys.back().confirmed = Moment{parse_time("2022-03-04T00:00Z")};
  kept.not_held("2022-03-04T00:00Z");
  CHECK(p1(held, "2022-03-05T00:00Z") == "met sec-appendix-at 2022-03-08T10:00:00.000Z");
  CHECK(p1(kept, "2022-03-05T00:00Z") == "pending? sec-appendix-at 2022-03-08T10:00:00.000Z");
  CHECK(p1(kept, "2022-03-03T00:00Z") ==
        "outcome-unknown? sec-appendix-at 2022-03-08T10:00:00.000Z");  // as it stood then
  CHECK(p1(kept, "2022-03-09T00:00Z") == "overdue!? sec-appendix-at 2022-03-08T10:00:00.000Z");
  Story suspected =
      story;  // the new key is suspected: it replaces nothing, whatever the device has
  suspected.compromised("2022-03-03T00:00Z");
  CHECK(p1(suspected, "2022-03-04T00:00Z") == "pending? sec-appendix-at 2022-03-08T10:00:00.000Z");
  // Another role has not begun: then it is certain that the duty is not met.
  other.facts.keys = story.facts.keys;
  other.commissioned("2022-03-01T10:00Z");
  CHECK(p1(other, "2022-03-09T00:00Z") == "overdue!? sec-appendix-at 2022-03-08T10:00:00.000Z");
}

TEST_CASE(
    "P2 under S1SR clause 20: each confirmed replacement begins 15 months, and the cut-over ends "
    "what was not due") {
  const auto gak_at = [](std::initializer_list<const char*> confirmed,
                         const char* commissioned = "2018-01-01T00:00Z") {
    Story story({gak});
    story.commissioned(commissioned);
    for (const auto* when : confirmed) story.key(gak, when, when);
    return story;
  };
  const auto on_16 = gak_at({"2020-09-16T12:00Z"}), on_17 = gak_at({"2020-09-17T12:00Z"});
  CHECK(p2(on_16, "2021-11-16T11:59:59.999Z") == "pending? s1sr-15-month 2021-12-16T12:00:00.000Z");
  CHECK(p2(on_16, "2021-11-16T12:00Z") == "due-soon? s1sr-15-month 2021-12-16T12:00:00.000Z");
  CHECK(p2(on_16, "2021-12-16T12:00:00.001Z") ==
        "overdue!? s1sr-15-month 2021-12-16T12:00:00.000Z");
  CHECK(p2(on_16, "2021-12-17T00:00Z") ==
        "overdue! s1sr-15-month 2021-12-16T12:00:00.000Z");  // a breach for ever, and nothing is
                                                             // wanted
  CHECK(p2(on_16, "2040-01-01T00:00Z") == "overdue! s1sr-15-month 2021-12-16T12:00:00.000Z");
  CHECK(p2(on_17, "2021-12-16T23:59:59.999Z") ==
        "due-soon? s1sr-15-month 2021-12-17T12:00:00.000Z");  // nobody had changed the rule yet
  CHECK(p2(on_17, "2021-12-17T00:00Z") == "lapsed s1sr-15-month 2021-12-17T12:00:00.000Z");
  CHECK(p2(gak_at({"2020-09-17T00:00Z"}), "2022-01-01T00:00Z") ==
        "lapsed s1sr-15-month 2021-12-17T00:00:00.000Z");  // exactly at the cut-over
  CHECK(p2(gak_at({"2020-09-16T23:59:59.999Z"}), "2022-01-01T00:00Z") ==
        "overdue! s1sr-15-month 2021-12-16T23:59:59.999Z");
  // A chain: the first on the last moment, the second a second late, the third met before the
  // cut-over, the fourth lapsed.
  CHECK(p2(gak_at({"2018-02-28T12:00Z", "2019-05-28T12:00Z", "2020-08-28T12:00:01Z",
                   "2021-10-01T00:00Z"}),
           "2022-06-01T00:00Z") ==
        "met s1sr-15-month 2019-05-28T12:00:00.000Z | met-late! s1sr-15-month "
        "2020-08-28T12:00:00.000Z | met s1sr-15-month 2021-11-28T12:00:01.000Z | "
        "lapsed s1sr-15-month 2023-01-01T00:00:00.000Z");
  CHECK(p2(gak_at({"2020-10-01T00:00Z", "2021-12-17T00:00Z"}), "2022-06-01T00:00Z") ==
        "lapsed s1sr-15-month 2022-01-01T00:00:00.000Z");  // the next came under AT
  CHECK(p2(gak_at({"2020-09-01T00:00Z", "2022-01-05T00:00Z"}), "2022-06-01T00:00Z") ==
        "met-late! s1sr-15-month 2021-12-01T00:00:00.000Z");
  CHECK(p2(gak_at({"2022-02-01T00:00Z"}, "2022-01-01T00:00Z"), "2022-06-01T00:00Z") ==
        "not-applicable sec-appendix-at");
  CHECK(p2(gak_at({}), "2020-06-01T00:00Z") == "not-applicable s1sr-15-month");
  CHECK(gak_at({}).at("2020-06-01T00:00Z", RuleId::p2, gb())[0].why ==
        "no replacement is confirmed to count from");
  CHECK(p2(Story({kek}).commissioned("2020-01-01T00:00Z"), "2020-06-01T00:00Z") ==
        "exempt-unsupported s1sr-15-month");
  // Each role for itself; one in doubt.
  const Story two = Story()
                        .commissioned("2020-01-01T00:00Z")
                        .both("2020-01-02T00:00Z", "2020-01-03T00:00Z")
                        .key(guek, "2021-03-01T00:00Z")
                        .in_doubt("2021-03-01T00:00Z");
  CHECK(p2(two, "2021-05-01T00:00Z") ==
        "outcome-unknown!? s1sr-15-month 2021-04-03T00:00:00.000Z | overdue!? s1sr-15-month "
        "2021-04-03T00:00:00.000Z");
  // As it stood then: that the device came back later, and that the doubt ended after that, was not
  // known.
  Story later({gak});
  later.commissioned("2020-01-01T00:00Z")
      .is(recommissioned, "2021-04-10T00:00Z")
      .key(gak, "2020-01-02T00:00Z", "2020-01-02T00:00Z");
  later.key(gak, "2021-03-01T00:00Z", "2021-04-11T00:00Z").in_doubt("2021-03-01T00:00Z");
  CHECK(p2(later, "2021-03-15T00:00Z") ==
        "outcome-unknown? s1sr-15-month 2021-04-02T00:00:00.000Z");
  // What came with the device begins nothing.
  CHECK(p2(Story({gak})
               .commissioned("2020-01-02T00:00Z")
               .key(gak, "2020-01-01T00:00Z", "2020-01-03T00:00Z"),
           "2021-10-01T00:00Z") == "not-applicable s1sr-15-month");
}

TEST_CASE("the edition in force when a duty began judges it") {
  CHECK(p1(Story().commissioned("2021-12-16T23:59:59.999Z"), "2022-06-01T00:00Z")
            .starts_with("overdue!? s1sr-15-month 2021-12-23T23:59:59.999Z"));
  CHECK(p1(Story().commissioned("2021-12-17T00:00Z"), "2022-06-01T00:00Z")
            .starts_with("overdue!? sec-appendix-at"));
  const auto moved = Policy::parse_site(
      "version = 1\neditions = [\"s1sr-15-month\", \"sec-appendix-at\"]\ncut_over = "
      "2021-12-17T12:00:00",
      "s");
  const Story story = Story({gak})
                          .commissioned("2020-09-01T00:00Z")
                          .key(gak, "2020-09-17T11:59:59Z", "2020-09-17T11:59:59Z");
  CHECK(told(story, RuleId::p2, "2022-01-01T00:00Z", moved) ==
        "overdue! s1sr-15-month 2021-12-17T11:59:59.000Z");
  CHECK(p2(story, "2022-01-01T00:00Z") == "lapsed s1sr-15-month 2021-12-17T11:59:59.000Z");
}

TEST_CASE("P3: what is suspected is replaced in time, as far as the device may still have it") {
  const Story live = Story({guek, gak})
                         .commissioned("2022-01-01T00:00Z")
                         .key(kek, "2021-12-01T00:00Z", "2021-12-01T00:00Z")
                         .both("2022-01-02T00:00Z", "2022-01-02T00:00Z");
  CHECK(p3(live, "2022-06-01T00:00Z").empty());
  const Story suspected = Story(live).compromised("2022-05-01T00:00Z");  // the GAK, which was last
  CHECK(p3(suspected, "2022-04-30T00:00Z").empty());
  CHECK(p3(suspected, "2022-05-01T00:00Z") == "pending? sec-appendix-at 2022-05-08T00:00:00.000Z");
  CHECK(p3(suspected, "2022-05-08T00:00:01Z") ==
        "overdue!? sec-appendix-at 2022-05-08T00:00:00.000Z");
  CHECK(suspected.at("2022-05-02T00:00Z", RuleId::p3, gb())[0].rule->origin == RuleOrigin::project);
  CHECK(p3(Story(suspected).key(gak, "2022-05-02T00:00Z", "2022-05-08T00:00Z"),
           "2022-06-01T00:00Z") == "met sec-appendix-at 2022-05-08T00:00:00.000Z");
  // Made before, confirmed after: the device has another key now, that is what counts. GAK only: a
  // GUEK does not serve.
  CHECK(p3(Story(suspected).key(gak, "2022-04-30T00:00Z", "2022-05-02T00:00Z"),
           "2022-06-01T00:00Z") == "met sec-appendix-at 2022-05-08T00:00:00.000Z");
  CHECK(p3(Story(suspected).key(guek, "2022-05-02T00:00Z", "2022-05-02T00:00Z"),
           "2022-06-01T00:00Z") == "overdue!? sec-appendix-at 2022-05-08T00:00:00.000Z");
  // An old key: the device had a newer one.
  const Story old = Story({gak})
                        .commissioned("2022-01-01T00:00Z")
                        .key(gak, "2022-01-02T00:00Z", "2022-01-02T00:00Z")
                        .compromised("2022-05-01T00:00Z")
                        .key(gak, "2022-02-02T00:00Z", "2022-02-02T00:00Z");
  CHECK(p3(old, "2022-06-01T00:00Z") == "not-applicable sec-appendix-at");
  CHECK(old.at("2022-06-01T00:00Z", RuleId::p3, gb())[0].why ==
        "the device had newer keys already");
  // The KEK, and with it everything: one duty for all roles, and a replacement suspected in its
  // turn makes another.
  Story all = Story(live).all_compromised("2022-05-01T00:00Z");
  CHECK(all.at("2022-05-02T00:00Z", RuleId::p3, gb())[0].roles.size() == 3);
  all.both("2022-05-02T00:00Z", "2022-05-02T00:00Z")
      .key(kek, "2022-05-03T00:00Z")
      .in_doubt("2022-05-03T00:00Z");
  CHECK(p3(all, "2022-05-04T00:00Z") ==
        "outcome-unknown? sec-appendix-at 2022-05-08T00:00:00.000Z");
  all.facts.keys.back().confirmed = Moment{parse_time("2022-05-05T00:00Z")};
  all.compromised("2022-05-20T00:00Z");
  CHECK(p3(all, "2022-06-01T00:00Z") ==
        "met sec-appendix-at 2022-05-08T00:00:00.000Z | overdue!? sec-appendix-at "
        "2022-05-27T00:00:00.000Z");
  CHECK(p3(Story(live).is(decommissioned, "2022-04-01T00:00Z").compromised("2022-05-01T00:00Z"),
           "2022-06-01T00:00Z") == "not-applicable sec-appendix-at");
}

TEST_CASE("P4: recommissioning, decommissioning, suspension") {
  const Story base = Story().commissioned("2022-03-01T10:00Z");
  for (const auto& [end, then] : std::initializer_list<std::pair<const char*, const char*>>{
           {"2022-03-05T10:00Z", "closed sec-appendix-at 2022-03-08T10:00:00.000Z"},
           {"2022-03-08T10:00Z", "closed sec-appendix-at 2022-03-08T10:00:00.000Z"},
           {"2022-03-08T10:00:01Z",
            "overdue! sec-appendix-at 2022-03-08T10:00:00.000Z"}})  // the breach stays, and nothing
                                                                    // is wanted
    CHECK(p1(Story(base).is(decommissioned, end), "2022-06-01T00:00Z") == then);
  const Story gone = Story(base).is(decommissioned, "2022-03-05T10:00Z");
  CHECK(p1(gone, "2022-03-05T09:59Z") == "pending? sec-appendix-at 2022-03-08T10:00:00.000Z");
  CHECK(gone.at("2022-06-01T00:00Z", RuleId::p1, gb())[0].margin == std::chrono::hours(72));
  CHECK(facts_of(gone.at("2022-06-01T00:00Z", RuleId::p1, gb())[0]) ==
        "2022-03-01 commissioned; 2022-03-05 decommissioned");
  // Back again: a new P1, which keys of the former life don't meet. An unmet duty comes back with
  // its old deadline: keys of the new life end the old breach, late.
  Story back = Story(base)
                   .both("2022-03-20T00:00Z", "2022-03-20T00:00Z")
                   .is(decommissioned, "2022-04-01T00:00Z")
                   .is(recommissioned, "2022-05-01T00:00Z");
  CHECK(p1(back, "2022-06-01T00:00Z") ==
        "met-late! sec-appendix-at 2022-03-08T10:00:00.000Z | overdue!? sec-appendix-at "
        "2022-05-08T00:00:00.000Z");
  back = Story(base)
             .is(decommissioned, "2022-04-01T00:00Z")
             .is(recommissioned, "2022-05-01T00:00Z")
             .both("2022-05-02T00:00Z", "2022-05-02T00:00Z");
  CHECK(p1(back, "2022-06-01T00:00Z") ==
        "met-late! sec-appendix-at 2022-03-08T10:00:00.000Z | met sec-appendix-at "
        "2022-05-08T00:00:00.000Z");
  back = Story({gak})
             .commissioned("2022-03-01T10:00Z")
             .is(decommissioned, "2022-04-01T00:00Z")
             .is(recommissioned, "2022-05-01T00:00Z");
  back.key(gak, "2022-05-02T00:00Z").in_doubt("2022-05-02T00:00Z");
  CHECK(p1(back, "2022-05-03T00:00Z") ==
        "outcome-unknown!? sec-appendix-at 2022-03-08T10:00:00.000Z | outcome-unknown? "
        "sec-appendix-at 2022-05-08T00:00:00.000Z");
  back = Story(base)
             .is(decommissioned, "2022-03-03T00:00Z")
             .is(recommissioned, "2022-03-03T00:00Z");  // at one moment
  CHECK(p1(back, "2022-03-04T00:00Z") ==
        "pending? sec-appendix-at 2022-03-08T10:00:00.000Z | pending? sec-appendix-at "
        "2022-03-10T00:00:00.000Z");
  CHECK(p1(Story(base).is(suspended, "2022-03-02T00:00Z").is(resumed, "2022-03-20T00:00Z"),
           "2022-06-01T00:00Z") == p1(base, "2022-06-01T00:00Z"));
  // P2: decommissioned before its deadline, before the cut-over and after it.
  const Story periodic = Story({gak})
                             .commissioned("2020-10-01T00:00Z")
                             .key(gak, "2020-10-02T00:00Z", "2020-10-02T00:00Z");
  CHECK(p2(Story(periodic).is(decommissioned, "2021-06-01T00:00Z"), "2023-01-01T00:00Z") ==
        "closed s1sr-15-month 2022-01-02T00:00:00.000Z");
  CHECK(p2(Story(periodic).is(decommissioned, "2021-12-30T00:00Z"), "2023-01-01T00:00Z") ==
        "lapsed s1sr-15-month 2022-01-02T00:00:00.000Z");
}

TEST_CASE("a site's numbers count for duties that begin under them, and the duty says so") {
  const auto policy = Policy::parse_site(R"(version = 1
editions = ["s1sr-15-month", "sec-appendix-at"]
[[adjust]]
edition = "sec-appendix-at"
rule = "P1"
within = "10 days"
due_soon = "1 day"
from = 2026-03-02T00:00:00
until = 2026-04-01T00:00:00
who = "panel"
authorised_by = "security"
why = "storm"
)",
                                         "s");
  const auto of = [&](const char* commissioned) {
    return told(Story().commissioned(commissioned), RuleId::p1, "2026-03-11T12:00Z", policy);
  };
  CHECK(of("2026-03-01T23:59:59.999Z")
            .starts_with("overdue!? sec-appendix-at 2026-03-08T23:59:59.999Z"));
  CHECK(of("2026-03-02T00:00Z").starts_with("due-soon? sec-appendix-at 2026-03-12T00:00:00.000Z"));
  const auto duty =
      Story().commissioned("2026-03-02T00:00Z").at("2026-05-01T00:00Z", RuleId::p1, policy)[0];
  CHECK(duty.status == DutyStatus::overdue);
  REQUIRE(duty.adjustment != nullptr);
  CHECK(duty.adjustment->deviation);
  CHECK(Story()
            .commissioned("2026-04-02T00:00Z")
            .at("2026-05-01T00:00Z", RuleId::p1, policy)[0]
            .adjustment == nullptr);
}

TEST_CASE("the laboratory's minutes") {
  const Policy lab({shipped_edition("lab")});
  const Story story = Story({gak})
                          .commissioned("2026-03-02T10:00Z")
                          .key(gak, "2026-03-02T10:20Z", "2026-03-02T10:30Z");
  CHECK(told(story, RuleId::p1, "2026-03-02T10:31Z", lab) == "met lab 2026-03-02T10:30:00.000Z");
  CHECK(told(story, RuleId::p2, "2026-03-02T11:31Z", lab) ==
        "overdue!? lab 2026-03-02T11:30:00.000Z");
}

TEST_CASE("facts that can't be are refused") {
  const auto refused = [](const Story& story) {
    return message_of<BadInput>(
        [&] { (void)duties(story.facts, gb(), parse_time("2022-06-01T00:00Z")); });
  };
  CHECK(contains(
      refused(Story().commissioned("2022-03-02T00:00Z").is(decommissioned, "2022-03-01T00:00Z")),
      "not in the order of their time"));
  CHECK(contains(refused(Story()
                             .commissioned("2022-03-02T00:00Z")
                             .key(gak, "2022-03-04T00:00Z", "2022-03-03T00:00Z")),
                 "gak generation 1: the device's answer"));
}

TEST_CASE("look-ahead: what becomes due if nothing is done") {
  const Story story = Story({gak})
                          .commissioned("2020-10-01T00:00Z")
                          .key(gak, "2020-10-02T00:00Z", "2020-10-02T00:00Z")
                          .compromised("2021-12-01T00:00Z");
  std::string text;
  for (const auto& coming : look_ahead(story.facts, gb(), parse_time("2021-12-02T00:00Z")))
    text += format_time(coming.at) + " " + std::string(to_string(coming.duty.id)) + " " +
            std::string(to_string(coming.becomes)) + "\n";
  CHECK(text ==
        "2021-12-03T00:00:00.000Z P2 due-soon\n"
        "2021-12-06T00:00:00.000Z P3 due-soon\n"
        "2021-12-08T00:00:00.000Z P3 overdue\n"
        "2021-12-17T00:00:00.000Z P2 lapsed\n");
  CHECK(look_ahead(story.facts, gb(), parse_time("2021-12-18T00:00Z")).empty());
}
