// SPDX-License-Identifier: Apache-2.0
// Whoever has the audit key can sign any story: of each kind of change, linked and signed anew, the
// verifier says FAILED, or names a finding, or believed_kinds.txt says why nothing contradicts it.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <set>

#include "audit/believed_kinds.hpp"
#include "audit/random_story.hpp"
#include "audit/rich_story.hpp"
#include "audit/verify.hpp"

using namespace smets1kms::audit;
using test::MemoryLog;
using test::SampleLog;

namespace {

Report report_of(SampleLog& log) {
  log.seal();
  MemoryLog signed_anew(log, test::last_key());
  return verify(signed_anew, {.keys = {test::last_key().audit_key()}});
}

std::string type_of(const Record& record) {
  const auto result = record.text(Field::result);
  return std::string(result == "refused" ? "*" : record.text(Field::op)) + " " +
         std::string(record.text(Field::phase)) + " " +
         (result.empty() ? "-" : std::string(result));
}

/// Returns the record with another value of the field; nullopt: without it.
Record with(const Record& record, Field field, const std::optional<Record::Value>& value) {
  Record changed;
  for (std::size_t i = 0; i < field_count; ++i) {
    const auto each = static_cast<Field>(i);
    const auto& now = each == field ? value : record.get(each);
    if (!now) continue;
    std::visit([&](const auto& content) { changed.set(each, content); }, *now);
  }
  return changed;
}

/// Another text of the same letters and digits.
std::string altered(std::string text) {
  for (auto at = text.rbegin(); at != text.rend(); ++at)
    if (std::isalnum(static_cast<unsigned char>(*at)) != 0) {
      *at = *at == '9' ? '0' : *at == 'f' ? 'a' : *at == 'z' ? 'y' : static_cast<char>(*at + 1);
      break;
    }
  return text;
}

struct Change {
  const char* name;
  std::optional<Record::Value> value;
};

std::vector<Change> changes_of(const SampleLog& log, const Record& record, Field field) {
  std::vector<Change> all;
  const auto& now = record.get(field);
  std::set<Record::Value> others;
  for (const auto& entry : log.entries)
    if (const auto& other = entry.record.get(field); other && other != now) others.insert(*other);
  if (now) all.push_back({"removed", std::nullopt});
  std::size_t taken = 0;
  for (const auto& other : others)
    if (++taken <= 4) all.push_back({now ? "another's" : "added", other});
  if (!now) return all;
  if (const auto* number = std::get_if<std::uint64_t>(&*now)) {
    all.push_back({"altered", *number + 1});
    all.push_back({"ill-formed", std::uint64_t{0}});
    all.push_back({"ill-formed", (std::uint64_t{1} << 53) - 1});
  } else {
    const auto& text = std::get<std::string>(*now);
    all.push_back({"altered", altered(text)});
    for (const auto& bad : {text + " ", " " + text, std::string("?! "), text + ", " + text})
      all.push_back({"ill-formed", bad});
  }
  return all;
}

/// Gives the records the times of their places, so that no order is refused for its times alone.
void tell_in_order(SampleLog& log, const SampleLog& before) {
  for (std::size_t i = 0; i < log.entries.size(); ++i) {
    const auto& place = before.entries[std::min(i, before.entries.size() - 1)].record;
    auto& record = log.entries[i].record;
    for (const auto field : {Field::time, Field::mono_us, Field::boot_id})
      record = with(record, field, place.get(field));
  }
}

class Trial {
 public:
  explicit Trial(SampleLog story) : story_(std::move(story)), plain_(report_of(story_)) {
    CAPTURE(plain_.why);
    CAPTURE(plain_.index.value_or(0));
    REQUIRE(plain_.verdict == Verdict::verified);
  }

  void change_fields() {
    std::map<std::string, int> seen;
    for (std::size_t i = 0; i < story_.entries.size(); ++i)
      if (++seen[type_of(story_.entries[i].record)] <= 3) change_fields_of(i);
  }

  /// Changes a few records, chosen at random.
  void change_some(const test::Below& below) {
    const auto any = [&] {
      return static_cast<std::size_t>(below(static_cast<int>(story_.entries.size())));
    };
    change_fields_of(any());
    change_place_of(any());
  }

  void change_order() {
    for (std::size_t i = 0; i < story_.entries.size(); ++i) change_place_of(i);
  }

  std::set<std::string> believed;
  std::size_t tried = 0;

 private:
  void change_fields_of(std::size_t i) {
    const auto record = story_.entries[i].record;
    for (std::size_t number = 0; number < field_count; ++number) {
      const auto field = static_cast<Field>(number);
      // Links are made anew, and the map's statement.
      if (field == Field::device_seq || field == Field::device_prev) continue;
      if (record.text(Field::op) == op::audit_device_map && field == Field::detail) continue;
      for (const auto& change : changes_of(story_, record, field)) {
        auto log = story_;
        auto& entry = log.entries[i];
        entry.record = with(record, field, change.value);
        if (field == Field::device) {
          const auto device =
              change.value ? parse_device(std::get<std::string>(*change.value)) : std::nullopt;
          if (!device) {
            entry.record = with(entry.record, Field::device_seq, std::nullopt);
            entry.record = with(entry.record, Field::device_prev, std::nullopt);
          }
          entry.device = device;
        }
        judge(log, type_of(record) + " " + std::string(field_name(field)) + " " + change.name);
      }
    }
  }

