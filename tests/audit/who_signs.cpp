// SPDX-License-Identifier: Apache-2.0
// Who may sign the heads of a log whose audit key was renewed.
#include <doctest/doctest.h>

#include "audit/rich_story.hpp"
#include "audit/text.hpp"
#include "support/expect.hpp"

using namespace smets1kms::audit;
using test::MemoryLog;
using test::SampleLog;
using test::TestKey;

namespace {

const TestKey first, second, nobodys;

/// Adds the records of a key's making.
void introduce(SampleLog& log, const TestKey& key, const std::string& name) {
  for (const auto* phase : {"intent", "outcome"}) {
    const bool is_made = std::string(phase) == "outcome";
    auto record = SampleLog::record(op::audit_key_generate, phase, is_made ? "ok" : "", name);
    log.two_identities(record);
    record.set(Field::key_id, test::key_id(0, name, 1));
    if (is_made)
      record.set(Field::ckr, "CKR_OK")
          .set(Field::public_key_sha256, to_hex(sha256(key.audit_key().pem())));
    else
      record.set(Field::mechanism, "CKM_EC_KEY_PAIR_GEN");
    log.add(record, {});
  }
}

void beat(SampleLog& log) {
  log.add(SampleLog::record(op::audit_heartbeat, "note").set(Field::detail, "interval-s 3600"), {});
}

using Heads = std::vector<MemoryLog::Head>;

/// Verifies a log of six records: two that introduce the first key, a heartbeat, two that introduce
/// the second, a heartbeat.
Report report_of(const Heads& heads, const std::vector<TestKey>& given,
                 const std::vector<TestKey>& beside = {first, second},
                 std::optional<Note> since = {}) {
  SampleLog log;
  introduce(log, first, "first");
  beat(log);
  introduce(log, second, "second");
  beat(log);
  log.seal();
  MemoryLog memory(log, heads);
  for (const auto& key : beside) memory.keys.push_back(key.audit_key());
  std::vector<AuditKey> keys;
  for (const auto& key : given) keys.push_back(key.audit_key());
  return verify(memory, {.keys = keys, .since = std::move(since)});
}

const Heads legal{{2, {first}}, {3, {first}}, {5, {first, second}}, {6, {second}}};

}  // namespace

TEST_CASE("one of its audit keys is enough for a log that was renewed") {
  for (const auto& given : {std::vector{first}, std::vector{second}, std::vector{first, second}}) {
    const auto report = report_of(legal, given);
    CHECK(report.why == "");
    CHECK(report.verdict == Verdict::verified);
    REQUIRE(report.head);
    CHECK(report.head->head.size == 6);
  }
  // What an assessor kept under the first key is known under the second.
  SampleLog log;
  introduce(log, first, "first");
  CompactRange tree;
  for (const auto& bytes : log.bytes()) tree.append(leaf_hash(bytes));
  const auto since =
      Issuer(SampleLog::origin, {first.signer()}, std::nullopt).issue(2, tree.root(), {});
  CHECK(report_of(legal, {second}, {first, second}, since).verdict == Verdict::verified);
  CHECK(report_of(legal, {nobodys}).verdict == Verdict::inconclusive);
  // Without the successor's public key nothing shows who signed.
  const auto report = report_of(legal, {first}, {first});
  CHECK(report.verdict == Verdict::inconclusive);
  CHECK(test::contains(report.why, "audit key " + to_hex(second.audit_key().id())));
  CHECK(report_of(legal, {first, second}, {}).verdict == Verdict::verified);
}

TEST_CASE("a head is signed by the key that the log introduced last, and a new one by both") {
  struct Case {
    const char* what;
    Heads heads;
    std::uint64_t index;
  };
  const Case cases[] = {
      {"the former key alone, behind the renewal",
       {{3, {first}}, {5, {first, second}}, {6, {first}}},
       5},
      {"both, later", {{3, {first}}, {5, {first, second}}, {6, {first, second}}}, 5},
      {"the former key alone, on the renewal", {{3, {first}}, {5, {first}}}, 4},
      {"the new key alone, on the renewal", {{3, {first}}, {5, {second}}, {6, {second}}}, 4},
      {"a key that is not introduced yet", {{3, {second}}, {5, {first, second}}, {6, {second}}}, 2},
      {"nobody's key", {{3, {nobodys}}, {6, {second}}}, 2},
      {"nobody's beside it", {{3, {first, nobodys}}, {5, {first, second}}, {6, {second}}}, 2},
  };
  for (const auto& each : cases) {
    CAPTURE(each.what);
    for (const auto& given :
         {std::vector{first}, std::vector{second}, std::vector{first, second, nobodys}}) {
      const auto report = report_of(each.heads, given);
      CHECK(report.verdict == Verdict::failed);
      CHECK(report.index == each.index);
      CHECK(test::contains(report.why, "is not signed by the audit keys that sign at this point"));
    }
  }
}
