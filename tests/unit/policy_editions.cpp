// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "policy/policy.hpp"
#include "support/expect.hpp"
#include "unit/scratch.hpp"

using namespace smets1kms;
using namespace smets1kms::policy;
using test::contains;
using test::message_of;

namespace {

constexpr const char* least = R"(version = 1
name = "e"
title = "t"
[[rule]]
id = "P1"
whose = "project"
source = "s"
text = "x"
within = "7 days"
due_soon = "2 days"
roles = ["guek"]
kinds = ["ESME"]
)";
constexpr const char* site = "version = 1\neditions = [\"s1sr-15-month\", \"sec-appendix-at\"]\n";
constexpr const char* deviation = R"([[adjust]]
edition = "sec-appendix-at"
rule = "P1"
within = "10 days"
from = 2026-03-01T00:00:00
until = 2026-04-01T00:00:00
who = "panel"
authorised_by = "security"
why = "storm"
)";

std::string changed(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), by);
}
Edition edition(std::string name, const char* from, const char* until) {
  Edition result{.name = std::move(name), .title = "t", .from = {}, .until = {}, .rules = {}};
  if (from != nullptr) result.from = parse_time(from);
  if (until != nullptr) result.until = parse_time(until);
  return result;
}
std::string refusal_of_edition(const std::string& text) {
  return message_of<BadFile>([&] { (void)parse_edition(text, "e.toml"); });
}
std::string refusal_of_site(const std::string& text) {
  return message_of<BadFile>([&] { (void)Policy::parse_site(text, "site.toml"); });
}

}  // namespace

TEST_CASE("the editions that are shipped say what the rules say, and whose each is") {
  const auto policy = Policy::shipped();
  REQUIRE(policy.editions().size() == 2);
  const auto& old = policy.editions()[0];
  const auto& now = policy.editions()[1];
  CHECK(old.name == "s1sr-15-month");
  CHECK(now.name == "sec-appendix-at");
  CHECK_FALSE(old.from);
  CHECK(old.until == parse_time("2021-12-17T00:00Z"));
  CHECK(now.from == old.until);
  CHECK_FALSE(now.until);
  struct {
    const Edition* edition;
    RuleId rule;
    RuleOrigin whose;
    const char *source, *within;
    std::size_t roles;
  } const rules[] = {{&old, RuleId::p1, RuleOrigin::regulator, "S1SR clause 20", "7 days", 3},
                     {&old, RuleId::p2, RuleOrigin::regulator, "S1SR clause 20", "15 months", 3},
                     {&old, RuleId::p3, RuleOrigin::project, "smets1-kms", "7 days", 4},
                     {&old, RuleId::p4, RuleOrigin::project, "smets1-kms", nullptr, 0},
                     {&now, RuleId::p1, RuleOrigin::regulator, "SEC Appendix AT", "7 days", 3},
                     {&now, RuleId::p3, RuleOrigin::project, "smets1-kms", "7 days", 4},
                     {&now, RuleId::p4, RuleOrigin::project, "smets1-kms", nullptr, 0}};
  for (const auto& each : rules) {
    CAPTURE(each.edition->name + " " + std::string(to_string(each.rule)));
    const auto* rule = each.edition->rule(each.rule);
    REQUIRE(rule != nullptr);
    CHECK(rule->origin == each.whose);
    CHECK(rule->source == each.source);
    CHECK(rule->terms.has_value() == (each.within != nullptr));
    if (!rule->terms) continue;
    CHECK(to_string(rule->terms->within) == each.within);
    CHECK(rule->terms->roles.size() == each.roles);
    CHECK(rule->terms->kinds.size() == 5);
  }
  CHECK(old.rules.size() + now.rules.size() ==
        std::size(rules));  // no other: SEC Appendix AT has no P2
  for (const auto& rule : shipped_edition("lab").rules) CHECK(rule.origin == RuleOrigin::project);
}

TEST_CASE("the cut-over: the moment before, and the moment itself") {
  const auto policy = Policy::shipped();
  CHECK(policy.at(parse_time("2021-12-16T23:59:59.999Z")).name == "s1sr-15-month");
  CHECK(policy.at(parse_time("2021-12-17T00:00Z")).name == "sec-appendix-at");
  CHECK(policy.at(parse_time("1970-01-01T00:00Z")).name == "s1sr-15-month");
  CHECK(policy.at(parse_time("9999-01-01T00:00Z")).name == "sec-appendix-at");
}

