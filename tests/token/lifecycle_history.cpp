// SPDX-License-Identifier: Apache-2.0
// The policy over lives that were really lived: every status of a duty, reached through the
// lifecycle on a token.
#include <algorithm>
#include <fstream>
#include <set>

#include "audit/verify.hpp"
#include "history/history.hpp"
#include "lifecycle/fleet_duties.hpp"
#include "lifecycle/operations.hpp"
#include "registry/database_log.hpp"
#include "registry/registry.hpp"
#include "smets1kms/audit_log.hpp"
#include "support/test_token.hpp"
#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;

namespace {

const Time end = parse_time("2026-11-26T12:00:00Z");

/// A token and a registry apart from the other tests': lived once.
struct World {
  World() {
    auto& token = TestToken::current();
    token.add_token("history");
    std::filesystem::create_directory(directory);
    std::ofstream(directory + "/so.pin") << TestToken::so_pin;
    std::filesystem::permissions(directory + "/so.pin", std::filesystem::perms::owner_read |
                                                            std::filesystem::perms::owner_write);
    config = load("registry.db", "");
    history.emplace(config, directory + "/so.pin", directory, end);
    history->live();
  }
  [[nodiscard]] Config load(const std::string& database, const std::string& more) const {
    std::ofstream(directory + "/kms.toml")
        << "version = 1\n[token]\nmodule = \"" << TestToken::module_path << "\"\nuri = \""
        << TestToken::current().uri_with_pin("history") << "\"\nenrolment = \""
        << (TestToken::is_softokn ? "plain" : "officer") << "\"\n"
        << TestToken::current().settings()
        << "[import]\nunsigned_files = \"taken-for-testing\"\n[registry]\ndatabase = \"" << database
        << "\"\n[audit]\nheartbeat_hours = 744\n[models.NOW]\n"
        << more;
    return Config::load(directory + "/kms.toml");
  }
  std::string directory = TestToken::current().directory + "/history";
  Config config;
  std::optional<History> history;
};

World& world() {
  static World lived;
  return lived;
}

/// "P1 met, P2 lapsed": each kind of duty once, sorted.
std::string standing(const std::string& story, Time now) {
  static const auto policy = policy::Policy::shipped();
  const auto judged = lifecycle::duties_of(
      Fleet::open(world().config).history(world().history->device(story)), policy, now);
  REQUIRE(judged.contradiction.empty());
  std::set<std::string> all;
  for (const auto& duty : judged.duties)
    all.insert(std::string(to_string(duty.id)) + " " + std::string(to_string(duty.status)));
  std::string text;
  for (const auto& each : all) text += (text.empty() ? "" : ", ") + each;
  return text;
}

std::vector<audit::Record> trail_of(const std::string& story) {
  std::vector<audit::Record> records;
  for (const auto& entry :
       Fleet::open(world().config).trail(world().history->device(story), {}, 1000))
    records.push_back(audit::Record::decode(entry.bytes));
  return records;
}

audit::Report verdict() {
  registry::DatabaseLog log(world().config.database);
  return audit::verify(
      log, {.keys = {audit::AuditKey::from_pem(audit_identity(world().config).public_key)}});
}

Callbacks at_the_end() {
  Callbacks callbacks;
  callbacks.clock = [] { return end; };
  return callbacks;
}

}  // namespace

