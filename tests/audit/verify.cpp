// SPDX-License-Identifier: Apache-2.0
#include "audit/verify.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "audit/log_checks.hpp"
#include "audit/record_rules.hpp"
#include "audit/sample_log.hpp"
#include "audit/text.hpp"
#include "lifecycle/key_rules.hpp"
#include "support/expect.hpp"
#include "unit/scratch.hpp"

using namespace smets1kms::audit;
using test::contains;
using test::key_id;
using test::SampleLog;

namespace {

constexpr std::uint64_t first_device = 0x00DB123456789000;

struct Seen {
  Verdict verdict;
  std::string why;
};

Report report_of(const std::filesystem::path& directory, const VerifyOptions& options) {
  try {
    ExportReader log(directory);
    return verify(log, options);
  } catch (const VerificationFailed& failure) {
    Report report;
    report.verdict = Verdict::failed;
    report.why = failure.what();
    return report;
  }
}

/// What is said of the log after `change` was made by whoever has the audit key, too.
Report after(const std::function<void(SampleLog&)>& change, std::uint64_t devices = 2) {
  static const test::TestKey key;
  auto log = SampleLog::of(devices);
  change(log);
  log.seal();
  const test::Scratch scratch;
  log.export_to(scratch.path("export"), key);
  return report_of(scratch.path("export"), {.keys = {key.audit_key()}});
}

std::size_t find(const SampleLog& log, std::string_view operation, std::string_view phase,
                 std::string_view result = {}) {
  for (std::size_t i = 0; i < log.entries.size(); ++i) {
    const auto& record = log.entries[i].record;
    if (record.text(Field::op) == operation && record.text(Field::phase) == phase &&
        record.text(Field::result) == result)
      return i;
  }
  FAIL("no such record");
  return 0;
}

Record& at(SampleLog& log, std::string_view operation, std::string_view phase,
           std::string_view result = {}) {
  return log.entries[find(log, operation, phase, result)].record;
}

}  // namespace

TEST_CASE("a legal story is verified; what is open in it is a finding") {
  const auto plain = after([](SampleLog&) {});
  CHECK(plain.verdict == Verdict::verified);
  CHECK_FALSE(plain.finding_counts.contains("old-device-map"));
  const auto refused = after([](SampleLog& log) {
    auto record = SampleLog::record("key.generate", "note", "refused");
    record.set(Field::detail, "unknown-device");
    log.add(record, first_device + 77);
  });
  CHECK(refused.verdict == Verdict::verified);
  CHECK(refused.devices == 2);  // it is no device of the log
  const auto doubtful =
      after([](SampleLog& log) { log.rotate(first_device, "gak", 2, "in-doubt"); });
  CHECK(doubtful.verdict == Verdict::verified);
  CHECK(doubtful.finding_counts.at("in-doubt") == 1);
  const auto release_again = [](SampleLog& log, const char* state_to) {
    log.release(first_device, "gak", 2);
    auto again = SampleLog::record("transfer.release-again", "note", "handed-out-again");
    again.set(Field::role, "gak")
        .set(Field::generation, 2)
        .set(Field::key_id, key_id(first_device, "gak", 2))
        .set(Field::state_from, "pre-active")
        .set(Field::state_to, state_to);
    log.add(again, first_device);
    log.answer(first_device, "gak", 2, "confirmed");
  };
  CHECK(after([&](SampleLog& log) { release_again(log, "pre-active"); }).verdict ==
        Verdict::verified);
  CHECK(after([&](SampleLog& log) { release_again(log, "active"); }).verdict == Verdict::failed);
  const auto replaced = after([](SampleLog& log) {
    for (const std::uint64_t generation : {1, 2}) {
      log.compromise_kek(first_device, generation);
      log.import_kek(first_device, generation + 1);
    }
  });
  CHECK(replaced.verdict == Verdict::verified);
  const auto without_kek = [](SampleLog& log) {
    log.register_device(first_device + 5, "ESME", "guek", "2026-11-20T00:00:00.000Z", "lost");
    log.import_kek(first_device + 5);
    log.rotate(first_device + 5, "guek", 1);
  };
  CHECK(after(without_kek).verdict == Verdict::verified);
  const auto moved =
      after([](SampleLog& log) { log.move_kek(first_device, 2, key_id(first_device, "kek", 1)); });
  CHECK(moved.verdict == Verdict::verified);
  const auto beside_a_refused_one = after([](SampleLog& log) {
    log.release(first_device, "kek", 2);
    log.answer(first_device, "kek", 2, "not-held");
    log.import_kek(first_device, 3);
    (log.entries.end() - 2)
        ->record.set(Field::predecessor, key_id(first_device, "kek", 1))
        .set(Field::wrapped_sha256, to_hex(sha256(key_id(first_device, "kek", 1))));
    log.entries.back().record.set(Field::predecessor, key_id(first_device, "kek", 1));
  });
  CAPTURE(beside_a_refused_one.why);
  CHECK(beside_a_refused_one.verdict == Verdict::verified);
  const auto open = after([](SampleLog& log) {
    log.rotate(first_device, "gak", 2);
    log.entries.pop_back();  // superseded
    log.entries.pop_back();  // confirmed
    log.entries.pop_back();  // outcome
  });
  CHECK(open.verdict == Verdict::verified);
  REQUIRE(open.finding_counts.at("open-intent") == 1);
  CHECK(std::ranges::find(open.findings, "open-intent", &Finding::kind)->index ==
        SampleLog::of(2).entries.size());
}