TEST_CASE("editions without hole or overlap, from the beginning on") {
  const char *a = "2021-01-01T00:00Z", *b = "2021-06-01T00:00Z";
  CHECK(Policy({edition("new", a, nullptr), edition("old", nullptr, a)}).at(parse_time(a)).name ==
        "new");  // in any order
  struct {
    std::vector<Edition> editions;
    const char* says;
  } const bad[] = {
      {{}, "no edition"},
      {{edition("x", a, nullptr)}, "the first edition, x, leaves a hole before 2021-01-01"},
      {{edition("x", nullptr, b)}, "the last edition, x, leaves a hole after 2021-06-01"},
      {{edition("x", nullptr, a), edition("y", b, nullptr)},
       "x and y leave a hole from 2021-01-01T00:00:00.000Z to 2021-06-01"},
      {{edition("x", nullptr, b), edition("y", a, nullptr)}, "x and y overlap"},
      {{edition("x", nullptr, nullptr), edition("y", a, nullptr)}, "x and y overlap"},
      {{edition("x", nullptr, nullptr), edition("y", nullptr, nullptr)}, "x and y overlap"}};
  for (const auto& [editions, says] : bad)
    CHECK(contains(message_of<BadInput>([&] { (void)Policy(editions); }), says));
}

TEST_CASE("an edition's errors say line and column") {
  CHECK(parse_edition(least, "e.toml").rules.size() == 1);
  struct {
    const char *what, *by, *says;
  } const bad[] = {
      {"version = 1", "version = 2", "e.toml:1:11: version is not 1"},
      {"version = 1", "", "e.toml:1:1: version = 1 is missing"},
      {"name = \"e\"", "name = \"\"", "e.toml:2:8: name is empty"},
      {"name = \"e\"", "name = ", "e.toml:2:8: "},
      {"title = \"t\"", "", "title is missing"},
      {"title = \"t\"", "title = \"t\"\nform = 2021-01-01T00:00:00",
       "e.toml:4:1: form is not a key of this file; here: from, name, rule, title, until, version"},
      {"title = \"t\"", "title = \"t\"\nfrom = 2021-01-01T00:00:00Z",
       "e.toml:4:8: from is not a local time of Europe/London"},
      {"title = \"t\"", "title = \"t\"\nfrom = \"2021-01-01\"",
       "e.toml:4:8: from is not a local time"},
      {"title = \"t\"", "title = \"t\"\nfrom = 2021-02-30T00:00:00", "e.toml:4:"},
      {"title = \"t\"", "title = \"t\"\nfrom = 2021-03-28T01:30:00",
       "e.toml:4:8: from: 2021-03-28T01:30:00 is skipped"},
      {"title = \"t\"", "title = \"t\"\nfrom = 2021-01-02T00:00:00\nuntil = 2021-01-02T00:00:00",
       "e.toml:5:9: until: is not after from"},
      {"[[rule]]", "[rule]", "e.toml:4:1: rule is not an array of tables"},
      {"id = \"P1\"", "id = \"P5\"", "e.toml:5:6: id: 'P5' is not a rule: one of P1, P2, P3, P4"},
      {"whose = \"project\"", "whose = \"ours\"",
       "e.toml:6:9: whose: 'ours' is not a rule's owner"},
      {"source = \"s\"", "", "source is missing"},
      {"text = \"x\"", "text = 7", "e.toml:8:8: text is not a string"},
      {"text = \"x\"", "text = \"x\"\nclause = \"1\"",
       "e.toml:9:1: clause is not a key of this file"},
      {"7 days", "7 dayz", "e.toml:9:10: within: '7 dayz' is not a period"},
      {"2 days", "2 months", "e.toml:10:12: due_soon: '2 months' has no fixed length"},
      {"[\"guek\"]", "[]", "e.toml:11:9: roles is empty"},
      {"[\"guek\"]", "[\"guek\", \"guek\"]", "e.toml:11:18: roles says this twice"},
      {"[\"guek\"]", "[\"guec\"]", "e.toml:11:10: roles: 'guec' is not a key role"},
      {"[\"ESME\"]", "\"ESME\"", "e.toml:12:9: kinds is not an array of strings"},
  };
  for (const auto& [what, by, says] : bad) {
    const auto message = refusal_of_edition(changed(least, what, by));
    CAPTURE(message);
    CHECK(contains(message, says));
  }
  CHECK(contains(refusal_of_edition(std::string(least) +
                                    std::string(least).substr(std::string(least).find("[[rule]]"))),
                 "P1 stands twice"));
  CHECK(contains(
      refusal_of_edition(std::string(least) + "[[rule]]\nid = \"P4\"\nwhose = \"project\"\nsource "
                                              "= \"s\"\ntext = \"x\"\nwithin = \"1 day\"\n"),
      "within is not a key of this file"));
  CHECK(contains(
      message_of<BadInput>([] { (void)shipped_edition("lap"); }),
      "'lap' is not an edition of the policy: one of lab, s1sr-15-month, sec-appendix-at"));
}

