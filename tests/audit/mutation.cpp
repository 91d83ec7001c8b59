// SPDX-License-Identifier: Apache-2.0
// Whatever is changed in an export, a database or a bundle, nobody is told VERIFIED.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "audit/bundle.hpp"
#include "audit/sample_log.hpp"
#include "audit/verdict.hpp"
#include "registry/database_log.hpp"
#include "registry/schema.hpp"
#include "smets1kms/errors.hpp"
#include "unit/scratch.hpp"

using namespace smets1kms::audit;
using test::SampleLog;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t first_device = 0x00DB123456789000;

template <class Open>
Verdict verdict_of(const test::TestKey& key, Open open) {
  try {
    return open({.keys = {key.audit_key()}}).verdict;
  } catch (const VerificationFailed&) {
    return Verdict::failed;
  } catch (const smets1kms::StorageError&) {
    return Verdict::failed;
  }
}

Verdict verdict_of_export(const fs::path& directory, const test::TestKey& key) {
  return verdict_of(key, [&](const VerifyOptions& options) {
    ExportReader log(directory);
    return verify(log, options);
  });
}

void write(const fs::path& file, const std::string& content) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
}

std::vector<fs::path> files_of(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

std::vector<std::string> lines_of(const std::string& content) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < content.size();) {
    const auto end = std::min(content.find('\n', at), content.size() - 1) + 1;
    lines.push_back(content.substr(at, end - at));
    at = end;
  }
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const auto& line : lines) all += line;
  return all;
}

}  // namespace

TEST_CASE("no byte of an export can be changed") {
  const test::TestKey key;
  const test::Scratch scratch;
  const auto directory = scratch.path("export");
  SampleLog log;
  log.admit("head-end", "guek+gak", true);
  log.import_kek(first_device);
  log.release(first_device, "guek", 1);
  log.hand_over_again(first_device, "guek", 1, "head-end/1");
  log.receive(first_device, "guek", 1, "head-end/1");
  log.release_withheld(first_device, "guek", 1);
  log.answer(first_device, "guek", 1, "confirmed");
  log.end_target("head-end", "compromise");
  log.compromise(first_device, "guek", 1, "active", "compromised-through-target");
  log.entries.back().record.set(Field::target, "head-end/1");
  log.destroy_target("head-end", 1);
  log.rotate(first_device, "guek", 2, "in-doubt");
  log.state_map();
  log.export_to(directory, key, 4);
  REQUIRE(verdict_of_export(directory, key) == Verdict::verified);
  std::mt19937 random(1);
  std::size_t changed = 0;
  for (const auto& file : files_of(directory)) {
    const auto good = test::read_file(file);
    CAPTURE(file.string());
    for (std::size_t i = 0; i < good.size(); ++i) {
      CAPTURE(i);
      auto bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (i % 2 == 0 ? 1U << random() % 8 : 1 + random() % 255));
      write(file, bad);
      ++changed;
      REQUIRE(verdict_of_export(directory, key) != Verdict::verified);
    }
    write(file, good);
  }
  CHECK(changed > 7000);
  CHECK(verdict_of_export(directory, key) == Verdict::verified);
}

TEST_CASE("nothing can be inserted, dropped, doubled, moved or cut in an export") {
  const test::TestKey key, other;
  const test::Scratch scratch;
  const auto directory = scratch.path("export");
  auto sample = SampleLog::of(25);
  sample.export_to(directory, key, 20);
  REQUIRE(verdict_of_export(directory, key) == Verdict::verified);
  std::mt19937 random(2);
  const auto refused = [&](const fs::path& file, const std::string& bad) {
    write(file, bad);
    REQUIRE(verdict_of_export(directory, key) != Verdict::verified);
  };
  for (const auto& file : files_of(directory)) {
    CAPTURE(file.string());
    const auto good = test::read_file(file);
    for (int round = 0; round < 8; ++round) {
      const auto at = good.empty() ? 0 : random() % good.size();
      if (at > 0) {
        refused(file, good.substr(0, at));
        refused(file, good.substr(at));
        refused(file,
                good.substr(0, at) + good.substr(std::min(good.size(), at + 1 + random() % 64)));
      }
      if (!good.empty()) {
        auto changed = good;
        changed[at] = static_cast<char>(changed[at] ^ (1 + random() % 255));
        refused(file, changed);
      }
      refused(file, good.substr(0, at) + static_cast<char>(random()) + good.substr(at));
      refused(file, good + static_cast<char>(random()));
      const auto lines = lines_of(good);
      const auto line = lines.empty() ? 0 : random() % lines.size();
      if (lines.size() > 1) {
        auto dropped = lines, doubled = lines, swapped = lines;
        dropped.erase(dropped.begin() + static_cast<std::ptrdiff_t>(line));
        doubled.insert(doubled.begin() + static_cast<std::ptrdiff_t>(line), lines[line]);
        std::swap(swapped[line], swapped[(line + 1) % lines.size()]);
        refused(file, joined(dropped));
        refused(file, joined(doubled));
        if (joined(swapped) != good) refused(file, joined(swapped));
      }
    }
    fs::remove(file);
    REQUIRE(verdict_of_export(directory, key) != Verdict::verified);
    write(file, good);
  }
  write(directory / "records" / "stowaway", "x");
  CHECK(verdict_of_export(directory, key) == Verdict::failed);
  fs::remove(directory / "records" / "stowaway");
  CHECK(verdict_of_export(directory, key) == Verdict::verified);
  CHECK(verdict_of_export(directory, other) == Verdict::inconclusive);
}

