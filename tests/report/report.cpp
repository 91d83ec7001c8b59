// SPDX-License-Identifier: Apache-2.0
#include "report/report.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "audit/export.hpp"
#include "report/rich_fleet.hpp"
#include "smets1kms/errors.hpp"

using namespace smets1kms;
using namespace smets1kms::report;
using test::Chronicle;
using test::device;

namespace {

struct Directory {
  std::filesystem::path path;
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "smets1-report-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Directory() { std::filesystem::remove_all(path); }
  [[nodiscard]] std::filesystem::path operator/(const char* name) const { return path / name; }
};

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

/// The report of a log as its assessor makes it.
Summary report_of(test::SampleLog log, const std::string& at = {}, const std::string& list = {}) {
  const Directory directory;
  const test::TestKey key;
  log.export_to(directory / "export", key, 50);
  Options options;
  options.checks.keys = {key.audit_key()};
  if (!at.empty()) options.at = parse_time(at);
  if (!list.empty()) {
    write(directory / "list.csv", list);
    options.fleet_list = directory / "list.csv";
  }
  audit::ExportReader reader(directory / "export");
  return make_report(reader, options);
}
Summary report_of(const Chronicle& story, const std::string& at, const std::string& list = {}) {
  return report_of(story.log(), at, list);
}

/// Every list that has device 1: "p1-met took-2".
std::string where(const Summary& summary) {
  std::string text;
  for (const auto& [slug, list] : summary.statistics.lists)
    if (std::ranges::find(list.first, device(1), &PageRef::device) != list.first.end() &&
        slug != "devices" && slug != "in-service" && !slug.starts_with("exempt") &&
        slug != "p1-exempt-unsupported" && slug != "p2-not-applicable")
      text += (text.empty() ? "" : " ") + slug;
  return text;
}

std::string list_problem(const std::string& text) {
  const Directory directory;
  write(directory / "list.csv", text);
  Events events;
  try {
    (void)read_fleet_list(directory / "list.csv", events);
  } catch (const BadInput& error) {
    std::string what = error.what();
    for (auto at = what.find(directory.path.string()); at != std::string::npos;
         at = what.find(directory.path.string()))
      what.erase(at, directory.path.string().size() + 1);
    return what;
  }
  return "taken";
}

constexpr const char* header = "device_id,kind,commissioned_at\n";

}  // namespace