TEST_CASE("every status of a duty is what the story of a real life led to") {
  const struct {
    const char *story, *now, *standing;
  } expected[] = {
      {"on-time", "", "P1 met, P2 lapsed, P2 met"},
      {"late", "", "P1 exempt-unsupported, P1 met-late, P2 overdue"},
      {"no-keys", "", "P1 exempt-unsupported, P2 exempt-unsupported"},
      {"late-interval", "", "P1 exempt-unsupported, P1 met, P2 lapsed, P2 met-late"},
      {"last-breach", "", "P1 exempt-unsupported, P1 met, P2 overdue"},
      {"lapsed", "", "P1 exempt-unsupported, P1 met, P2 lapsed"},
      {"spring-on-time", "", "P1 exempt-unsupported, P1 met, P2 lapsed"},
      {"spring-late", "", "P1 exempt-unsupported, P1 met-late, P2 lapsed"},
      {"never", "", "P1 exempt-unsupported, P1 overdue, P2 not-applicable"},
      {"in-doubt", "", "P1 exempt-unsupported, P1 outcome-unknown, P2 not-applicable"},
      {"resolved", "", "P1 exempt-unsupported, P1 met, P2 not-applicable"},
      {"closed", "", "P1 closed, P1 exempt-unsupported, P2 not-applicable"},
      {"gone-after-breach", "", "P1 exempt-unsupported, P1 overdue, P2 not-applicable"},
      {"suspended", "", "P1 exempt-unsupported, P1 met-late, P2 not-applicable"},
      {"a-week-over", "", "P1 exempt-unsupported, P1 met-late, P2 not-applicable"},
      {"recommissioned", "", "P1 exempt-unsupported, P1 met, P2 closed"},
      {"periodic-again", "", "P1 exempt-unsupported, P1 met, P2 not-applicable"},
      {"suspected-key", "", "P1 exempt-unsupported, P1 met, P2 not-applicable, P3 met"},
      {"suspected-kek", "", "P1 exempt-unsupported, P1 met, P2 not-applicable, P3 met-late"},
      {"waits-for-kek", "", "P1 exempt-unsupported, P1 met, P2 not-applicable, P3 pending"},
      {"due-soon", "", "P1 due-soon, P2 not-applicable"},
      {"pending", "", "P1 exempt-unsupported, P1 pending, P2 not-applicable"},
      // At other moments, past and to come.
      {"late", "2020-03-02T09:59Z", "P1 not-applicable"},
      {"late", "2020-03-03T00:00Z", "P1 exempt-unsupported, P1 pending, P2 not-applicable"},
      {"late", "2020-03-08T10:00Z", "P1 due-soon, P1 exempt-unsupported, P2 not-applicable"},
      {"late", "2020-03-09T10:00Z", "P1 due-soon, P1 exempt-unsupported, P2 not-applicable"},
      {"late", "2020-03-09T10:00:00.001Z", "P1 exempt-unsupported, P1 overdue, P2 not-applicable"},
      {"resolved", "2024-05-08T12:00Z",
       "P1 exempt-unsupported, P1 outcome-unknown, P2 not-applicable"},
      {"recommissioned", "2024-05-07T00:00Z",
       "P1 exempt-unsupported, P1 met, P1 pending, P2 closed"},
      {"a-week-over", "2024-05-08T10:00Z", "P1 exempt-unsupported, P1 pending, P2 not-applicable"},
      {"last-breach", "2021-12-16T12:00Z", "P1 exempt-unsupported, P1 met, P2 due-soon"},
      {"pending", "2027-01-01T00:00Z", "P1 exempt-unsupported, P1 overdue, P2 not-applicable"},
      {"waits-for-kek", "2027-01-01T00:00Z",
       "P1 exempt-unsupported, P1 met, P2 not-applicable, P3 overdue"},
  };
  std::set<std::string> seen;
  for (const auto& [story, now, standing_then] : expected) {
    CAPTURE(story);
    CAPTURE(now);
    const auto found = standing(story, *now == '\0' ? end : parse_time(now));
    CHECK(found == standing_then);
    for (const auto status :
         {DutyStatus::not_applicable, DutyStatus::exempt_unsupported, DutyStatus::pending,
          DutyStatus::due_soon, DutyStatus::met, DutyStatus::met_late, DutyStatus::overdue,
          DutyStatus::lapsed, DutyStatus::closed, DutyStatus::outcome_unknown})
      if ((found + ",").find(" " + std::string(to_string(status)) + ",") != std::string::npos)
        seen.insert(std::string(to_string(status)));
  }
  CHECK(seen.size() == 10);
}