TEST_CASE("an illegal story fails, although every hash and signature is right") {
  struct Case {
    const char* name;
    std::function<void(SampleLog&)> change;
    const char* why;
  };
  const auto set = [](const char* operation, const char* phase, const char* result, Field field,
                      const char* value) {
    return [=](SampleLog& log) { at(log, operation, phase, result).set(field, value); };
  };
  const auto drop = [](const char* operation, const char* phase, const char* result) {
    return [=](SampleLog& log) {
      log.entries.erase(log.entries.begin() +
                        static_cast<std::ptrdiff_t>(find(log, operation, phase, result)));
    };
  };
  const Case cases[] = {
      {"an outcome without its intent", drop("key.generate", "intent", ""),
       "without an open intent"},
      {"an import without its intent", drop("key.import", "intent", ""), "without an open intent"},
      {"a destruction without its intent", drop("key.destroy", "intent", ""),
       "without an open intent"},
      {"a key confirmed and never made", drop("key.generate", "outcome", "ok"), "and is none"},
      {"a KEK used and never imported", drop("key.import", "outcome", "ok"), "not a usable KEK"},
      {"one identity", set("key.generate", "intent", "", Field::authorised_by, "S1SP:ops-1"),
       "it needs two"},
      {"one identity destroys",
       set("key.destroy", "outcome", "ok", Field::authorised_by, "s1sp:OPS-1"), "it needs two"},
      {"no requester", set("key.destroy", "intent", "", Field::requested_by, ""),
       "requested_by is missing"},
      {"no reference", set("key.import", "intent", "", Field::reference, ""),
       "reference is missing"},
      {"no absence check", set("key.destroy", "outcome", "ok", Field::detail, "gone, I think"),
       "absence-checked"},
      {"an illegal transition",
       set("transfer.reply", "note", "superseded", Field::state_to, "suspended"), ""},
      {"back from the dead",
       set("transfer.reply", "note", "superseded", Field::state_from, "destroyed"),
       "no key becomes"},
      {"destroyed by a reply",
       set("transfer.reply", "note", "superseded", Field::state_to, "destroyed"), ""},
      {"another state than the key has",
       set("transfer.reply", "note", "superseded", Field::state_from, "suspended"),
       "is said to be suspended"},
      {"a device with keys, and said to have no KEK",
       [](SampleLog& log) {
         log.register_device(first_device, "ESME", "guek", "2026-11-20T00:00:00.000Z", "lost");
       },
       "a device that has keys is said to have no KEK"},
      {"a device without a KEK, and no reason",
       [](SampleLog& log) {
         log.register_device(first_device + 5, "ESME", "guek", "2026-11-20T00:00:00.000Z", "lost");
         log.entries.back().record.set(Field::detail, "lost");
       },
       "its detail does not say 'no usable KEK: '"},
      {"a device without a KEK that is rotated",
       [](SampleLog& log) {
         log.register_device(first_device + 5, "ESME", "guek", "2026-11-20T00:00:00.000Z", "lost");
         log.rotate(first_device + 5, "guek", 1);
       },
       "under a key that is not a usable KEK"},
      {"an outcome of another operation",
       set("key.generate", "outcome", "ok", Field::op_id, "another"), "without an open intent"},
      {"a key of another id",
       set("key.generate", "outcome", "ok", Field::key_id, "00112233445566778899aabbccddeeff"),
       "without an open intent"},
      {"a wrap under a foreign KEK",
       set("key.generate", "intent", "", Field::kek_id, "00112233445566778899aabbccddeeff"),
       "not a usable KEK"},
      {"a wrap under another KEK than planned",
       set("key.generate", "outcome", "ok", Field::kek_id, "00112233445566778899aabbccddeeff"),
       "another KEK than was planned"},
      {"a wrap without a trace",
       set("key.generate", "outcome", "ok", Field::wrapped_sha256, "none"), "wrapped_sha256"},
      {"an outcome without attributes", set("key.generate", "outcome", "ok", Field::attributes, ""),
       "attributes is missing"},
      {"an unknown state", set("key.generate", "outcome", "ok", Field::state_to, "shiny"),
       "not a key state"},
      {"another role", set("transfer.reply", "note", "confirmed", Field::role, "gak"),
       "not what this record says"},
      {"a device that is none",
       set("key.destroy", "outcome", "ok", Field::device, "00-db-12-34-56-78-90-00"), "EUI-64"},
      {"a time that goes back",
       set("key.destroy", "outcome", "ok", Field::time, "2026-11-21T00:00:00.000Z"),
       "no record says that the clock was set"},
      {"a time that is none", set("key.destroy", "outcome", "ok", Field::time, "yesterday"),
       "2026-11-22T18:00:00.000Z"},
      {"a GUEK that was imported",
       [](SampleLog& log) { at(log, "key.import", "intent", "").set(Field::role, "guek"); },
       "a guek is never imported"},
      {"a suspected key that goes on wrapping",
       [](SampleLog& log) {
         log.compromise_kek(first_device, 1);
         at(log, "key.compromise", "note", "compromised").set(Field::state_to, "active");
       },
       "no key becomes active from active"},
      {"a suspected key destroyed by another suspicion",
       [](SampleLog& log) {
         log.compromise_kek(first_device, 1);
         log.compromise(first_device, "kek", 1, "compromised");
         log.entries.back().record.set(Field::state_to, "destroyed-compromised");
       },
       "a key is destroyed without a destruction"},
      {"a destruction that leaves the key",
       set("key.destroy", "outcome", "ok", Field::state_to, "deactivated"),
       "no key becomes deactivated"},
      {"made, and active at once", set("key.generate", "outcome", "ok", Field::state_to, "active"),
       ""},
      {"a destruction that was settled by what was found",
       [](SampleLog& log) {
         at(log, "key.destroy", "outcome", "ok")
             .set(Field::op, "operation.settle")
             .set(Field::result, "recovered-executed")
             .set(Field::detail, "key.destroy, objects found 5");
       },
       "its objects were found"},
      {"a destruction that was settled as not begun, and ended",
       [](SampleLog& log) {
         at(log, "key.destroy", "outcome", "ok")
             .set(Field::op, "operation.settle")
             .set(Field::result, "not-executed")
             .set(Field::detail, "key.destroy, objects found 0");
       },
       "by 'operation.settle not-executed' no key becomes destroyed"},
      {"a generation that no counter has",
       [](SampleLog& log) {
         at(log, "key.generate", "intent", "").set(Field::generation, (std::uint64_t{1} << 32) + 1);
       },
       "without its generation"},
      {"a heartbeat without interval",
       set("audit.heartbeat", "note", "", Field::detail, "still here"), "interval-s"},
      {"a monotonic time that goes back",
       [](SampleLog& log) { at(log, "key.destroy", "outcome", "ok").set(Field::mono_us, 1); },
       "monotonic"},
      {"a generation used twice", [](SampleLog& log) { log.rotate(first_device, "gak", 1); },
       "was given to a key before"},
      {"a third key in a doubt",
       [](SampleLog& log) {
         log.rotate(first_device, "gak", 2, "in-doubt");
         log.rotate(first_device, "gak", 3, "in-doubt");
       },
       "is on its way"},
      {"confirmed twice",
       [](SampleLog& log) {
         log.add(at(log, "transfer.reply", "note", "confirmed"), first_device);
       },
       ""},
      {"a KEK imported beside one that is usable",
       [](SampleLog& log) { log.import_kek(first_device, 2); },
       "is imported while generation 1 is usable"},
      {"a KEK imported beside another that is usable",
       [](SampleLog& log) {
         log.compromise_kek(first_device, 1);
         log.import_kek(first_device, 2);
         log.import_kek(first_device, 3);
       },
       "is imported while generation 2 is usable"},
      {"a KEK moved from other bytes",
       [](SampleLog& log) { log.move_kek(first_device, 2, "other"); },
       "is imported while generation 1 is usable"},
      {"a KEK moved that is suspended",
       [](SampleLog& log) {
         log.compromise_kek(first_device, 1);
         log.import_kek(first_device, 2);
         log.move_kek(first_device, 3, key_id(first_device, "kek", 1));
       },
       "is imported while generation 2 is usable"},
      {"a KEK moved from one that a rotation made",
       [](SampleLog& log) {
         log.release(first_device, "kek", 2);
         log.answer(first_device, "kek", 2, "confirmed");
         log.move_kek(first_device, 3, "whatever");
       },
       "is imported while generation 2 is usable"},
      {"a key under a KEK that was moved",
       [](SampleLog& log) {
         log.move_kek(first_device, 2, key_id(first_device, "kek", 1), false);
         log.rotate(first_device, "gak", 2, "in-doubt");
       },
       "under a KEK that was moved"},
      {"a KEK imported from nothing",
       set("key.import", "intent", "", Field::wrapped_sha256, "none"),
       "wrapped_sha256 is not a hash"},
      {"a KEK imported under a KEK",
       set("key.import", "intent", "", Field::kek_id, "0123456789abcdef0123456789abcdef"),
       "came under no KEK"},
      {"a KEK imported again as the same generation",
       [](SampleLog& log) {
         log.compromise_kek(first_device, 1);
         log.import_kek(first_device, 1);
       },
       "was given to a key before"},
      {"superseded by nothing",
       [](SampleLog& log) {
         const auto place =
             static_cast<std::ptrdiff_t>(find(log, "transfer.reply", "note", "confirmed"));
         auto entry = log.entries[static_cast<std::size_t>(place)];
         entry.record = test::without(entry.record, {Field::detail});
         entry.record.set(Field::result, "superseded")
             .set(Field::state_from, "active")
             .set(Field::state_to, "deactivated");
         log.entries.insert(log.entries.begin() + place + 1, entry);
       },
       "no newer key"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.name);
    const auto report = after(each.change);
    CAPTURE(report.why);
    CHECK(report.verdict == Verdict::failed);
    CHECK(report.index);
    CHECK(contains(report.why, each.why));
  }
}