TEST_CASE("each status of the policy is reached by a story of events") {
  const auto begun = [] { return Chronicle().commission(1, "2026-11-01T10:00Z"); };
  const auto done = [&](const char* released, const char* confirmed) {
    return begun().replace(1, 1, released, confirmed);
  };
  const auto doubt = [&] {
    return begun().at("2026-11-02T10:00Z", [](auto& log) {
      log.rotate(device(1), "guek", 1, "in-doubt"), log.rotate(device(1), "gak", 1, "in-doubt");
    });
  };
  CHECK(where(report_of(begun(), "2026-11-02T10:00Z")) == "p1-pending took-open");
  CHECK(where(report_of(begun(), "2026-11-07T10:00Z")) == "due-soon p1-due-soon took-open");
  CHECK(where(report_of(begun(), "2026-11-08T10:00Z")) ==
        "due-soon p1-due-soon took-open");  // exactly on the deadline
  CHECK(where(report_of(begun(), "2026-11-08T10:00:00.001Z")) ==
        "breaches overdue-now p1-overdue took-open");
  CHECK(where(report_of(done("2026-11-03T10:00Z", "2026-11-03T11:00Z"), "2026-12-01T00:00Z")) ==
        "p1-met took-2");
  CHECK(where(report_of(done("2026-11-03T10:00Z", "2026-11-08T10:00Z"), "2026-12-01T00:00Z")) ==
        "p1-met took-7");
  CHECK(where(report_of(done("2026-11-03T10:00Z", "2026-11-08T10:01Z"), "2026-12-01T00:00Z")) ==
        "breaches breaches-late p1-met-late took-7");
  CHECK(where(report_of(doubt(), "2026-11-03T10:00Z")) ==
        "in-doubt outcome-unknown p1-outcome-unknown took-open");
  CHECK(where(report_of(doubt(), "2026-11-09T10:00Z")) ==
        "breaches in-doubt outcome-unknown overdue-now p1-outcome-unknown took-open");
  CHECK(where(report_of(begun().change(1, "decommission", "2026-11-05T10:00Z"),
                        "2026-12-01T00:00Z")) == "decommissioned p1-closed");
  CHECK(where(report_of(begun().change(1, "decommission", "2026-11-09T10:00Z"),
                        "2026-12-01T00:00Z")) ==
        "breaches breaches-past decommissioned p1-overdue took-open");
  CHECK(where(report_of(begun().change(1, "suspend", "2026-11-02T10:00Z"), "2026-11-03T00:00Z")) ==
        "p1-pending suspended took-open");
  // A key of before the commissioning does not count.
  Chronicle early;
  early.at("2026-10-01T10:00Z", [](auto& log) { log.import_kek(device(1)); })
      .replace(1, 1, "2026-10-02T10:00Z", "2026-11-02T10:00Z");
  early.at("2026-11-03T10:00Z", [](auto& log) {
    log.register_device(device(1), "ESME", "guek+gak+kek", "2026-11-01T10:00:00.000Z");
  });
  CHECK(where(report_of(early, "2026-12-01T00:00Z")) ==
        "breaches overdue-now p1-overdue recorded-late took-open");
  // Nothing supported: nothing asked, and said so.
  const auto exempt =
      report_of(Chronicle().commission(1, "2026-11-01T10:00Z", "none"), "2026-12-01T00:00Z");
  CHECK(exempt.statistics.number("p1-exempt-unsupported") == 1);
  CHECK(exempt.statistics.number("exempt-gak") == 1);
  CHECK(exempt.answer.good);
}

TEST_CASE("no dating back and no coming and going makes an overdue fleet compliant") {
  const auto spelt = [](const char* when) { return format_time(parse_time(when)); };
  const auto begun = [] { return Chronicle().commission(1, "2026-11-01T10:00Z"); };
  const auto headline = [](const Chronicle& story) {
    return report_of(story, "2026-12-01T00:00Z").answer.headline;
  };
  const std::string overdue = "Not compliant: 1 device is overdue by the regulator's rules";
  // Recorded on the 20th: gone on the 6th, back on the 9th.
  auto dated_back = begun();
  dated_back.at("2026-11-20T10:00Z", [&](auto& log) {
    log.change_device(device(1), "decommission", spelt("2026-11-06T10:00Z"));
    log.change_device(device(1), "recommission", spelt("2026-11-09T10:00Z"));
  });
  CHECK(headline(dated_back) == overdue);
  // The same, and the keys of a late rotation between.
  auto around = begun().replace(1, 1, "2026-11-10T10:00Z", "2026-11-10T11:00Z");
  around.at("2026-11-20T10:00Z", [&](auto& log) {
    log.change_device(device(1), "decommission", spelt("2026-11-06T10:00Z"));
    log.change_device(device(1), "recommission", spelt("2026-11-10T09:00Z"));
  });
  CHECK(headline(around) == overdue);
  // Gone for good by a date before the deadline: a past breach, and listed.
  auto gone = begun();
  gone.at("2026-11-29T10:00Z", [&](auto& log) {
    log.change_device(device(1), "decommission", spelt("2026-11-06T10:00Z"));
  });
  const auto past = report_of(gone, "2026-12-01T00:00Z");
  CHECK(past.statistics.number("breaches-past") == 1);
  CHECK(past.statistics.number("recorded-late") == 1);
  CHECK(to_string(past.statistics.breach_cases.first.at(0).duty.facts.back()) ==
        "decommissioned, recorded 23 days late");
  // Commissioned at a date ahead: the device is not judged, and that is said.
  Chronicle ahead;
  ahead.at("2026-11-01T10:00Z", [&](auto& log) {
    log.register_device(device(1), "ESME", "guek+gak+kek", spelt("2027-11-01T10:00Z"));
  });
  CHECK(headline(ahead) == "Not shown: nothing known is overdue, but 1 device can't be judged");
  // Every six days.
  auto every = begun();
  for (const char* day : {"07", "13", "19", "25"}) {
    const auto when = "2026-11-" + std::string(day) + "T10:00Z";
    every.change(1, "decommission", when).change(1, "recommission", when);
  }
  CHECK(headline(every) == overdue);
}