TEST_CASE("a site changes what is a project rule; what is the regulator's only with a record") {
  const auto none = Policy::load(SHIPPED_POLICY_SITE);
  CHECK(none.adjustments().empty());
  CHECK(none.editions().size() == 2);
  CHECK(Policy::parse_site("version = 1\neditions = [\"lab\"]", "s")
            .at(parse_time("2020-01-01T00:00Z"))
            .name == "lab");
  CHECK(contains(message_of<BadInput>([] { (void)Policy::load("/nowhere/site.toml"); }),
                 "/nowhere/site.toml: can't be read"));

  const auto policy = Policy::parse_site(
      std::string(site) + deviation +
          "[[adjust]]\nedition = \"sec-appendix-at\"\nrule = \"P3\"\nwithin = \"3 days\"\n" +
          "due_soon = \"1 day\"\nfrom = 2026-07-01T00:00:00\nwho = \"ops\"\nwhy = \"plan\"\n",
      "site.toml");
  REQUIRE(policy.adjustments().size() == 2);
  CHECK(policy.adjustments()[0].deviation);
  CHECK(policy.adjustments()[0].who == "panel");
  CHECK(policy.adjustments()[0].why == "storm");
  CHECK(policy.adjustments()[0].until == parse_time("2026-03-31T23:00Z"));
  CHECK_FALSE(policy.adjustments()[1].deviation);
  const auto& at = policy.editions()[1];
  const auto in_force = [&](RuleId rule, const char* start) {
    return policy.adjustment(at, rule, parse_time(start)) != nullptr;
  };
  CHECK_FALSE(in_force(RuleId::p1, "2026-02-28T23:59:59.999Z"));
  CHECK(in_force(RuleId::p1, "2026-03-01T00:00Z"));
  CHECK(in_force(RuleId::p1, "2026-03-31T22:59:59.999Z"));
  CHECK_FALSE(in_force(RuleId::p1, "2026-03-31T23:00Z"));
  CHECK_FALSE(in_force(RuleId::p3, "2026-03-01T00:00Z"));
  CHECK(in_force(RuleId::p3, "2036-03-01T00:00Z"));
  CHECK(policy.adjustment(policy.editions()[0], RuleId::p1, parse_time("2026-03-01T00:00Z")) ==
        nullptr);

  // due_soon is ours in every rule.
  CHECK_FALSE(Policy::parse_site(site + changed(changed(deviation, "within = \"10 days\"",
                                                        "due_soon = \"4 days\""),
                                                "until = 2026-04-01T00:00:00\n", ""),
                                 "s")
                  .adjustments()[0]
                  .deviation);
  struct {
    const char *what, *by, *says;
  } const bad[] = {
      {"until = 2026-04-01T00:00:00", "",
       "site.toml:6:10: within: the number is the regulator's (SEC Appendix AT): a deviation"},
      {"who = \"panel\"", "", "who is missing"},
      {"why = \"storm\"", "why = \"\"", "site.toml:11:7: why is empty"},
      {"from = 2026-03-01T00:00:00", "", "from is missing"},
      {"2026-04-01", "2026-03-01", "site.toml:8:9: until: is not after from"},
      {"within = \"10 days\"\n", "", "site.toml:3:1: nothing is changed"},
      {"10 days", "x", "site.toml:6:10: within: 'x' is not a period"},
      {"within = \"10 days\"", "due_soon = \"1 month\"",
       "site.toml:6:12: due_soon: '1 month' has no fixed length"},
      {"\"P1\"", "\"P4\"", "site.toml:5:8: rule: sec-appendix-at has no such rule with numbers"},
      {"\"P1\"", "\"P2\"", "site.toml:5:8: rule: sec-appendix-at has no such rule"},
      {"sec-appendix-at", "lab",
       "site.toml:4:11: edition: lab is not among the editions of this file"},
      {"who =", "whom =", "who is missing"},
      {"authorised_by = \"security\"\n", "", "authorised_by is missing"},
      {"\"security\"", "\"PANEL\"",
       "site.toml:10:17: authorised_by: who and authorised_by are one identity"},
      {"why = \"storm\"", "why = \"storm\"\nroles = [\"gak\"]",
       "site.toml:12:1: roles is not a key of this file"}};
  for (const auto& [what, by, says] : bad) {
    const auto message = refusal_of_site(site + changed(deviation, what, by));
    CAPTURE(message);
    CHECK(contains(message, says));
  }
  CHECK(contains(refusal_of_site(site + std::string(deviation) + deviation),
                 "site.toml:16:8: from: another [[adjust]] of this rule is in force then"));
  CHECK(contains(refusal_of_site("version = 1\neditions = [\"sec-appendix-at\"]"),
                 "site.toml:2:12: editions: the first edition, sec-appendix-at, leaves a hole"));
  CHECK(contains(refusal_of_site("version = 1\neditions = [\"lab\", \"sec-appendix-at\"]"),
                 "lab and sec-appendix-at overlap"));
  CHECK(contains(refusal_of_site("version = 1\neditions = [\"s1sr-15-month\", \"at\"]"),
                 "site.toml:2:30: editions: 'at' is not an edition"));
  CHECK(contains(refusal_of_site(std::string(site) + "edition = 1"),
                 "site.toml:3:1: edition is not a key of this file"));
}