TEST_CASE("the clock may be set where a record says so") {
  const auto back = [](SampleLog& log, bool told) {
    if (told)
      log.add(SampleLog::record("clock.step", "note")
                  .set(Field::detail, "from 2026-11-22T00:00:01.000Z"),
              std::nullopt);
    else
      log.rotate(first_device, "gak", 2, "in-doubt");
    for (std::size_t i = log.entries.size() - 1; i < log.entries.size(); ++i)
      log.entries[i].record.set(Field::time, "2026-11-21T00:00:00.000Z");
  };
  const auto told = after([&](SampleLog& log) { back(log, true); });
  CHECK(told.verdict == Verdict::verified);
  CHECK(told.finding_counts.at("clock-step") == 1);
  CHECK(after([&](SampleLog& log) { back(log, false); }).verdict == Verdict::failed);
}

TEST_CASE("a silence longer than two heartbeats is a finding") {
  const auto report = after([](SampleLog& log) {
    auto beat = SampleLog::record("audit.heartbeat", "note");
    beat.set(Field::detail, "interval-s 3600");
    log.add(beat, std::nullopt);
    log.entries.back().record.set(Field::time, "2026-11-22T18:00:00.000Z");
  });
  CHECK(report.verdict == Verdict::verified);
  CHECK(report.finding_counts.at("silence") == 1);
  CHECK(report.finding_counts.at("old-device-map") ==
        1);  // the silence was over, and no new map made
}