TEST_CASE(
    "the records of a life name the edition in force, the rule, and what the policy judges by") {
  const auto text = [](const audit::Record& record, audit_field field) {
    return std::string(record.text(field));
  };
  const auto first = trail_of("late-interval");
  const auto registered = std::ranges::find_if(
      first, [&](const auto& each) { return text(each, audit_field::op) == "device.register"; });
  REQUIRE(registered != first.end());
  CHECK(text(*registered, audit_field::kind) == "ESME");
  CHECK(text(*registered, audit_field::supports) == "guek+gak+kek");
  CHECK(text(*registered, audit_field::at) == "2020-03-02T10:00:00.000Z");
  CHECK(text(*registered, audit_field::clock) == "injected");
  std::set<std::string> judged;
  for (const char* story :
       {"late-interval", "recommissioned", "suspected-kek", "periodic-again", "suspended"})
    for (const auto& record : trail_of(story)) {
      CHECK(text(record, audit_field::edition) ==
            (text(record, audit_field::time) < "2021-12-17" ? "s1sr-15-month" : "sec-appendix-at"));
      judged.insert(text(record, audit_field::op) + " " + text(record, audit_field::reason) + " " +
                    text(record, audit_field::rule));
      if (text(record, audit_field::op) == "key.compromise")
        CHECK(text(record, audit_field::notify) == "SMKI PMA, SSC");
    }
  for (const char* each :
       {"key.generate post-commissioning P1", "key.generate periodic P2",
        "key.generate recommissioning P1", "key.generate suspected-compromise P3",
        "key.compromise suspected-compromise P3", "device.decommission  P4", "device.suspend  P4",
        "device.register  P4", "key.import  none", "transfer.reply  none"}) {
    CAPTURE(each);
    CHECK(judged.contains(each));
  }
  const auto again = trail_of("periodic-again");
  CHECK(std::ranges::count_if(again, [&](const auto& each) {
          return text(each, audit_field::result) == "refused" &&
                 text(each, audit_field::detail) == "policy";
        }) == 1);
  CHECK(std::ranges::count_if(again, [&](const auto& each) {
          return text(each, audit_field::phase) == "intent" &&
                 !text(each, audit_field::justification).empty();
        }) == 2);
}

TEST_CASE(
    "an assessor verifies the lives, another KEK in the place of a suspected one with them, and "
    "gets the policy's document") {
  const auto report = verdict();
  CAPTURE(report.why);
  CHECK(report.verdict == audit::Verdict::verified);
  const auto directory = world().directory + "/export";
  (void)export_audit_log(world().config, directory, {});
  std::size_t policies = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory + "/documents")) {
    std::stringstream content;
    content << std::ifstream(file.path(), std::ios::binary).rdbuf();
    if (!content.str().starts_with("smets1-kms policy")) continue;
    ++policies;
    CHECK(policy::Policy::parse_document(content.str()).editions().size() == 2);
  }
  CHECK(policies == 1);
}

TEST_CASE("what is due is chosen for the reason of its duty, and nothing twice") {
  const auto policy = policy::Policy::shipped();
  std::map<DeviceId, std::vector<RotationRequest>> chosen;
  lifecycle::for_each_history(Fleet::open(world().config), [&](DeviceHistory history) {
    const auto device = lifecycle::duties_of(std::move(history), policy, end);
    if (auto requests = lifecycle::rotations_due(device, end, {}); !requests.empty())
      chosen[device.device.device.id] = std::move(requests);
  });
  const auto of = [&](const char* story) { return chosen[world().history->device(story)]; };
  CHECK(chosen.size() == 3);  // not: in doubt, without a KEK, gone, or of a rule that has gone
  REQUIRE(of("never").size() == 1);
  CHECK(of("never").front().reason == Reason::post_commissioning);
  CHECK(of("never").front().roles == std::vector{KeyRole::guek, KeyRole::gak});
  REQUIRE(of("due-soon").size() == 1);
  CHECK(of("due-soon").front().roles.size() == 3);
  CHECK(of("pending").size() == 1);
  std::size_t within = 0;
  lifecycle::for_each_history(Fleet::open(world().config), [&](DeviceHistory history) {
    const auto device = lifecycle::duties_of(std::move(history), policy, end);
    within += lifecycle::rotations_due(device, end, std::chrono::days(2)).size();
  });
  CHECK(within == 2);
}

