// SPDX-License-Identifier: Apache-2.0
// What a suspicion of the token or of a handover target obliges to: its keys are marked.
#include <doctest/doctest.h>

#include "audit/rich_story.hpp"
#include "support/expect.hpp"

using namespace smets1kms::audit;
using test::MemoryLog;
using test::SampleLog;

namespace {

constexpr std::uint64_t one = 0x00DB1234567890A0, other = 0x00DB1234567890A1;

Report report_of(SampleLog& log) {
  log.seal();
  MemoryLog memory(log, test::last_key());
  return verify(memory, {.keys = {test::last_key().audit_key()}});
}

/// Two devices with a KEK; the first has a GUEK that "tool" was handed, and a GAK.
SampleLog story() {
  SampleLog log;
  log.admit("tool", "guek");
  for (const auto device : {one, other}) log.import_kek(device);
  log.rotate(one, "guek", 1);
  log.rotate(one, "gak", 1);
  return log;
}

void suspect_token(SampleLog& log) {
  auto note = SampleLog::record(op::token_compromise, "note", "compromised");
  log.two_identities(note);
  note.set(Field::detail, "an image of the host was found")
      .set(Field::notify, "SMKI PMA, SSC")
      .set(Field::reason, "suspected-compromise");
  log.add(note, {});
}

void mark(SampleLog& log, std::uint64_t device, const char* role, const char* through,
          std::uint64_t generation = 1) {
  log.compromise(device, role, generation, "active", std::string("compromised-through-") + through);
  if (through == std::string("target")) log.entries.back().record.set(Field::target, "tool/1");
}

void mark_all(SampleLog& log) {
  for (const auto* role : {"kek", "guek", "gak"}) mark(log, one, role, "token");
  mark(log, other, "kek", "token");
}

struct Case {
  const char* what;
  void (*tell)(SampleLog& log);
  const char* why = "";   ///< empty: VERIFIED
  std::size_t place = 0;  ///< of the record that is refused, behind the story
  std::uint64_t unmarked = 0;
};

void check(std::span<const Case> cases) {
  for (const auto& each : cases) {
    CAPTURE(each.what);
    auto log = story();
    const auto before = log.entries.size();
    each.tell(log);
    const auto report = report_of(log);
    CAPTURE(report.why);
    CHECK((report.verdict == Verdict::verified) == (each.why[0] == '\0'));
    if (each.why[0] != '\0') {
      CHECK(report.verdict == Verdict::failed);
      CHECK(test::contains(report.why, each.why));
      CHECK(report.index == before + each.place);
    } else {
      const auto found = report.finding_counts.find("unmarked");
      CHECK((found == report.finding_counts.end() ? 0 : found->second) == each.unmarked);
    }
  }
}

}  // namespace

TEST_CASE("what a suspected token held is marked before anything is wrapped or handed out") {
  constexpr const char *unmarked = "is not marked so before anything is wrapped or handed out",
                       *nobodys = "for a suspicion that no record of its operation has";
  const Case cases[] = {
      {"all marked, and each device has a new KEK",
       [](SampleLog& log) {
         suspect_token(log);
         mark_all(log);
         log.import_kek(one, 2);
         log.import_kek(other, 2);
       }},
      {"the marking goes on, and a device answers meanwhile",
       [](SampleLog& log) {
         log.release(other, "guek", 1);
         suspect_token(log);
         mark(log, one, "kek", "token");
         log.answer(other, "guek", 1, "confirmed");
       },
       "", 0, 4},
      {"a second suspicion, of what was made since",
       [](SampleLog& log) {
         suspect_token(log);
         mark_all(log);
         log.import_kek(other, 2);
         suspect_token(log);
         mark(log, other, "kek", "token", 2);
       }},
      {"of one device no key is marked, and it gets another",
       [](SampleLog& log) {
         suspect_token(log);
         log.rotate(one, "gak", 2);
       },
       unmarked, 1},
      {"one is left out",
       [](SampleLog& log) {
         suspect_token(log);
         mark(log, one, "kek", "token");
         mark(log, one, "gak", "token");
         log.import_kek(one, 2);
       },
       unmarked, 3},
      {"a key that was on its way is made",
       [](SampleLog& log) {
         log.release(other, "guek", 1);
         const auto outcome = log.entries.back();
         log.entries.pop_back();
         suspect_token(log);
         log.entries.push_back(outcome);
       },
       unmarked, 2},
      {"marked before the suspicion",
       [](SampleLog& log) {
         mark(log, one, "kek", "token");
         suspect_token(log);
       },
       nobodys, 0},
      {"marked by another operation",
       [](SampleLog& log) {
         suspect_token(log);
         mark(log, one, "kek", "token");
         log.entries.back().record.set(Field::op_id, "op-2");
       },
       nobodys, 1},
      {"marked without a suspicion", [](SampleLog& log) { mark(log, one, "gak", "token"); },
       nobodys, 0},
  };
  check(cases);
}

TEST_CASE("what a suspected target was handed is marked before its public key's end is recorded") {
  constexpr const char *unmarked = "is not marked so before the target's end",
                       *nobodys = "for a suspicion that no record of its operation has";
  const Case cases[] = {
      {"marked",
       [](SampleLog& log) {
         log.end_target("tool", "compromise");
         mark(log, one, "guek", "target");
         log.destroy_target("tool", 1);
         log.release(one, "guek", 2);
       }},
      {"it is being marked", [](SampleLog& log) { log.end_target("tool", "compromise"); }, "", 0,
       1},
      {"it was destroyed before",
       [](SampleLog& log) {
         log.rotate(one, "guek", 2);
         log.destroy(one, "guek", 1);
         log.end_target("tool", "compromise");
         mark(log, one, "guek", "target", 2);
         log.destroy_target("tool", 1);
       }},
      {"suspected, admitted once more, and suspected again",
       [](SampleLog& log) {
         log.end_target("tool", "compromise");
         mark(log, one, "guek", "target");
         log.destroy_target("tool", 1);
         log.admit("tool", "guek");
         log.end_target("tool", "compromise");
         log.destroy_target("tool", 2);
       }},
      {"left out",
       [](SampleLog& log) {
         log.end_target("tool", "compromise");
         log.destroy_target("tool", 1);
       },
       unmarked, 2},
      {"marked too late",
       [](SampleLog& log) {
         log.end_target("tool", "compromise");
         log.destroy_target("tool", 1);
         log.rotate(one, "gak", 2);
         mark(log, one, "guek", "target");
       },
       unmarked, 2},
      {"of a generation before the suspected one",
       [](SampleLog& log) {
         log.admit("tool", "guek");
         log.end_target("tool", "compromise");
         log.destroy_target("tool", 2);
       },
       unmarked, 4},
      {"marked for a target that nobody suspects",
       [](SampleLog& log) { mark(log, one, "guek", "target"); }, nobodys, 0},
      {"suspected twice",
       [](SampleLog& log) {
         log.end_target("tool", "compromise");
         log.end_target("tool", "compromise");
       },
       "is suspected already", 1},
  };
  check(cases);
}