TEST_CASE("a deviation counts from its record, and the headline counts it") {
  const auto with_deviation = [](const char* recorded) {
    auto story = Chronicle().commission(1, "2026-11-02T10:00Z");
    story.at(recorded, [](auto& log) {
      log.add_document("policy", policy::Policy::parse_site(R"(version = 1
editions = ["s1sr-15-month", "sec-appendix-at"]
[[adjust]]
edition = "sec-appendix-at"
rule = "P1"
within = "60 days"
from = 2026-11-01T00:00:00
until = 2026-12-01T00:00:00
who = "panel"
authorised_by = "security"
why = "storm"
)",
                                                            "site")
                                     .to_document());
    });
    return report_of(story, "2026-11-20T00:00Z").answer.headline;
  };
  CHECK(with_deviation("2026-10-20T10:00Z") ==
        "Compliant with 1 deviation: no regulator's duty is overdue");
  CHECK(with_deviation("2026-11-15T10:00Z") ==
        "Not compliant: 1 device is overdue by the regulator's rules");
}

TEST_CASE("a clock that is set back for a rotation is in the headline") {
  auto story = Chronicle().commission(1, "2026-11-01T10:00Z");
  auto log = story.log();
  log.now = "2026-11-10T10:00:00.000Z";  // the duty is overdue
  const auto note = [&](const char* op, const std::string& detail) {
    auto record = test::SampleLog::record(op, "note");
    record.set(audit::Field::detail, detail);
    log.add(record, std::nullopt);
  };
  note("audit.anchor", "the token does not keep the head");
  log.now = "2026-11-05T10:00:00.000Z";
  note("clock.step", "from 2026-11-10T10:00:00.000Z");
  for (const char* role : {"guek", "gak"}) log.rotate(device(1), role, 1);
  const auto summary = report_of(log, "2026-12-01T00:00Z");
  CHECK(summary.statistics.number("clock-doubtful") == 1);
  CHECK(summary.answer.headline ==
        "Compliant: no regulator's duty is overdue; the clock was set, or nothing was recorded for "
        "longer than promised, while duties of 1 device ran");
}

TEST_CASE("a device that was imported is judged from its commissioning on") {
  Chronicle story;
  story.at("2026-10-01T10:00Z", [](auto& log) {
    log.register_device(device(1), "ESME", "guek+gak+kek", {});
    log.import_kek(device(1));
  });
  const auto waits = report_of(story, "2026-12-01T00:00Z");
  CHECK(where(waits) == "not-commissioned p1-not-applicable");
  CHECK(waits.answer.good);
  // The operator's list says that it is in service: it was never judged.
  const auto hidden =
      report_of(story, "2026-12-01T00:00Z",
                header + audit::device_name(device(1)) + ",ESME,2026-11-01T10:00:00Z\n");
  CHECK(hidden.answer.headline ==
        "Not shown: nothing known is overdue, but 1 device can't be judged");
  story.change(1, "commission", "2026-11-01T10:00Z");
  CHECK(where(report_of(story, "2026-11-02T00:00Z")) == "p1-pending took-open");
  CHECK(where(report_of(story, "2026-12-01T00:00Z")) ==
        "breaches overdue-now p1-overdue took-open");
}