// From here on the life goes on.
TEST_CASE("another policy is another document, and each is kept") {
  auto& lived = world();
  std::ofstream(lived.directory + "/site.toml")
      << "version = 1\neditions = [\"s1sr-15-month\", \"sec-appendix-at\"]\n[[adjust]]\nedition = "
         "\"sec-appendix-at\"\n"
         "rule = \"P3\"\nwithin = \"3 days\"\nfrom = 2026-01-01T00:00:00\nwho = \"ops\"\nwhy = "
         "\"plan\"\n";
  const auto notes = [&] {
    std::size_t count = 0;
    for (const auto& entry : Fleet::open(lived.config).records(0, 10'000))
      count += entry.bytes.find(" policy\"") != std::string::npos ? 1 : 0;
    return count;
  };
  CHECK(notes() == 1);
  const auto adjusted = lived.load("registry.db", "[policy]\nsite = \"site.toml\"\n");
  (void)KeyManager::open(adjusted, at_the_end());
  CHECK(notes() == 2);
  (void)KeyManager::open(adjusted, at_the_end());
  CHECK(notes() == 2);
  (void)KeyManager::open(lived.config, at_the_end());
  CHECK(notes() == 3);  // back to the first, whose document is there
  std::ofstream(lived.directory + "/site.toml") << "version = 1\neditions = [\"nonsense\"]\n";
  CHECK(contains(message_of<BadFile>([&] { (void)KeyManager::open(adjusted, at_the_end()); }),
                 "site.toml:2:"));
}

TEST_CASE(
    "a token that is suspected: nothing is wrapped, every key is marked, a process that dies "
    "meanwhile leaves none out") {
  auto& lived = world();
  const auto count = [&](KeyState state) {
    std::size_t keys = 0;
    for (const auto& key : Fleet::open(lived.config).keys(std::nullopt, 10'000))
      keys += key.state == state ? 1 : 0;
    return keys;
  };
  const auto in_token = count(KeyState::active) + count(KeyState::pre_active) +
                        count(KeyState::deactivated),
             before = count(KeyState::compromised);
  const RotationRequest wanted{.device = lived.history->device("pending"),
                               .roles = {},
                               .reason = Reason::post_commissioning,
                               .authority = both};
  const std::string suspicion = "an image of the host was found";
  CHECK(rule_of([&] {
          (void)KeyManager::open(lived.config, at_the_end())
              .compromise_token(suspicion,
                                {.requested_by = "a", .authorised_by = "A", .reference = "r"});
        }) == "dual-control");
  // A process that died when it had recorded the decision: every key is marked on opening.
  as_one_that_died(lived.config, at_the_end(), [&](lifecycle::Context& context) {
    const auto act = lifecycle::suspicion_act("token.compromise", "TOKEN-1", both);
    const auto decision = context.append(context.trail.record(act, lifecycle::Phase::note), {},
                                         {{audit_field::result, "compromised"},
                                          {audit_field::detail, suspicion},
                                          {audit_field::notify, lifecycle::to_notify}});
    context.put_operation(act, decision,
                          {.digest = lifecycle::digest_of({act.name, suspicion}),
                           .detail = "0\n0\ns1sp:ops-1\ndco:ops-7\nCHG-1234\n" + suspicion});
  });
  std::vector<std::string> said;
  auto callbacks = at_the_end();
  callbacks.log = [&](const LogEvent& event) { said.push_back(event.text); };
  {
    auto kms = KeyManager::open(lived.config, callbacks);
    REQUIRE(said.size() == 1);
    CHECK(contains(said.front(), "it is done now, " + std::to_string(in_token) + " keys of " +
                                     std::to_string(lived.history->stories().size() - 1)));
    CHECK(kms.compromise_token(suspicion, both, "TOKEN-1").keys == in_token);  // the same again
    CHECK(rule_of([&] { (void)kms.compromise_token("something else", both, "TOKEN-1"); }) ==
          "operation-id-reused");
    CHECK(kms.compromise_token("another image", both).keys == 0);
    CHECK(rule_of([&] { (void)kms.rotate(wanted); }) == "no-usable-kek");
  }
  CHECK(count(KeyState::compromised) == before + in_token);
  CHECK(standing("on-time", end).find("P3 pending") != std::string::npos);
  // A row that opens it once more marks nothing that is not marked.
  sqlite::Database(lived.config.database, sqlite::Mode::read_write)
      .execute("UPDATE operation SET state=0 WHERE id='TOKEN-1'");
  said.clear();
  (void)KeyManager::open(lived.config, callbacks);
  REQUIRE(said.size() == 1);
  CHECK(contains(said.front(), "it is done now, " + std::to_string(in_token) + " keys"));
  CHECK(count(KeyState::compromised) == before + in_token);
  const auto report = verdict();
  CAPTURE(report.why);
  CHECK(report.verdict == audit::Verdict::verified);
}
