// SPDX-License-Identifier: Apache-2.0
// Files of handovers against a log: cli.sh has what a line of JSON may be.
#include "audit/handover_file.hpp"

#include <doctest/doctest.h>

#include "audit/sample_log.hpp"
#include "audit/text.hpp"
#include "support/expect.hpp"
#include "unit/scratch.hpp"

using namespace smets1kms::audit;
using smets1kms::KeyRole;
using test::contains;
using test::SampleLog;

namespace {

constexpr std::uint64_t device = 0x00DB123456789000;

struct Line {
  HandoverLine line{};
  std::optional<Note> checkpoint{};
};
using File = std::vector<Line>;

/// A log with a GUEK and a GAK of two devices for two targets, its heads by size, and a file of all
/// that was handed over.
struct Sample {
  test::TestKey key;
  SampleLog log;
  std::vector<Note> heads;
  File file;

  Sample() {
    log.admit("both", "guek+gak", false, "SHA-1");
    log.admit("one", "guek");
    for (const auto each : {device, device + 1}) {
      log.import_kek(each);
      log.rotate(each, "guek", 1);
      log.rotate(each, "gak", 1);
    }
    log.state_map();
    log.seal();
    CompactRange tree;
    heads.push_back(head(key, tree));
    for (const auto& bytes : log.bytes()) {
      tree.append(leaf_hash(bytes));
      heads.push_back(head(key, tree));
    }
    for (const auto& [record, of] : log.entries) {
      if (record.text(Field::handovers).empty()) continue;
      const auto all = parse_handovers(record.text(Field::handovers)).value();
      for (const auto& each : all) {
        HandoverLine line{.device = *of,
                          .role = record.text(Field::role) == "gak" ? KeyRole::gak : KeyRole::guek,
                          .generation = 1,
                          .transfer = static_cast<std::uint32_t>(*record.number(Field::transfer)),
                          .target = std::string(each.target),
                          .hash = std::string(each.hash),
                          .sha256 = *parse_hash(each.sha256)};
        REQUIRE(parse_hex(record.text(Field::key_id), line.key));
        file.push_back({line});
      }
    }
    REQUIRE(file.size() == 6);
    file.push_back({.checkpoint = heads.back()});
  }
  static Note head(const test::TestKey& key, const CompactRange& tree,
                   const char* origin = SampleLog::origin) {
    return Issuer(origin, {key.signer()}, std::nullopt).issue(tree.size(), tree.root(), {});
  }

  /// What is said of these files beside an export of the first `records`.
  Report report(const std::vector<File>& files, std::size_t records = SIZE_MAX,
                std::optional<std::vector<AuditKey>> keys = {}) {
    auto exported = log;
    if (records < exported.entries.size()) exported.entries.resize(records);
    const test::Scratch scratch;
    exported.export_to(scratch.path("export"), key);
    const VerifyOptions given{.keys = keys.value_or(std::vector{key.audit_key()})};
    auto options = given;
    HandoverFiles check(given.keys);
    Report result;
    try {
      for (std::size_t i = 0; i < files.size(); ++i) {
        check.begin("file" + std::to_string(i));
        for (std::size_t line = 0; line < files[i].size(); ++line)
          if (files[i][line].checkpoint)
            check.add(line + 1, *files[i][line].checkpoint);
          else
            check.add(line + 1, files[i][line].line);
      }
      options.for_each_record = [&](const auto& record, const auto& summary) {
        check.add_record(record, summary);
      };
      ExportReader reader(scratch.path("export"));
      result = verify(reader, options);
      check.finish(reader, result);
    } catch (const VerificationFailed& failure) {
      result.end(Verdict::failed, failure.what());
    }
    return result;
  }
};

}  // namespace

TEST_CASE("a file of handovers that the log vouches for is verified") {
  Sample sample;
  const auto good = sample.report({sample.file});
  CAPTURE(good.why);
  CHECK(good.verdict == Verdict::verified);
  REQUIRE(good.handovers.size() == 1);
  CHECK(good.handovers[0].lines == 6);
  CHECK(good.handovers[0].checkpoints == 1);
  // Several runs in a file, a line handed out once more, several files, one without a handover.
  auto runs = sample.file;
  runs.insert(runs.begin() + 3, {.checkpoint = sample.heads[sample.heads.size() / 2 + 1]});
  runs.insert(runs.end(), {sample.file[1], sample.file.back()});
  const auto more = sample.report({runs, {sample.file.back()}, sample.file});
  CAPTURE(more.why);
  CHECK(more.verdict == Verdict::verified);
  CHECK(more.handovers.size() == 3);
  CHECK(more.handovers[0].lines == 7);
}