TEST_CASE("the old rule: met, late, missed for ever, lapsed") {
  const auto first = [] {
    return Chronicle()
        .commission(1, "2020-01-10T10:00Z")
        .replace(1, 1, "2020-01-11T10:00Z", "2020-01-12T10:00Z");
  };
  CHECK(where(report_of(first(), "2026-11-01T00:00Z")) ==
        "breaches breaches-past p1-met p2-overdue took-2");
  CHECK(where(report_of(first(), "2021-06-01T00:00Z")) ==
        "breaches overdue-now p1-met p2-overdue took-2");
  CHECK(where(report_of(first().replace(1, 2, "2021-03-01T10:00Z", "2021-03-01T11:00Z"),
                        "2026-11-01T00:00Z")) == "p1-met p2-lapsed p2-met took-2");
  CHECK(where(report_of(first().replace(1, 2, "2021-05-01T10:00Z", "2021-05-01T11:00Z"),
                        "2026-11-01T00:00Z")) ==
        "breaches breaches-late p1-met p2-lapsed p2-met-late took-2");
  const auto past = report_of(first(), "2026-11-01T00:00Z");
  CHECK(past.answer.good);  // nothing is overdue now
  CHECK(past.answer.remarks.front().starts_with("1 device with a breach on record"));
}

TEST_CASE("what a person has to settle, and what is never guessed") {
  const auto fleet = report_of(test::rich_fleet(), {}, test::rich_list());
  const auto& statistics = fleet.statistics;
  CHECK(fleet.trail.verdict == audit::Verdict::verified);
  CHECK(fleet.answer.headline == "Not compliant: 3 devices are overdue by the regulator's rules");
  for (const auto& [slug, count] :
       std::map<std::string, std::uint64_t>{{"devices", 53},
                                            {"overdue-now", 3},
                                            {"in-doubt", 2},
                                            {"unproven", 1},
                                            {"open-intent", 2},
                                            {"conflict", 1},
                                            {"facts-unknown", 2},
                                            {"overdue-now-project", 1},
                                            {"compromised", 2},
                                            {"destroyed", 1},
                                            {"recommissioned", 1},
                                            {"unheard", 1},
                                            {"unlisted", 2},
                                            {"kind-differs", 1},
                                            {"date-differs", 1},
                                            {"listed-decommissioned", 1},
                                            {"deviation", 1},
                                            {"deviation-beyond", 1}})
    CHECK_MESSAGE(statistics.number(slug) == count, slug);
  CHECK(statistics.keys.at("compromised").count == 4);
  CHECK(statistics.keys.at("compromised").first.front().what ==
        "compromised; replaced by generation 2 on 2026-11-02T10:00:00.000Z; a laptop was stolen; "
        "notify SMKI PMA, SSC");
  CHECK(statistics.keys.at("compromised").first.front().who ==
        "requested by s1sp:ops-1, authorised by dco:ops-7, reference CHG-1");
  CHECK(fleet.log.token_compromises.count == 1);
  CHECK(fleet.log.justified.count == 1);  // the intent alone says it, as smets1-kms writes it
  CHECK(fleet.log.refusals.at("policy").count == 1);
  CHECK(fleet.protections.at(0).rows.at(1).verdict == "not held");
  CHECK(statistics.unknown.first.at(0).second ==
        "no record says what it is and when it was commissioned (device.register)");
  CHECK(statistics.unknown.first.at(1).second.find("it says otherwise of the device") !=
        std::string::npos);
  // What is true of every list: as many devices as it says, each once, in their order.
  for (const auto& [slug, list] : statistics.lists) {
    CHECK_MESSAGE(list.first.size() == list.count, slug);
    CHECK_MESSAGE(std::ranges::adjacent_find(list.first, std::ranges::greater_equal{},
                                             &PageRef::device) == list.first.end(),
                  slug);
  }
}