TEST_CASE("what this program does not know, and what was lost, is inconclusive") {
  const auto later = after([](SampleLog& log) {
    at(log, "audit.heartbeat", "note").set(Field::op, "quantum.entangle");
  });
  CHECK(later.verdict == Verdict::inconclusive);
  CHECK(contains(later.why, "newer smets1-audit"));
  CHECK(after([](SampleLog& log) {
          at(log, "audit.heartbeat", "note").set(Field::v, 2);
        }).verdict == Verdict::inconclusive);
  const auto gap = after([](SampleLog& log) {
    auto record = SampleLog::record("audit.gap", "note");
    log.two_identities(record);
    record.set(Field::detail, "lost-head 99 " + to_hex(sha256("x")) + ", orphans 0");
    log.add(record, std::nullopt);
  });
  CHECK(gap.verdict == Verdict::inconclusive);
  CHECK(contains(gap.why, "records that were lost"));
}

TEST_CASE("keys, heads and the head of an earlier visit") {
  const test::TestKey key, other;
  auto log = SampleLog::of(3);
  const test::Scratch scratch;
  log.export_to(scratch.path("export"), key);
  const auto seen = [&](const VerifyOptions& options) {
    return report_of(scratch.path("export"), options);
  };
  const auto note = *seen({.keys = {key.audit_key()}}).head;
  CHECK(note.head.size == log.entries.size());
  CHECK(seen({}).verdict == Verdict::inconclusive);
  CHECK(seen({.keys = {other.audit_key()}}).verdict == Verdict::inconclusive);
  CHECK(seen({.keys = {key.audit_key()}, .since = note}).verdict == Verdict::verified);
  CHECK(seen({.keys = {key.audit_key()}, .since = {}, .origin = "log.example/test"}).verdict ==
        Verdict::verified);
  CHECK(seen({.keys = {key.audit_key()}, .since = {}, .origin = "log.example/other"}).verdict ==
        Verdict::failed);

  // Every earlier head is one that the log extends; one of a fork, a longer or another log's, a
  // forged or an empty one is not.
  CompactRange tree;
  const auto head_of = [&](const std::string& origin) {
    return Issuer(origin, {key.signer()}, std::nullopt).issue(tree.size(), tree.root(), {});
  };
  CHECK(seen({.keys = {key.audit_key()}, .since = head_of("log.example/test")}).verdict ==
        Verdict::inconclusive);
  for (const auto& bytes : log.bytes()) {
    tree.append(leaf_hash(bytes));
    REQUIRE(seen({.keys = {key.audit_key()}, .since = head_of("log.example/test")}).verdict ==
            Verdict::verified);
  }
  CHECK(seen({.keys = {key.audit_key()}, .since = head_of("log.example/other")}).verdict ==
        Verdict::failed);
  tree.append(leaf_hash("{}"));
  CHECK(contains(seen({.keys = {key.audit_key()}, .since = head_of("log.example/test")}).why,
                 "the log was cut"));
  tree = {};
  for (const auto& bytes : log.bytes()) tree.append(leaf_hash(bytes + " "));
  CHECK(contains(seen({.keys = {key.audit_key()}, .since = head_of("log.example/test")}).why,
                 "signed over other records"));
  auto forged = note;
  forged.head.size -= 1;
  CHECK(seen({.keys = {key.audit_key()}, .since = forged}).verdict == Verdict::failed);
  CHECK(seen({.keys = {other.audit_key()}, .since = note}).verdict == Verdict::inconclusive);
}