  void change_place_of(std::size_t i) {
    const auto type = type_of(story_.entries[i].record);
    const auto tell = [&](const char* what, const auto& retell) {
      auto log = story_;
      retell(log.entries);
      tell_in_order(log, story_);
      judge(log, type + " record " + what);
    };
    const auto at = [&](auto& entries, std::size_t index) {
      return entries.begin() + static_cast<std::ptrdiff_t>(index);
    };
    tell("left-out", [&](auto& entries) { entries.erase(at(entries, i)); });
    tell("doubled", [&](auto& entries) {
      const auto copy = entries[i];
      entries.insert(at(entries, i), copy);
    });
    tell("doubled", [&](auto& entries) { entries.push_back(entries[i]); });
    // Its own are those of its key, of its operation and of its device's life.
    const auto is_own = [&](const auto& one, const auto& other) {
      const auto same = [&](Field field) {
        const auto text = one.record.text(field);
        return !text.empty() && text == other.record.text(field);
      };
      const auto is_of_life = [](const Record& record) {
        return record.text(Field::op).starts_with("device.");
      };
      return one.device == other.device && (same(Field::key_id) || same(Field::op_id) ||
                                            (is_of_life(one.record) && is_of_life(other.record)));
    };
    const auto move = [&](std::size_t first, std::size_t last, const auto& retell) {
      const auto& all = story_.entries;
      bool past_own = false;
      for (std::size_t j = first; j < last; ++j)
        past_own = past_own || (j != i && is_own(all[i], all[j]));
      tell(past_own ? "moved-past-its-own" : "moved", retell);
    };
    move(i, story_.entries.size(),
         [&](auto& entries) { std::rotate(at(entries, i), at(entries, i + 1), entries.end()); });
    move(0, i,
         [&](auto& entries) { std::rotate(entries.begin(), at(entries, i), at(entries, i + 1)); });
    if (i + 1 < story_.entries.size())
      move(i, i + 2, [&](auto& entries) { std::swap(entries[i], entries[i + 1]); });
    for (std::size_t other = i + 2; other < story_.entries.size(); ++other)
      if (type == type_of(story_.entries[other].record))
        tell("exchanged", [&](auto& entries) { std::swap(entries[i], entries[other]); });
  }

  void judge(SampleLog& log, const std::string& kind) {
    ++tried;
    const auto report = report_of(log);
    if (report.verdict != Verdict::verified) return;
    if (std::ranges::equal(log.bytes(), story_.bytes())) return;
    for (const auto& [finding, count] : report.finding_counts)
      if (const auto known = plain_.finding_counts.find(finding);
          known == plain_.finding_counts.end() || known->second < count)
        return;
    believed.insert(kind);
  }

  SampleLog story_;
  Report plain_;
};

}  // namespace

namespace {

/// Judges every kind that was believed by the committed list. SHOW_BELIEVED=1 prints each.
void judge_by_list(const std::set<std::string>& believed, bool is_whole) {
  test::BelievedKinds list(BELIEVED_KINDS);
  if (std::getenv("SHOW_BELIEVED") != nullptr)
    for (const auto& kind : believed) std::cout << kind << '\n';
  for (const auto& kind : believed) {
    CAPTURE(kind);
    CHECK_MESSAGE(list.contains(kind), kind);
  }
  if (!is_whole) return;
  for (const auto& line : list.unused()) CHECK_MESSAGE(false, "never believed: " << line);
}

}  // namespace

TEST_CASE("no false story is believed but those that nothing contradicts") {
  Trial trial(test::rich_story());
  trial.change_fields();
  trial.change_order();
  MESSAGE(trial.tried, " stories were tried, ", trial.believed.size(), " kinds of them believed");
  judge_by_list(trial.believed, true);
}

TEST_CASE("every legal history is verified, and its false forms are judged by the same list") {
  CHECK(rc::check([] {
    const auto story = test::random_story(
        [](int end) { return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, end)); }, 40);
    Trial trial(story);
    trial.change_some(
        [](int end) { return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, end)); });
    judge_by_list(trial.believed, false);
  }));
}

TEST_CASE("SECURITY.md has the reason of everything that is believed") {
  const auto text = test::read_file(SECURITY_MD);
  const test::BelievedKinds list(BELIEVED_KINDS);
  for (const auto& reason : list.reasons()) {
    CAPTURE(reason);
    CHECK(text.find(reason) != std::string::npos);
  }
}