TEST_CASE("who holds which keys") {
  const auto fleet = report_of(test::rich_fleet());
  CHECK(fleet.trail.verdict == audit::Verdict::verified);
  const auto& targets = fleet.statistics.targets;
  REQUIRE(targets.count == 3);
  // What the records say, by name and role.
  std::map<std::pair<std::string, std::string>, std::uint64_t> handed, received;
  const auto log = test::rich_fleet();
  for (const auto& [record, of] : log.entries) {
    const std::string role(record.text(audit::Field::role));
    if (record.text(audit::Field::op) == "handover.receive")
      ++received[{std::string(record.text(audit::Field::target)), role}];
    const auto entries = audit::parse_handovers(record.text(audit::Field::handovers));
    if (!entries) continue;
    for (const auto& each : *entries) ++handed[{std::string(each.target), role}];
  }
  CHECK(handed.size() == 6);
  const std::pair<const char*, const char*> names[] = {
      {"head-end/1", "renewed"}, {"head-end/2", "admitted"}, {"dco/1", "compromised"}};
  for (std::size_t i = 0; i < targets.first.size(); ++i) {
    const auto& target = targets.first[i];
    CAPTURE(target.name());
    CHECK(target.name() == names[i].first);
    CHECK(target.status == names[i].second);
    CHECK(target.is_former == (i == 2));
    CHECK(target.who == "requested_by s1sp:ops-1, authorised_by dco:ops-7, reference CHG-1");
    CHECK(target.keys.size() == 2);
    for (const auto& [role, keys] : target.keys) {
      CAPTURE(to_string(role));
      CHECK(keys.count == handed[{target.name(), std::string(to_string(role))}]);
      CHECK(keys.received == received[{target.name(), std::string(to_string(role))}]);
    }
  }
  using enum KeyRole;
  const auto& of_dco = targets.first[2].keys;
  CHECK(of_dco.at(guek).states == std::map<KeyState, std::uint64_t>{{KeyState::active, 1}});
  CHECK(of_dco.at(gak).states == std::map<KeyState, std::uint64_t>{{KeyState::pre_active, 1}});
  CHECK(fleet.statistics.number("former-target") == 1);
  CHECK(fleet.statistics.lists.at("former-target").first.at(0).device == device(62));
  CHECK(fleet.statistics.number("withheld") == 1);
  CHECK(fleet.statistics.keys.at("withheld").first.at(0).key == "gak 1");
  CHECK(fleet.trail.finding_counts.at("withheld") == 1);
  // Once the keys are marked nothing that its party knows is in use; a retired party's keys are.
  auto marked = test::rich_fleet();
  for (const auto& [role, state] : {std::pair("guek", "active"), {"gak", "pre-active"}}) {
    marked.compromise(device(62), role, 1, state, "compromised-through-target");
    marked.entries.back().record.set(audit::Field::target, "dco/1");
  }
  CHECK(report_of(marked).statistics.number("former-target") == 0);
  auto retired = test::rich_fleet();
  retired.end_target("head-end", "retire");
  const auto after = report_of(retired);
  CHECK(after.statistics.targets.first.at(0).is_former);  // by its renewed certificate too
  CHECK(after.statistics.targets.first.at(0).status == "renewed");
  CHECK(after.statistics.targets.first.at(1).status == "retired");
  CHECK(after.statistics.number("former-target") > 20);
  // As of an earlier moment.
  const auto before = report_of(test::rich_fleet(), "2026-11-09T00:00Z").statistics;
  REQUIRE(before.targets.count == 1);
  CHECK(before.targets.first.at(0).status == "admitted");
  CHECK(before.number("withheld") == 0);
}