TEST_CASE("the cut-over's time of day is a project rule, its day is not") {
  const auto with = [](const char* time) {
    return std::string(site) + "cut_over = " + time + "\n";
  };
  const auto policy = Policy::parse_site(with("2021-12-17T23:59:59"), "s");
  CHECK(policy.at(parse_time("2021-12-17T23:59:58.999Z")).name == "s1sr-15-month");
  CHECK(policy.at(parse_time("2021-12-17T23:59:59Z")).name == "sec-appendix-at");
  CHECK(contains(refusal_of_site(with("2021-12-18T00:00:00")),
                 "site.toml:3:12: cut_over: its day is the regulator's"));
  CHECK(contains(refusal_of_site(with("2021-12-16T23:59:59")), "its day is the regulator's"));
  CHECK(contains(refusal_of_site(with("2021-12-17T12:00:00Z")),
                 "is not a local time of Europe/London"));
  CHECK(
      contains(refusal_of_site("version = 1\neditions = [\"lab\"]\ncut_over = 2021-12-17T12:00:00"),
               "there are not two editions"));
}

TEST_CASE("a periodic replacement is refused where no rule asks for it and nobody says why") {
  const auto& old = shipped_edition("s1sr-15-month");
  const auto& at = shipped_edition("sec-appendix-at");
  CHECK_FALSE(refuses(Reason::periodic, old, ""));
  CHECK_FALSE(refuses(Reason::periodic, shipped_edition("lab"), ""));
  for (const char* empty : {"", " ", "\t\n "}) {
    const auto why = refuses(Reason::periodic, at, empty);
    REQUIRE(why);
    CHECK(contains(*why,
                   "sec-appendix-at (SEC Appendix AT: within 7 days of commissioning, no periodic "
                   "replacement)"));
    CHECK(contains(*why, "justification"));
  }
  CHECK_FALSE(refuses(Reason::periodic, at, "the manufacturer asks for it"));
  for (const auto reason : {Reason::post_commissioning, Reason::suspected_compromise,
                            Reason::recommissioning, Reason::operational})
    CHECK_FALSE(refuses(reason, at, ""));
}