TEST_CASE("a file of handovers that the log contradicts fails at its line") {
  Sample sample;
  struct Case {
    const char* name;
    std::function<void(File&)> change;
    const char* why;
  };
  const auto line = [](auto change) { return [=](File& file) { change(file[2].line); }; };
  const test::TestKey other;
  CompactRange tree, false_tree;
  for (const auto& bytes : sample.log.bytes()) tree.append(leaf_hash(bytes));
  false_tree.append(leaf_hash("{}"));
  const Case cases[] = {
      {"device", line([](auto& each) { each.device += 1; }),
       "file1:3: its member \"device_id\" is not what the outcome of its key, record "},
      {"role", line([](auto& each) { each.role = KeyRole::gbek; }), "file1:3: its member \"role\""},
      {"generation", line([](auto& each) { each.generation = 2; }),
       "file1:3: its member \"generation\""},
      {"transfer", line([](auto& each) { each.transfer += 1; }),
       "file1:3: its member \"transfer_id\""},
      {"another target", line([](auto& each) { each.target = "one/1"; }),
       "file1:3: its member \"target\""},
      {"another generation", line([](auto& each) { each.target = "both/2"; }),
       "file1:3: its member \"target\""},
      {"hash", line([](auto& each) { each.hash = "SHA-256"; }), "file1:3: its member \"hash\""},
      {"other bytes", line([](auto& each) { each.sha256[31] ^= 1; }),
       "file1:3: its member \"sha256\""},
      {"another device's bytes",
       [](File& file) { std::swap(file[0].line.sha256, file[3].line.sha256); },
       "file1:1: its member \"sha256\""},
      {"a key that was never made", line([](auto& each) { each.key[0] ^= 1; }),
       "file1:3: no record up to the checkpoint in line 7 says that its key was made"},
      {"no checkpoint", [](File& file) { file.pop_back(); },
       "file1:1: no checkpoint stands behind it"},
      {"a line behind the checkpoint", [](File& file) { file.push_back(file[0]); },
       "file1:8: no checkpoint stands behind it"},
      {"nothing at all", [](File& file) { file.clear(); }, "file1:1: there is no checkpoint"},
      {"a checkpoint that does not cover the last line",
       [&](File& file) { file.back().checkpoint = sample.heads[sample.heads.size() / 2]; },
       "file1:7: the head of 11 records does not cover the lines before it"},
      {"a checkpoint of a run that does not cover its lines",
       [&](File& file) { file.insert(file.begin() + 2, {.checkpoint = sample.heads[4]}); },
       "file1:3: the head of 4 records does not cover the lines before it"},
      {"a head of nothing", [&](File& file) { file.back().checkpoint = sample.heads[0]; },
       "file1:7: the head of 0 records does not cover"},
      {"a head of other records",
       [&](File& file) { file.back().checkpoint = Sample::head(sample.key, false_tree); },
       "file1:7: the head of 1 records was signed over other records"},
      {"a head of another log",
       [&](File& file) { file.back().checkpoint = Sample::head(sample.key, tree, "log/other"); },
       "file1:7: the head of 21 records is of another log, log/other"},
      {"a false signature", [&](File& file) { file.back().checkpoint->head.size -= 1; },
       "file1:7: a false signature"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.name);
    auto bad = sample.file;
    each.change(bad);
    const auto report = sample.report({sample.file, bad});
    CAPTURE(report.why);
    CHECK(report.verdict == Verdict::failed);
    CHECK(contains(report.why, each.why));
  }
}

TEST_CASE("what an export does not show of a file of handovers is missing") {
  Sample sample;
  const auto missing = [&](const Report& report) {
    CAPTURE(report.why);
    CHECK(report.verdict == Verdict::inconclusive);
    return report.why;
  };
  const auto size = sample.log.entries.size();
  CHECK(contains(missing(sample.report({sample.file}, size / 2)),
                 "an export of 21 records, which the checkpoint at file0:7 covers"));
  const test::TestKey other;
  CHECK(contains(missing(sample.report({sample.file}, size, std::vector{other.audit_key()})),
                 "which has signed the checkpoint at file0:7"));
  CHECK(contains(missing(sample.report({sample.file}, size, std::vector<AuditKey>{})),
                 "a public audit key"));
  auto by_another = sample.file;
  CompactRange tree;
  for (const auto& bytes : sample.log.bytes()) tree.append(leaf_hash(bytes));
  by_another.back().checkpoint = Sample::head(other, tree);
  CHECK(contains(missing(sample.report({by_another})), "which has signed the checkpoint"));
  // What contradicts the log is FAILED all the same, and what is wrong with the log comes first.
  auto bad = sample.file;
  bad[0].line.generation = 2;
  CHECK(sample.report({bad}, size / 2).verdict == Verdict::failed);
  sample.log.entries[8].record.set(Field::generation, 7);
  const auto damaged = sample.report({bad});
  CHECK(damaged.verdict == Verdict::failed);
  CHECK_FALSE(contains(damaged.why, "file0"));
}