TEST_CASE("only the regulator's duties decide, and nothing unknown counts as compliant") {
  auto compromised = [] {
    return Chronicle()
        .commission(1, "2026-10-01T10:00Z")
        .replace(1, 1, "2026-10-02T10:00Z", "2026-10-02T11:00Z")
        .at("2026-10-05T10:00Z", [](auto& log) { log.compromise(device(1), "guek", 1, "active"); });
  };
  const auto project = report_of(compromised(), "2026-11-01T00:00Z");
  CHECK(where(project) ==
        "breaches-project compromised overdue-now-project p1-met p3-project-overdue took-1");
  CHECK(project.answer.good);
  CHECK(project.statistics.breach_cases.count == 0);
  CHECK(project.statistics.project_stories.count == 1);

  const auto unknown =
      report_of(compromised().at("2026-10-06T10:00Z", [](auto& log) { log.import_kek(device(2)); }),
                "2026-11-01T00:00Z");
  CHECK_FALSE(unknown.answer.good);
  CHECK(unknown.answer.headline ==
        "Not shown: nothing known is overdue, but 1 device can't be judged");

  const auto unheard = report_of(compromised(), "2026-11-01T00:00Z",
                                 std::string(header) +
                                     "00-DB-12-34-56-78-90-01,ESME,2026-10-01T10:00:00Z\n00-DB-12-"
                                     "34-56-78-90-02,ESME,2026-10-01T10:00:00Z\n");
  CHECK(unheard.answer.headline ==
        "Not shown: nothing known is overdue, but 1 device can't be judged");
  const auto complete =
      report_of(compromised(), "2026-11-01T00:00Z",
                std::string(header) + "00-DB-12-34-56-78-90-01,ESME,2026-10-01T10:00:00Z\n");
  CHECK(complete.answer.good);
  CHECK(complete.answer.remarks.empty());

  auto lab = compromised().log();
  lab.add_document(
      "policy",
      policy::Policy::parse_site("version = 1\neditions = [\"lab\"]\n", "site").to_document());
  CHECK(report_of(lab).answer.headline.starts_with(
      "Nothing to say: the policy in use has project rules only"));

  // A document that gives the regulator's name to numbers of its own.
  auto own_numbers = compromised().log();
  std::string document = policy::Policy::shipped().to_document();
  for (auto at = document.find("\"7 days\""); at != std::string::npos;
       at = document.find("\"7 days\""))
    document.replace(at, 8, "\"9 days\"");
  own_numbers.add_document("policy", document);
  CHECK_FALSE(report_of(own_numbers).answer.good);
  CHECK(report_of(own_numbers)
            .answer.headline.starts_with("Not shown: by the trail's own document the regulator's "
                                         "rules of edition s1sr-15-month are others"));

  // The list's facts against the trail's: compliant by the trail, and said that they differ.
  const auto other_date =
      report_of(compromised(), "2026-11-01T00:00Z",
                std::string(header) + "00-DB-12-34-56-78-90-01,GSME,2026-10-03T10:00:00Z\n");
  REQUIRE(other_date.answer.remarks.size() == 2);
  CHECK(other_date.answer.remarks.front().starts_with("1 device with another commissioning date"));

  auto damaged = compromised().log();
  damaged.add_document("policy", "nonsense");
  const auto no_policy = report_of(damaged);
  CHECK(no_policy.answer.headline.starts_with("Not shown: the policy's document can't be read"));
  CHECK(no_policy.statistics.number("p1-met") == 0);
  CHECK(no_policy.policy_source.find("can't be read") != std::string::npos);
}