TEST_CASE("records behind the last head are not verified") {
  const test::TestKey key;
  const auto log = SampleLog::of(1);
  const test::Scratch scratch;
  ExportWriter writer(scratch.path("export"), SampleLog::origin);
  const auto bytes = log.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    writer.add({.bytes = bytes[i], .leaf = leaf_hash(bytes[i]), .previous = log.previous()[i]});
    if (i == 4)
      writer.add(Issuer(SampleLog::origin, {key.signer()}, std::nullopt)
                     .issue(writer.size(), writer.root(), {}));
  }
  writer.finish();
  const auto report = report_of(scratch.path("export"), {.keys = {key.audit_key()}});
  CHECK(report.verdict == Verdict::inconclusive);
  CHECK(contains(report.why, "from record 5 on"));
}

TEST_CASE("states and roles stand in the records by these words") {
  using smets1kms::KeyRole;
  using smets1kms::KeyState;
  const char* const states[] = {"none",        "pre-active",  "active",    "suspended",
                                "deactivated", "compromised", "destroyed", "destroyed-compromised"};
  for (std::size_t i = 0; i < std::size(states); ++i)
    CHECK(to_string(static_cast<KeyState>(i)) == states[i]);
  const char* const roles[] = {"guek", "gbek", "gak", "kek"};
  for (std::size_t i = 0; i < std::size(roles); ++i)
    CHECK(role_name(static_cast<KeyRole>(i)) == roles[i]);
  CHECK(role_name(std::nullopt) == "key");
}

TEST_CASE("many devices are put aside in files, and the story is the same") {
  ExternalSort<RecordSummary> sorted;
  constexpr std::uint64_t devices = 50000, each = 6;
  for (std::uint64_t i = 0; i < devices * each; ++i) {
    RecordSummary summary;
    summary.device = first_device + i % devices;
    summary.index = i;
    sorted.add(summary);
  }
  std::uint64_t seen = 0;
  sorted.for_each([&](const RecordSummary& summary) {
    REQUIRE(summary.device == first_device + seen / each);
    REQUIRE(summary.index == seen / each + seen % each * devices);
    ++seen;
  });
  CHECK(seen == devices * each);
}