TEST_CASE("an export grows by appending, and what was exported before stays byte for byte") {
  const test::TestKey key;
  const test::Scratch scratch;
  const auto directory = scratch.path("export"), kept = scratch.path("kept");
  SampleLog log;
  for (std::uint64_t round = 1; round <= 4; ++round) {
    for (std::uint64_t i = 0; i < 120; ++i)
      log.import_kek(first_device + round * 1000 + i);  // beyond 256 records
    log.state_map();
    // Heads that are already there are as they are; a later export adds to them.
    log.export_to(directory, key, 1000);
    CHECK(verdict_of_export(directory, key) == Verdict::verified);
    if (fs::exists(kept))
      for (const auto& file : files_of(kept)) {
        const auto before = test::read_file(file),
                   now = test::read_file(directory / fs::relative(file, kept));
        CHECK(now.substr(0, before.size()) == before);
      }
    fs::remove_all(kept);
    fs::copy(directory, kept, fs::copy_options::recursive);
    // An export that is cut off leaves bytes that count for nothing.
    for (const char* name :
         {"records/00000000.jsonl", "records/00000000.index", "checkpoints", "manifest", "nodes"})
      std::ofstream(directory / name, std::ios::app) << "half a li";
    CHECK(verdict_of_export(directory, key) != Verdict::verified);
  }
  { ExportWriter mended(directory, SampleLog::origin); }
  CHECK(verdict_of_export(directory, key) == Verdict::verified);
  CHECK_THROWS(ExportWriter(directory, "log.example/other"));
  ExportWriter writer(directory, SampleLog::origin);
  CHECK_THROWS_AS(writer.add({.bytes = "{}", .leaf = leaf_hash("{ }"), .previous = {}}),
                  std::invalid_argument);
  CHECK_THROWS_AS(writer.add(Issuer(SampleLog::origin, {key.signer()}, std::nullopt)
                                 .issue(writer.size() - 1, writer.root(), {})),
                  std::invalid_argument);
  CHECK_THROWS_AS(writer.add(Issuer(SampleLog::origin, {key.signer()}, std::nullopt)
                                 .issue(writer.size(), leaf_hash("x"), {})),
                  std::invalid_argument);
}