TEST_CASE(
    "devices without a KEK are counted apart, each with its reason, and judged as others are") {
  const auto story = [] {
    return Chronicle()
        .at("2026-11-01T10:00Z",
            [](auto& log) {
              log.register_device(device(1), "ESME", "guek+gak", "2026-11-01T10:00:00.000Z",
                                  "lost by <its> maker");
              log.register_device(device(3), "ESME", "guek+gak", "2026-11-01T10:00:00.000Z",
                                  "scrapped");
            })
        .commission(2, "2026-11-01T10:00Z")
        .replace(2, 1, "2026-11-02T10:00Z", "2026-11-02T11:00Z")
        .change(3, "decommission", "2026-11-03T10:00Z");
  };
  const auto early = report_of(story(), "2026-11-04T10:00Z");
  CHECK(where(early) == "p1-pending took-open without-kek");
  CHECK(early.answer.good);
  CHECK(early.answer.remarks.front() ==
        "1 device without a KEK: nothing can be rotated, and the duties run");
  const auto late = report_of(story(), "2026-11-20T10:00Z");
  CHECK(where(late) == "breaches overdue-now p1-overdue took-open without-kek");
  CHECK(late.answer.headline == "Not compliant: 1 device is overdue by the regulator's rules");
  const auto& rows = late.statistics.keys.at("without-kek");
  REQUIRE(rows.count == 1);
  CHECK(rows.first.front().what == "no usable KEK: lost by <its> maker");
  CHECK(rows.first.front().who ==
        "requested by s1sp:ops-1, authorised by dco:ops-7, reference CHG-1");
  // Once its KEK has come it is one of the others.
  const auto has_come = [](auto& log) { log.import_kek(device(1)); };
  CHECK(where(report_of(story().at("2026-11-05T10:00Z", has_come), "2026-11-20T10:00Z")) ==
        "breaches overdue-now p1-overdue took-open");
  CHECK(where(report_of(story().at("2026-11-05T10:00Z", has_come), "2026-11-04T12:00Z")) ==
        "p1-pending took-open without-kek");

  const Directory directory;
  const test::TestKey key;
  story().log().export_to(directory / "export", key, 50);
  Options options;
  options.checks.keys = {key.audit_key()};
  options.html = directory / "r.html";
  options.json = directory / "r.json";
  audit::ExportReader reader(directory / "export");
  (void)make_report(reader, options);
  const auto page = test::read_file((directory / "r.html").string());
  for (const char* text :
       {"<h2>Devices without a KEK</h2>", "no usable KEK: lost by &lt;its&gt; maker</td>",
        "without-kek</span> no usable KEK: lost by &lt;its&gt; maker, "})
    CHECK_MESSAGE(page.find(text) != std::string::npos, text);
  const auto lines = test::read_file((directory / "r-devices.jsonl").string());
  CHECK(lines.find("\"why\":\"no usable KEK: lost by <its> maker\"") != std::string::npos);
}

TEST_CASE("a log that is not verified gets its report, which says so") {
  const Directory directory;
  const test::TestKey key, other;
  test::rich_fleet().export_to(directory / "export", key, 50);
  const auto verdict = [&](std::vector<audit::AuditKey> keys) {
    Options options;
    options.checks.keys = std::move(keys);
    audit::ExportReader reader(directory / "export");
    return make_report(reader, options);
  };
  CHECK(banner(verdict({key.audit_key()})).find("<strong>VERIFIED</strong>") != std::string::npos);
  const auto unsigned_report = verdict({other.audit_key()});
  CHECK(banner(unsigned_report).find("<strong>INCONCLUSIVE</strong>") != std::string::npos);
  CHECK(unsigned_report.answer.headline ==
        "Not shown: the trail is not verified, so nothing on this page is proved");
  CHECK(unsigned_report.statistics.number("devices") == 53);
  std::string bytes = test::read_file((directory / "export/records/00000000.jsonl").string());
  const auto at = bytes.find("dco:ops-7", bytes.size() / 2);
  bytes[at + 8] = '8';
  write(directory / "export/records/00000000.jsonl", bytes);
  const auto failed = verdict({key.audit_key()});
  CHECK(banner(failed).find("<strong>FAILED</strong>") != std::string::npos);
  CHECK(banner(failed).find("of 504 records are in it") != std::string::npos);
  CHECK(failed.statistics.number("devices") < 53);
}

TEST_CASE("what is later than the moment asked for is passed over, and counted") {
  const auto fleet = report_of(test::rich_fleet(), "2021-01-01T00:00Z");
  CHECK(fleet.statistics.number("devices") == 3);
  CHECK(fleet.statistics.number("p2-pending") == 3);
  CHECK(fleet.log.later > 400);
  const auto listed = report_of(test::rich_fleet(), "2021-01-01T00:00Z", test::rich_list());
  CHECK(listed.statistics.number("unheard") == 0);  // they were not commissioned then
  CHECK(listed.statistics.number("listed-later") == 47);
  CHECK(fleet.policy_source.find("policy document named by record") != std::string::npos);
}

