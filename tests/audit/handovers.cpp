// SPDX-License-Identifier: Apache-2.0
// Keys that are handed over to the parties that use them: what the log may say of it.
#include "audit/handovers.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "audit/bundle.hpp"
#include "audit/sample_log.hpp"
#include "support/expect.hpp"
#include "unit/scratch.hpp"

using namespace smets1kms::audit;
using test::contains;
using test::key_id;
using test::SampleLog;

namespace {

constexpr std::uint64_t device = 0x00DB123456789000;
using Story = std::function<void(SampleLog&)>;

/// A device with its KEK; "both" takes GUEK and GAK, "slow" the GUEK, and is served before the
/// transfer.
SampleLog begun() {
  SampleLog log;
  log.admit("both", "guek+gak", false, "SHA-1");
  log.admit("slow", "guek", true);
  log.import_kek(device);
  return log;
}
/// The first keys handed over, received, released and in use.
SampleLog served() {
  auto log = begun();
  log.release(device, "guek", 1);
  log.receive(device, "guek", 1, "slow/1");
  log.release_withheld(device, "guek", 1);
  log.rotate(device, "gak", 1);
  log.answer(device, "guek", 1, "confirmed");
  return log;
}

Report report_of(SampleLog log) {
  static const test::TestKey key;
  log.state_map();
  const test::Scratch scratch;
  log.export_to(scratch.path("export"), key);
  ExportReader reader(scratch.path("export"));
  return verify(reader, {.keys = {key.audit_key()}});
}

Record& last(SampleLog& log, std::string_view operation, std::string_view phase = "outcome") {
  const auto found = std::find_if(log.entries.rbegin(), log.entries.rend(), [&](const auto& entry) {
    return entry.record.text(Field::op) == operation && entry.record.text(Field::phase) == phase;
  });
  REQUIRE(found != log.entries.rend());
  return found->record;
}

/// Edits the field `handovers` of the last key that was made.
Story edit(const std::string& from, const std::string& to) {
  return [=](SampleLog& log) {
    auto& record = last(log, "key.generate");
    std::string text(record.text(Field::handovers));
    REQUIRE(contains(text, from));
    text.replace(text.find(from), from.size(), to);
    record.set(Field::handovers, text);
  };
}
/// Makes a GAK or a GUEK as is due, and edits its outcome.
Story made(const std::string& role, const Story& change) {
  return [=](SampleLog& log) {
    log.release(device, role, 2);
    change(log);
  };
}
Story set(const char* operation, const char* phase, Field field, const std::string& value) {
  return [=](SampleLog& log) { last(log, operation, phase).set(field, value); };
}
Story then(const Story& first, const Story& second) {
  return [=](SampleLog& log) { first(log), second(log); };
}

const Story admit_new = [](SampleLog& log) { log.admit("new", "gbek"); };
const Story release_guek = [](SampleLog& log) { log.release(device, "guek", 2); };

}  // namespace