TEST_CASE("a device's bundle is verified alone, and refused with any event left out") {
  const test::TestKey key, other;
  const test::Scratch scratch;
  auto sample = SampleLog::of(30);
  sample.export_to(scratch.path("export"), key, 50);
  ExportReader log(scratch.path("export"));
  const auto verdict = [&](const Bundle& bundle) {
    return verify(bundle, {.keys = {key.audit_key()}}).verdict;
  };
  for (const std::uint64_t i : {0U, 1U, 13U, 29U}) {
    const auto bundle = prove(log, first_device + i);
    const auto text = bundle.format();
    const auto report = verify(Bundle::parse(text), {.keys = {key.audit_key()}});
    CAPTURE(report.why);
    CHECK(report.verdict == Verdict::verified);
    CHECK(report.records == 14);
    CHECK(Bundle::parse(text).format() == text);
    CHECK(verify(bundle, {.keys = {other.audit_key()}}).verdict == Verdict::inconclusive);
    CHECK(verify(bundle, {}).verdict == Verdict::inconclusive);
    CHECK(verify(bundle, {.keys = {key.audit_key()}, .since = {}, .origin = "log.example/other"})
              .verdict == Verdict::failed);
    for (std::size_t record = 0; record < bundle.records.size(); ++record) {
      auto without = bundle;
      without.records.erase(without.records.begin() + static_cast<std::ptrdiff_t>(record));
      CHECK(verdict(without) == Verdict::failed);
      auto twice = bundle;
      twice.records.insert(twice.records.begin() + static_cast<std::ptrdiff_t>(record),
                           bundle.records[record]);
      CHECK(verdict(twice) == Verdict::failed);
      auto foreign = bundle;  // a good proof of another device's record
      foreign.records[record] = prove(log, first_device + (i + 1) % 30).records[record];
      CHECK(verdict(foreign) == Verdict::failed);
    }
    auto shorter = bundle;  // with the head of the map said to be earlier
    shorter.records.pop_back();
    shorter.head.sequence -= 1;
    shorter.head.index = shorter.records.back().index;
    shorter.head.leaf = leaf_hash(shorter.records.back().bytes);
    CHECK(verdict(shorter) == Verdict::failed);
    auto another = bundle;
    another.head = prove(log, first_device + (i + 1) % 30).head;
    CHECK(verdict(another) == Verdict::failed);
    auto no_map = bundle;  // a record of the log that states no map
    no_map.statement = bundle.records.front();
    CHECK(verdict(no_map) == Verdict::failed);
  }
  CHECK_THROWS_AS((void)prove(log, 1), VerificationInconclusive);
}

TEST_CASE("no byte of a bundle can be changed") {
  const test::TestKey key;
  const test::Scratch scratch;
  SampleLog log;
  log.admit("head-end");
  log.import_kek(first_device);
  log.import_kek(first_device + 1);
  log.release(first_device, "guek", 1);
  log.receive(first_device, "guek", 1, "head-end/1");
  log.answer(first_device, "guek", 1, "confirmed");
  log.state_map();
  log.export_to(scratch.path("export"), key);
  ExportReader reader(scratch.path("export"));
  const auto text = prove(reader, first_device).format();
  const auto verdict = [&](const std::string& changed) {
    return verdict_of(
        key, [&](const VerifyOptions& options) { return verify(Bundle::parse(changed), options); });
  };
  REQUIRE(verdict(text) == Verdict::verified);
  std::mt19937 random(3);
  for (std::size_t i = 0; i < text.size(); ++i) {
    CAPTURE(i);
    auto changed = text;
    changed[i] = static_cast<char>(changed[i] ^ (1 + random() % 255));
    REQUIRE(verdict(changed) != Verdict::verified);
    if (i % 5 == 0) REQUIRE(verdict(text.substr(0, i)) != Verdict::verified);
    if (i % 5 == 1) REQUIRE(verdict(text.substr(0, i) + text.substr(i + 1)) != Verdict::verified);
    if (i % 5 == 2)
      REQUIRE(verdict(text.substr(0, i) + text[i] + text.substr(i)) != Verdict::verified);
  }
}