TEST_CASE("a list of devices is taken whole or refused by line") {
  const std::string good = "00-DB-12-34-56-78-90-01,ESME,2026-10-01T10:00:00Z\n";
  CHECK(list_problem(header + good) == "taken");
  CHECK(list_problem(header + std::string("00db123456789002,PPMID,2026-10-01T10:00+01:00\n")) ==
        "taken");
  const auto one = [&](const std::string& line) {
    return list_problem(header + good + line + "\n");
  };
  CHECK(
      one("00-DB-12-34-56-78-90-02,METER,2026-10-01T10:00:00Z")
          .find(
              "list.csv:3: 'METER' is not a kind of device: one of ESME, GSME, CHF, GPF, PPMID") !=
      std::string::npos);
  CHECK(one("00-DB-12-34-56-78-90-02,ESME,2026-02-30T10:00:00Z")
            .find("list.csv:3: '2026-02-30T10:00:00Z' is not a time") != std::string::npos);
  CHECK(one("00-DB-12-34-56-78-90-02,ESME,2026-02-03T10:00:00").find("RFC 3339 with a zone") !=
        std::string::npos);
  CHECK(one("00-DB-12-34-56-78-90-0G,ESME,2026-02-03T10:00:00Z").find("is not a device id") !=
        std::string::npos);
  CHECK(one("00-DB-12-34-56-78-90-02,ESME").find("three fields are expected") != std::string::npos);
  CHECK(one("00-DB-12-34-56-78-90-02,ESME,2026-02-03T10:00:00Z,x")
            .find("three fields are expected") != std::string::npos);
  CHECK(one("\"00-DB-12-34-56-78-90-02\",ESME,2026-02-03T10:00:00Z").find("a quote") !=
        std::string::npos);
  CHECK(one("00-DB-12-34-56-78-90-02,ESME,2026-02-03\rT10:00:00Z")
            .find("list.csv:3:40: a carriage return within a line") != std::string::npos);
  CHECK(one("00-DB-12-34-56-78-90-02,\x1B,2026-02-03T10:00:00Z")
            .find("list.csv:3:25: a control character (0x1B)") != std::string::npos);
  CHECK(list_problem(header + std::string("\n") + good).find("three fields are expected") !=
        std::string::npos);
  CHECK(one(std::string(5000, 'x')).find("longer than 200 characters") != std::string::npos);
  CHECK(one("00DB123456789001,ESME,2026-10-01T10:00:00Z")
            .find("list.csv:3: 00-DB-12-34-56-78-90-01 is in line 2 already") != std::string::npos);
  CHECK(list_problem(header + good.substr(0, good.size() - 1)).find("it has no end of line") !=
        std::string::npos);
  // As editors write it: a byte-order mark, CRLF, blank lines at the end.
  CHECK(list_problem("\xEF\xBB\xBF"
                     "device_id,kind,commissioned_at\r\n" +
                     good) == "taken");
  CHECK(list_problem(header + good + "\r\n\n") == "taken");
  CHECK(list_problem("device,kind,commissioned_at\n" + good)
            .find("the first line has to be device_id,kind,commissioned_at") != std::string::npos);
  CHECK(list_problem("").find("the file is empty") != std::string::npos);
  std::string many(header);
  for (int i = 0; i < 50; ++i) many += "nonsense\n";
  const auto problems = list_problem(many);
  CHECK(problems.starts_with("50 lines of the fleet list can't be taken"));
  CHECK(std::ranges::count(problems, '\n') == 21);
  CHECK(problems.ends_with("and 30 more"));
}

TEST_CASE("sorting aside gives back what was put there, in order, from memory and from files") {
  struct Number {
    std::uint64_t value, rest[7];
    bool operator<(const Number& other) const { return value < other.value; }
  };
  for (const std::uint64_t count : {0U, 1U, 1000U, 600000U}) {
    audit::ExternalSort<Number> sorted;
    for (std::uint64_t i = 0; i < count; ++i) sorted.add({.value = i * 7919 % count, .rest = {}});
    for (int twice = 0; twice < 2; ++twice) {
      std::uint64_t next = 0;
      bool good = true;
      sorted.for_each([&](const Number& number) { good = good && number.value == next++; });
      CHECK(good);
      CHECK(next == count);
    }
  }
}