TEST_CASE("legal stories of handover targets are verified") {
  const std::pair<const char*, Story> stories[] = {
      {"nothing more", [](SampleLog&) {}},
      {"renewed, and the old key destroyed",
       [](SampleLog& log) {
         log.admit("both", "guek+gbek+gak");
         log.destroy_target("both", 1);
         log.rotate(device, "gak", 2);
         log.rotate(device, "gbek", 1);
       }},
      {"retired, destroyed, and admitted once more",
       [](SampleLog& log) {
         log.end_target("both", "retire");
         log.destroy_target("both", 1);
         log.rotate(device, "gak", 2);
         log.admit("both", "gak");
         log.rotate(device, "gak", 3);
       }},
      {"compromised, with the keys that it was handed",
       [](SampleLog& log) {
         log.end_target("both", "retire");
         log.end_target("both", "compromise");
         log.compromise(device, "gak", 1, "active", "compromised-through-target");
         log.entries.back().record.set(Field::target, "both/1");
       }},
      {"handed out again, and received by each",
       [](SampleLog& log) {
         log.release(device, "guek", 2);
         log.hand_over_again(device, "guek", 2, "slow/1");
         log.receive(device, "guek", 2, "both/1");
         log.receive(device, "guek", 2, "slow/1");
         log.release_withheld(device, "guek", 2);
         log.answer(device, "guek", 2, "in-doubt");
       }},
      {"asked for again while it is withheld",
       [](SampleLog& log) {
         log.release(device, "guek", 2);
         log.hand_over_again(device, "guek", 2, "both/1");
         auto& again = log.entries.back().record;
         again = test::without(again, {Field::target})
                     .set(Field::op, "key.generate")
                     .set(Field::reason, "operational");
         log.two_identities(again);
       }},
      {"withheld, compromised and destroyed, and then another key",
       [](SampleLog& log) {
         log.release(device, "guek", 2);
         log.destroy(device, "guek", 2);
         for (auto entry = log.entries.end() - 2; entry != log.entries.end(); ++entry)
           entry->record.set(Field::state_from, "pre-active");
         log.release(device, "guek", 3);
       }},
      {"a key that nobody waits for, withheld with another of its transfer",
       [](SampleLog& log) {
         log.together = 99;
         log.release(device, "gak", 2);
         last(log, "key.generate").set(Field::result, "withheld");
         log.release(device, "guek", 2);
         log.receive(device, "guek", 2, "slow/1");
         log.release_withheld(device, "gak", 2);
         log.release_withheld(device, "guek", 2);
       }},
      {"a KEK is nobody's", [](SampleLog& log) { log.release(device, "kek", 2); }},
      {"eight",
       [](SampleLog& log) {
         for (char name = 'a'; name < 'g'; ++name) log.admit(std::string(1, name));
         log.rotate(device, "gak", 2);
       }},
  };
  for (const auto& [name, story] : stories) {
    CAPTURE(name);
    auto log = served();
    story(log);
    const auto report = report_of(log);
    CAPTURE(report.why);
    CHECK(report.verdict == Verdict::verified);
  }
}

TEST_CASE("a key that is withheld is a finding as long as it is there") {
  auto log = served();
  log.release(device, "guek", 2);
  const auto report = report_of(log);
  CHECK(report.finding_counts.at("withheld") == 1);
  const auto found = std::ranges::find(report.findings, "withheld", &Finding::kind);
  CHECK(found->index == log.entries.size() - 1);
  CHECK(contains(found->text, "guek 2 of 00-DB-12-34-56-78-90-00 is withheld"));
  log.receive(device, "guek", 2, "slow/1");
  log.release_withheld(device, "guek", 2);
  CHECK_FALSE(report_of(log).finding_counts.contains("withheld"));
}