TEST_CASE("the policy as a document, and back, whatever editions the reader was shipped with") {
  const auto read_again = [](const Policy& policy) {
    return Policy::parse_document(policy.to_document());
  };
  const auto shipped = read_again(Policy::shipped());
  REQUIRE(shipped.editions().size() == 2);
  CHECK(shipped.to_document() == Policy::shipped().to_document());
  CHECK(shipped.at(parse_time("2021-12-16T23:59:59.999Z")).rule(RuleId::p2)->text ==
        shipped_edition("s1sr-15-month").rule(RuleId::p2)->text);
  CHECK(read_again(Policy::parse_site("version = 1\neditions = [\"lab\"]\n", "s"))
            .editions()
            .front()
            .name == "lab");
  const auto site = Policy::parse_site(
      "version = 1\neditions = [\"s1sr-15-month\", \"sec-appendix-at\"]\ncut_over = "
      "2021-12-17T06:00:00\n[[adjust]]\nedition = \"sec-appendix-at\"\n"
      "rule = \"P1\"\nwithin = \"10 days\"\nfrom = 2026-03-01T00:00:00\nuntil = "
      "2026-04-01T00:00:00\nwho = \"w\"\nauthorised_by = \"a\"\nwhy = \"y\"\n",
      "s");
  const auto again = read_again(site);
  CHECK(again.editions()[1].from == parse_time("2021-12-17T06:00Z"));
  REQUIRE(again.adjustments().size() == 1);
  CHECK(again.adjustments().front().deviation);
  CHECK(again.adjustments().front().within == parse_period("10 days"));
  // An edition that no program was shipped with any more, or with other numbers.
  std::string document = Policy::shipped().to_document();
  for (auto at = document.find("7 days\""); at != std::string::npos; at = document.find("7 days\""))
    document.replace(at, 6, "9 days");
  CHECK(to_string(Policy::parse_document(document).editions()[1].rule(RuleId::p1)->terms->within) ==
        "9 days");
  CHECK(Policy::parse_document(document).differs_from_shipped() ==
        std::vector<std::string>{"s1sr-15-month", "sec-appendix-at"});
  CHECK(shipped.differs_from_shipped().empty());
  std::string renamed =
      Policy::shipped().to_document();  // a rule of the regulator's that is called the project's
  const auto first = renamed.find("whose = \"regulator\"");
  renamed.replace(first, 19, "whose = \"project\"  ");
  CHECK(Policy::parse_document(renamed).differs_from_shipped() ==
        std::vector<std::string>{"s1sr-15-month"});
  CHECK(read_again(Policy::parse_site("version = 1\neditions = [\"lab\"]\n", "s"))
            .differs_from_shipped()
            .empty());
  CHECK(again.differs_from_shipped().empty());  // what a site changes openly is shown elsewhere
}

TEST_CASE("what is no policy's document is refused") {
  const std::string good = Policy::shipped().to_document();
  const auto without_last_edition = good.substr(0, good.rfind("edition "));
  const std::pair<std::string, const char*> bad[] = {
      {"", "not the document"},
      {"smets1-kms policy, form 2\n", "newer"},
      {good.substr(0, good.size() - 1), "edition is expected"},
      {good + "x", "edition is expected"},
      {good + "edition 99999999999999999999\n", "edition is expected"},
      {"smets1-kms policy, form 1\nedition 0\n", "site is expected"},
      {without_last_edition, "is not in the document"}};
  for (const auto& [document, says] : bad) {
    CAPTURE(document.substr(0, 60));
    CHECK(contains(
        message_of<BadInput>([&, &text = document] { (void)Policy::parse_document(text); }), says));
  }
}

TEST_CASE("a deviation begins no earlier than its record, and stays as long as it is unchanged") {
  const auto made = [](const std::string& text) {
    return Policy::parse_site(std::string(site) + text, "s");
  };
  const auto from = [](const Policy& policy) { return policy.adjustments().at(0).from; };
  const auto recorded = parse_time("2026-03-20T00:00Z"), later = parse_time("2026-03-25T00:00Z");
  auto first = made(deviation);
  first.begin_deviations(recorded, nullptr);
  CHECK(from(first) == recorded);
  auto same = made(deviation);
  same.begin_deviations(later, &first);
  CHECK(from(same) == recorded);
  auto other = made(changed(deviation, "10 days", "20 days"));
  other.begin_deviations(later, &first);
  CHECK(from(other) == later);
  auto ahead = made(deviation);
  ahead.begin_deviations(parse_time("2026-01-01T00:00Z"), nullptr);
  CHECK(from(ahead) == parse_time("2026-03-01T00:00Z"));
  auto again = made(deviation);
  again.set_begins(first.begins());
  CHECK(from(again) == recorded);
}