TEST_CASE("nothing can be changed in a database") {
  namespace sqlite = smets1kms::sqlite;
  const test::TestKey key;
  const test::Scratch scratch;
  const auto log = SampleLog::of(20);
  const auto good = scratch.path("good.db"), bad = scratch.path("bad.db");
  {
    sqlite::Database database(good, sqlite::Mode::create);
    database.execute(smets1kms::registry::schema);
    const auto bytes = log.bytes();
    const auto previous = log.previous();
    CompactRange tree;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const auto leaf = leaf_hash(bytes[i]);
      auto row = database.query("INSERT INTO record VALUES(?,?,?,?)");
      row.bind(static_cast<std::int64_t>(i))
          .bind(bytes[i])
          .bind(std::span<const std::uint8_t>(leaf))
          .bind(previous[i] ? std::optional(static_cast<std::int64_t>(*previous[i])) : std::nullopt)
          .run();
      tree.append(leaf, [&](unsigned level, std::uint64_t index, const Hash& hash) {
        if (level == node_level)
          database.query("INSERT INTO node VALUES(?,?)")
              .bind(static_cast<std::int64_t>(index))
              .bind(std::span<const std::uint8_t>(hash))
              .run();
      });
      if (i % 40 == 39 || i + 1 == bytes.size())
        database.query("INSERT INTO checkpoint(size,note) VALUES(?,?)")
            .bind(static_cast<std::int64_t>(i + 1))
            .bind(Issuer(SampleLog::origin, {key.signer()}, std::nullopt)
                      .issue(i + 1, tree.root(), {})
                      .format())
            .run();
      if (log.entries[i].record.text(Field::op) == "audit.device-map")
        database.query("INSERT INTO setting VALUES('audit.device_map',?)")
            .bind(std::to_string(i))
            .run();
    }
    for (const auto& head : log.heads(bytes.size()))
      database.query("INSERT INTO device_head VALUES(?,?,?,?)")
          .bind(static_cast<std::int64_t>(head.device))
          .bind(static_cast<std::int64_t>(head.sequence))
          .bind(static_cast<std::int64_t>(head.index))
          .bind(std::span<const std::uint8_t>(head.leaf))
          .run();
    database.execute("PRAGMA journal_mode=DELETE");
  }
  const auto report = [&](const fs::path& file) {
    smets1kms::registry::DatabaseLog database(file);
    return verify(database, {.keys = {key.audit_key()}});
  };
  const auto seen = report(good);
  CAPTURE(seen.why);
  REQUIRE(seen.verdict == Verdict::verified);
  smets1kms::registry::DatabaseLog database(good);
  CHECK(verify(prove(database, first_device + 3), {.keys = {key.audit_key()}}).verdict ==
        Verdict::verified);
  const char* changes[] = {
      "DELETE FROM record WHERE idx=7",
      "DELETE FROM record WHERE idx=(SELECT max(idx) FROM record)",
      "DELETE FROM record WHERE idx=0",
      "DELETE FROM record",
      "UPDATE record SET bytes=replace(bytes,'guek','gak') WHERE idx=43",
      "UPDATE record SET bytes=bytes||' ' WHERE idx=43",
      "UPDATE record SET bytes='' WHERE idx=3",
      "UPDATE record SET leaf=zeroblob(32) WHERE idx=43",
      "UPDATE record SET leaf=zeroblob(31) WHERE idx=43",
      "UPDATE record SET previous=1 WHERE idx=43",
      "UPDATE record SET previous=NULL WHERE idx=43",
      "UPDATE record SET idx=1000 WHERE idx=43",
      "UPDATE record SET idx=-1 WHERE idx=0",
      "INSERT INTO record SELECT max(idx)+1,bytes,leaf,previous FROM record",
      "UPDATE record SET bytes=(SELECT bytes FROM record WHERE idx=44), leaf=(SELECT leaf FROM "
      "record WHERE idx=44) WHERE idx=43",
      "UPDATE device_head SET sequence=sequence-1 WHERE device=(SELECT max(device) FROM "
      "device_head)",
      "UPDATE device_head SET record=record-1 WHERE device=(SELECT min(device) FROM device_head)",
      "UPDATE device_head SET leaf=zeroblob(32) WHERE device=(SELECT min(device) FROM device_head)",
      "DELETE FROM device_head WHERE device=(SELECT min(device) FROM device_head)",
      "INSERT INTO device_head SELECT 5,sequence,record,leaf FROM device_head LIMIT 1",
      "DELETE FROM checkpoint",
      "DELETE FROM checkpoint WHERE id=(SELECT max(id) FROM checkpoint)",
      "UPDATE checkpoint SET note=replace(note,'log.example','hog.example')",
      "UPDATE checkpoint SET id=id+100 WHERE id=1",
      "UPDATE node SET hash=zeroblob(32)",
      "DROP TABLE node",
      "DROP TABLE device_head",
      "UPDATE setting SET value='5' WHERE name='audit.device_map'"};
  for (const std::string change : changes) {
    CAPTURE(change);
    fs::copy_file(good, bad, fs::copy_options::overwrite_existing);
    sqlite::Database(bad, sqlite::Mode::read_write).execute(change.c_str());
    CHECK(verdict_of(key, [&](const VerifyOptions&) { return report(bad); }) != Verdict::verified);
  }
  std::mt19937 random(4);
  const auto content = test::read_file(good);
  std::size_t refused = 0;
  for (int round = 0; round < 300;
       ++round) {  // bytes of pages: free space and unread tables aside, they are refused
    auto changed = content;
    for (int i = 0; i < 8; ++i)
      changed[random() % changed.size()] ^= static_cast<char>(1 + random() % 255);
    write(bad, changed);
    try {
      if (report(bad).verdict != Verdict::verified) {
        ++refused;
        continue;
      }
    } catch (const std::exception&) {
      ++refused;
      continue;
    }
    smets1kms::registry::DatabaseLog same(bad);
    for (const auto& bytes : log.bytes()) REQUIRE(same.next_record()->bytes == bytes);
    REQUIRE_FALSE(same.next_record());
  }
  CHECK(refused > 200);
}