TEST_CASE("an illegal story of handovers fails at its record") {
  struct Case {
    const char* name;
    Story change;
    const char* why;
  };
  const std::string gak2 =
      "gak 2 (" + key_id(device, "gak", 2) + ") of 00-DB-12-34-56-78-90-00: handover target ";
  const auto left_out = gak2 + "both/1 is admitted for this role, and was left out",
             wrong_generation = gak2 + "both/2 is named, and both/1 is admitted",
             wrong_hash = gak2 + "both/1 was admitted with SHA-1, not SHA-256",
             unknown = gak2 + "ghost/1 is named, and is not admitted for this role",
             other_role = gak2 + "slow/1 is named, and is not admitted for this role",
             retired = gak2 + "both/1 is named, and is not admitted for this role";
  const std::string digest = to_hex(sha256("x"));
  const auto give = [](const std::string& entry) {
    return [=](SampleLog& log) { last(log, "key.generate").set(Field::handovers, entry); };
  };
  const auto gone = [&](const char* how) {
    return [=](SampleLog& log) {
      log.release(device, "gak", 2);
      const auto handed = std::string(last(log, "key.generate").text(Field::handovers));
      log.entries.resize(log.entries.size() - 2);
      log.end_target("both", how);
      log.release(device, "gak", 2);
      last(log, "key.generate").set(Field::handovers, handed);
    };
  };
  const Case cases[] = {
      // key.generate: exactly the targets admitted for its role at that moment.
      {"one left out",
       made("gak", [](SampleLog& log) {
         auto record = SampleLog::record("key.generate", "outcome", "ok");
         const auto& made = last(log, "key.generate");
         for (std::size_t i = 0; i < field_count; ++i) {
           const auto field = static_cast<Field>(i);
           if (field == Field::handovers) continue;
           if (const auto number = made.number(field)) record.set(field, *number);
           else if (!made.text(field).empty()) record.set(field, made.text(field));
         }
         last(log, "key.generate") = record;
       }),
       left_out.c_str()},
      {"one left out of two", made("guek", [&](SampleLog& log) {
         auto& record = last(log, "key.generate");
         const std::string text(record.text(Field::handovers));
         record.set(Field::handovers, text.substr(text.find(',') + 1));
       }),
       "both/1 is admitted for this role, and was left out"},
      {"one never admitted", made("gak", give("ghost/1:SHA-256:" + digest)), left_out.c_str()},
      {"one never admitted beside", made("gak", [&](SampleLog& log) {
         auto& record = last(log, "key.generate");
         record.set(Field::handovers, std::string(record.text(Field::handovers)) +
                                          ",ghost/1:SHA-256:" + digest);
       }),
       unknown.c_str()},
      {"one of another role", made("gak", [&](SampleLog& log) {
         auto& record = last(log, "key.generate");
         record.set(Field::handovers, std::string(record.text(Field::handovers)) +
                                          ",slow/1:SHA-256:" + digest);
       }),
       other_role.c_str()},
      {"one that is retired", gone("retire"), retired.c_str()},
      {"one that is compromised", gone("compromise"), retired.c_str()},
      {"another generation", made("gak", edit("both/1", "both/2")), wrong_generation.c_str()},
      {"another hash", made("gak", edit("SHA-1", "SHA-256")), wrong_hash.c_str()},
      {"served before, unasked",
       made("guek", edit(",slow", ":before-transfer,slow")), "served without regard to"},
      {"asked, and not served before",
       then(made("guek", edit(":before-transfer", "")), set("key.generate", "outcome", Field::result, "ok")),
       "slow/1 was admitted to be served before the transfer"},
      {"served before, and released at once",
       made("guek", set("key.generate", "outcome", Field::result, "ok")),
       "guek 2 of 00-DB-12-34-56-78-90-00 is handed over to slow/1 before its transfer, and the "
       "transfer is not withheld"},
      {"a KEK", [&](SampleLog& log) {
         log.release(device, "kek", 2);
         give("both/1:SHA-1:" + digest)(log);
       },
       "kek 2 of 00-DB-12-34-56-78-90-00 is handed over to both/1: a KEK never is"},
      {"a target after its admission is taken back", [](SampleLog& log) {
         log.admit("new", "gak");
         auto& end = last(log, "target.admit");
         end = test::without(
                   end, {Field::mechanism, Field::roles, Field::certificate_sha256,
                         Field::public_key_sha256, Field::attributes, Field::ckr, Field::target,
                         Field::requested_by, Field::authorised_by, Field::reference})
                   .set(Field::op, "operation.settle")
                   .set(Field::result, "not-executed")
                   .set(Field::state_from, "none")
                   .set(Field::state_to, "none")
                   .set(Field::detail, "target.admit, objects found 0");
         log.release(device, "gak", 2);
       },
       "new/1 is named, and is not admitted"},
      {"a hash of another form", made("gak", edit("SHA-1", "SHA-2")), "handovers is not"},
      {"a digest of another form", made("gak", edit("SHA-1:", "SHA-1:A")), "handovers is not"},
      {"another word", made("guek", edit(":before-transfer", ":after-transfer")), "handovers is not"},
      {"not sorted", made("guek", [](SampleLog& log) {
         auto& record = last(log, "key.generate");
         const std::string text(record.text(Field::handovers));
         const auto comma = text.find(',');
         record.set(Field::handovers, text.substr(comma + 1) + "," + text.substr(0, comma));
       }),
       "handovers is not"},
      {"one twice", made("gak", [](SampleLog& log) {
         auto& record = last(log, "key.generate");
         const std::string text(record.text(Field::handovers));
         record.set(Field::handovers, text + "," + text);
       }),
       "handovers is not"},
      {"none, said so", made("gak", give("")), "handovers is not"},
      {"handovers of an intent", made("gak", set("key.generate", "intent", Field::handovers,
                                                 "both/1:SHA-1:" + digest)),
       "only the outcome of a key's generation"},
      {"handovers of an import",
       [&](SampleLog& log) {
         last(log, "key.import").set(Field::handovers, "both/1:SHA-1:" + digest);
       },
       "only the outcome of a key's generation"},

      // transfer.release, and what is withheld.
      {"released without a receipt",
       then(release_guek, [](SampleLog& log) { log.release_withheld(device, "guek", 2); }),
       "has not shown that it holds guek 2"},
      {"released with another's receipt",
       then(release_guek,
            [](SampleLog& log) {
              log.receive(device, "guek", 2, "both/1");
              log.release_withheld(device, "guek", 2);
            }),
       "has not shown that it holds guek 2"},
      {"released before another key of its transfer was received",
       [](SampleLog& log) {
         log.together = 99;
         log.release(device, "gak", 2);
         last(log, "key.generate").set(Field::result, "withheld");
         log.release(device, "guek", 2);
         log.release_withheld(device, "gak", 2);
       },
       "has not shown that it holds guek 2"},
      {"released at once, and another key of its transfer is withheld",
       [](SampleLog& log) {
         log.together = 99;
         log.release(device, "gak", 2);
         log.release(device, "guek", 2);
       },
       "goes in the transfer of a key"},
      {"released twice",
       then(release_guek,
            [](SampleLog& log) {
              log.receive(device, "guek", 2, "slow/1");
              log.release_withheld(device, "guek", 2);
              log.release_withheld(device, "guek", 2);
            }),
       "can't be released: nothing of it is on its way"},
      {"released, and never withheld",
       made("gak", [](SampleLog& log) { log.release_withheld(device, "gak", 2); }),
       "can't be released"},
      {"answered while it is withheld",
       then(release_guek, [](SampleLog& log) { log.answer(device, "guek", 2, "confirmed"); }),
       "can't be confirmed: its transfer is withheld"},
      {"in doubt while it is withheld",
       then(release_guek, [](SampleLog& log) { log.answer(device, "guek", 2, "in-doubt"); }),
       "can't be in-doubt: its transfer is withheld"},
      {"resolved while it is withheld",
       then(release_guek,
            [](SampleLog& log) {
              log.answer(device, "guek", 2, "not-held");
              log.two_identities(log.entries.back().record);
              log.entries.back().record.set(Field::op, "transfer.resolve");
            }),
       "can't be not-held: its transfer is withheld"},
      {"handed out again while it is withheld",
       then(release_guek,
            [](SampleLog& log) {
              auto note = last(log, "key.generate");
              auto again = SampleLog::record("transfer.release-again", "note", "handed-out-again");
              for (const auto field : {Field::role, Field::key_id, Field::state_from})
                again.set(field, note.text(field));
              again.set(Field::generation, 2).set(Field::state_from, "pre-active")
                  .set(Field::state_to, "pre-active");
              log.add(again, device);
            }),
       "is withheld, and its transfer is handed out again"},
      {"a third key while one is withheld",
       then(release_guek, [](SampleLog& log) { log.release(device, "guek", 3); }),
       "is planned while generation 2 is on its way"},

      // handover.receive, handover.release-again, key.compromise compromised-through-target.
      {"received twice",
       then(release_guek,
            [](SampleLog& log) {
              log.receive(device, "guek", 2, "slow/1");
              log.receive(device, "guek", 2, "slow/1");
            }),
       "was received by this target before"},
      {"received by one that it was not handed to",
       made("gak", [](SampleLog& log) { log.receive(device, "gak", 2, "slow/1"); }),
       "was not handed over to the target that is named"},
      {"received by a generation that it was not handed to",
       [](SampleLog& log) {
         log.admit("both", "gak");
         log.release(device, "gak", 2);
         log.receive(device, "gak", 2, "both/1");
       },
       "was not handed over to the target that is named"},
      {"received by one that was never admitted",
       made("gak", [](SampleLog& log) { log.receive(device, "gak", 2, "ghost/1"); }),
       "handover target ghost/1 was never admitted"},
      {"received by nobody",
       made("gak", [](SampleLog& log) { log.receive(device, "gak", 2, ""); }), "target is missing"},
      {"received by one without a name",
       made("gak", [](SampleLog& log) { log.receive(device, "gak", 2, "both"); }),
       "target is not NAME/GENERATION"},
      {"received, and in use by that",
       then(release_guek,
            [](SampleLog& log) {
              log.receive(device, "guek", 2, "slow/1");
              log.entries.back().record.set(Field::state_to, "active");
            }),
       "no key becomes active"},
      {"received before it was made",
       made("guek",
            [](SampleLog& log) {
              log.entries.pop_back();
              log.receive(device, "guek", 2, "slow/1");
            }),
       "is said to be pre-active, and is none"},
      {"handed out again to another",
       made("gak", [](SampleLog& log) { log.hand_over_again(device, "gak", 2, "slow/1"); }),
       "was not handed over to the target that is named"},
      {"handed out again without a target",
       made("gak", [](SampleLog& log) { log.hand_over_again(device, "gak", 2, "both/0"); }),
       "target is not NAME/GENERATION"},
      {"compromised through a target that never had it",
       [](SampleLog& log) {
         log.compromise(device, "gak", 1, "active", "compromised-through-target");
         log.entries.back().record.set(Field::target, "slow/1");
       },
       "was not handed over to the target that is named"},
      {"compromised through a target, by one identity",
       [](SampleLog& log) {
         log.compromise(device, "gak", 1, "active", "compromised-through-target");
         log.entries.back().record.set(Field::target, "both/1").set(Field::authorised_by, "");
       },
       "authorised_by is missing"},

      // target.admit
      {"admitted by one identity",
       then(admit_new, set("target.admit", "outcome", Field::authorised_by, "s1sp:OPS-1")),
       "it needs two"},
      {"admitted as planned by one identity",
       then(admit_new, set("target.admit", "intent", Field::authorised_by, "s1sp:ops-1")),
       "it needs two"},
      {"admitted without an intent",
       then(admit_new,
            [](SampleLog& log) { log.entries.erase(log.entries.end() - 2); }),
       "without an open intent"},
      {"admitted as another than was planned",
       then(admit_new, set("target.admit", "outcome", Field::target, "other/1")),
       "was planned for another purpose or handover target"},
      {"a generation left out",
       [](SampleLog& log) {
         log.admit("both");
         for (auto entry = log.entries.end() - 2; entry != log.entries.end(); ++entry)
           entry->record.set(Field::target, "both/3");
       },
       "handover target both/3 does not follow its last generation"},
      {"a generation twice",
       [](SampleLog& log) {
         log.admit("both");
         for (auto entry = log.entries.end() - 2; entry != log.entries.end(); ++entry)
           entry->record.set(Field::target, "both/1");
       },
       "handover target both/1 does not follow its last generation"},
      {"a KEK for a target",
       then(admit_new, set("target.admit", "outcome", Field::roles, "guek+kek")),
       "a KEK is never handed over"},
      {"roles in another order",
       then(admit_new, set("target.admit", "outcome", Field::roles, "gak+guek")), "roles is not"},
      {"a role twice", then(admit_new, set("target.admit", "outcome", Field::roles, "gak+gak")),
       "roles is not"},
      {"half a role", then(admit_new, set("target.admit", "outcome", Field::roles, "gak+")),
       "roles is not"},
      {"no role", then(admit_new, set("target.admit", "outcome", Field::roles, "")),
       "roles is not"},
      {"no certificate",
       then(admit_new, set("target.admit", "outcome", Field::certificate_sha256, "none")),
       "certificate_sha256 is not"},
      {"no public key",
       then(admit_new, set("target.admit", "outcome", Field::public_key_sha256, "none")),
       "public_key_sha256 is not"},
      {"another mechanism",
       then(admit_new, set("target.admit", "outcome", Field::mechanism, "CKM_RSA_PKCS,SHA-256")),
       "mechanism is not"},
      {"another hash to admit",
       then(admit_new, set("target.admit", "outcome", Field::mechanism, "CKM_RSA_PKCS_OAEP,MD5")),
       "mechanism is not"},
      {"no attributes", then(admit_new, set("target.admit", "outcome", Field::attributes, "")),
       "attributes is missing"},
      {"no vault", then(admit_new, set("target.admit", "outcome", Field::detail, "vault of gold")),
       "detail is not"},
      {"no such time",
       then(admit_new, set("target.admit", "outcome", Field::detail, "vault token, after")),
       "detail is not"},
      {"no detail", then(admit_new, set("target.admit", "outcome", Field::detail, "token")),
       "detail is not"},
      {"a name that can't be",
       then(admit_new, set("target.admit", "intent", Field::target, "n,ew/1")),
       "target is not NAME/GENERATION"},
      {"a name that is too long",
       then(admit_new,
            set("target.admit", "intent", Field::target, std::string(33, 'n') + "/1")),
       "target is not NAME/GENERATION"},
      {"a ninth",
       [](SampleLog& log) {
         for (char name = 'a'; name < 'h'; ++name) log.admit(std::string(1, name));
       },
       "handover target g/1 is one more than eight"},

      // target.retire, target.compromise, target.destroy
      {"retired by one identity",
       [](SampleLog& log) {
         log.end_target("both", "retire");
         log.entries.back().record.set(Field::requested_by, "dco:ops-7");
       },
       "it needs two"},
      {"retired and never admitted",
       [](SampleLog& log) {
         log.end_target("both", "retire");
         log.entries.back().record.set(Field::target, "ghost/1");
       },
       "handover target ghost/1 was never admitted"},
      {"retired twice",
       [](SampleLog& log) {
         log.end_target("both", "retire");
         log.end_target("both", "retire");
       },
       "handover target both/1 is retired, and is not admitted any more"},
      {"retired by an old generation",
       [](SampleLog& log) {
         log.admit("both");
         log.end_target("both", "retire");
         log.entries.back().record.set(Field::target, "both/1");
       },
       "handover target both/1 was renewed"},
      {"compromised by one identity",
       [](SampleLog& log) {
         log.end_target("both", "compromise");
         log.entries.back().record.set(Field::authorised_by, "");
       },
       "authorised_by is missing"},
      {"compromised, and nobody told",
       [](SampleLog& log) {
         log.end_target("both", "compromise");
         log.entries.back().record.set(Field::notify, "");
       },
       "notify is missing"},
      {"compromised, and no suspicion",
       [](SampleLog& log) {
         log.end_target("both", "compromise");
         log.entries.back().record.set(Field::detail, "");
       },
       "detail is missing"},
      {"compromised in a generation to come",
       [](SampleLog& log) {
         log.end_target("both", "compromise");
         log.entries.back().record.set(Field::target, "both/2");
       },
       "handover target both/2 was never admitted"},
      {"destroyed while it is admitted",
       [](SampleLog& log) { log.destroy_target("both", 1); },
       "handover target both/1 is admitted, and its public key is destroyed"},
      {"destroyed without a check",
       [](SampleLog& log) {
         log.end_target("both", "retire");
         log.destroy_target("both", 1);
         log.entries.back().record.set(Field::detail, "gone, I think");
       },
       "absence-checked"},
      {"destroyed without an intent",
       [](SampleLog& log) {
         log.end_target("both", "retire");
         log.destroy_target("both", 1);
         log.entries.erase(log.entries.end() - 2);
       },
       "without an open intent"},
      {"another's key destroyed",
       [](SampleLog& log) {
         log.end_target("both", "retire");
         log.end_target("slow", "retire");
         log.destroy_target("both", 1);
         for (auto entry = log.entries.end() - 2; entry != log.entries.end(); ++entry)
           entry->record.set(Field::target, "slow/1");
       },
       "was planned for another purpose or handover target"},
      {"destroyed by one identity",
       [](SampleLog& log) {
         log.end_target("both", "retire");
         log.destroy_target("both", 1);
         log.entries.back().record.set(Field::reference, "");
       },
       "reference is missing"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.name);
    auto log = served();
    each.change(log);
    const auto report = report_of(log);
    CAPTURE(report.why);
    CHECK(report.verdict == Verdict::failed);
    CHECK(report.index);
    CHECK(contains(report.why, each.why));
  }
}

TEST_CASE("a bundle shows a device's handovers, and not which targets there were") {
  const test::TestKey key;
  const test::Scratch scratch;
  auto log = served();
  log.state_map();
  const auto verdict = [&](SampleLog story, const char* name) {
    story.export_to(scratch.path(name), key);
    ExportReader reader(scratch.path(name));
    return verify(prove(reader, device), {.keys = {key.audit_key()}});
  };
  CHECK(verdict(log, "good").verdict == Verdict::verified);
  auto twice = served();
  twice.receive(device, "guek", 1, "slow/1");
  twice.entries.back().record.set(Field::state_from, "active").set(Field::state_to, "active");
  twice.state_map();
  CHECK(contains(verdict(twice, "twice").why, "was received by this target before"));
  auto unknown = served();
  unknown.release(device, "gak", 2);
  edit("both/1", "ghost/1")(unknown);
  unknown.state_map();
  CHECK(verdict(unknown, "unknown").verdict == Verdict::verified);  // the whole log says FAILED
  CHECK(report_of(unknown).verdict == Verdict::failed);
}
