// SPDX-License-Identifier: Apache-2.0
#include "audit/verify.hpp"

#include <algorithm>
#include <future>
#include <stdexcept>
#include <utility>

#include "audit/log_checks.hpp"
#include "audit/text.hpp"

namespace smets1kms::audit {
namespace {

/// Records that are read and hashed ahead, while earlier ones are checked.
struct RecordBatch {
  struct Item {
    std::string bytes;
    StoredRecord stored;  ///< without its bytes
    Hash leaf;
  };
  std::vector<Item> items{};
  bool is_last = false;          ///< there are no more
  std::exception_ptr failure{};  ///< met behind the last item

  /// Reads the next records.
  static RecordBatch read(Log& log) {
    constexpr std::size_t most = 4096;
    RecordBatch batch;
    try {
      while (!batch.is_last && batch.items.size() < most) {
        if (const auto stored = log.next_record())
          batch.items.push_back({std::string(stored->bytes), *stored, leaf_hash(stored->bytes)});
        else
          batch.is_last = true;
      }
    } catch (...) {
      batch.failure = std::current_exception();
    }
    return batch;
  }
};

class Verification {
 public:
  Verification(Log& log, const VerifyOptions& options, Report& report)
      : log_(log), options_(options), report_(report), heads_(log, options, report), maps_(log) {}

  void run() {
    read_records();
    heads_.finish(tree_);
    times_.finish(report_);
    for (const auto& document : log_.check_rest())
      if (!documents_.contains(document))
        note_finding(report_, {.kind = "unsigned-document",
                               .text = "documents/" + document +
                                       " is named by no record: nobody vouches for it",
                               .index = {}});
    maps_.read(summaries_, report_);
    if (!unknown_) replay();
  }

 private:
  void read_records() {
    heads_.add(tree_);
    const auto fetch = [this] {
      return std::async(log_.reads_beside() ? std::launch::async : std::launch::deferred,
                        RecordBatch::read, std::ref(log_));
    };
    for (auto next = fetch();;) {
      auto batch = next.get();
      const bool last = batch.is_last || batch.failure;
      if (!last) next = fetch();
      for (auto& item : batch.items) {
        item.stored.bytes = item.bytes;
        add(item.stored, item.leaf);
      }
      if (batch.failure) std::rethrow_exception(batch.failure);
      if (last) break;
      if (options_.progress) options_.progress("records read", tree_.size(), log_.size());
    }
  }

  void add(const StoredRecord& stored, const Hash& leaf) {
    const std::uint64_t index = tree_.size();
    if (leaf != stored.leaf)
      throw VerificationFailed("its bytes are not what the hash stored beside it says", index);
    tree_.append(leaf, [&](unsigned level, std::uint64_t node, const Hash& hash) {
      if (level == node_level) log_.check_node(node, hash);
    });
    read(stored, index, leaf);
    heads_.add(tree_);
    report_.records = tree_.size();
  }

  void read(const StoredRecord& stored, std::uint64_t index, const Hash& leaf) try {
    const auto record = RecordView::parse(stored.bytes);
    RecordSummary summary = summarise(record, index, leaf);
    summary.before = stored.previous ? *stored.previous + 1 : 0;
    times_.add(record, summary, report_);
    heads_.add(record, summary);
    maps_.add(record, summary);
    if (!unknown_) targets_.add(record, summary);  // a record that is unknown may admit one
    if (options_.for_each_record) options_.for_each_record(record, summary);
    const auto operation = record_type_of(summary).operation;
    if (operation == op::audit_gap) {
      report_.missing.push_back(
          "the records that were lost when the log went on from a restored copy at record " +
          std::to_string(index) + " (" + std::string(record.text(Field::detail)) + ")");
    } else if (operation == op::audit_anchor && record.text(Field::result) == "file-lost") {
      note_finding(report_, {.kind = "anchor-lost",
                             .text = "the file of heads was missing or cut (" +
                                     std::string(record.text(Field::detail)) +
                                     "), and the log went on by decision of " +
                                     std::string(record.text(Field::authorised_by)),
                             .index = index});
    } else if (operation == op::token_orphan) {
      note_finding(report_, {.kind = "orphan",
                             .text = "key object " + std::string(record.text(Field::key_id)) +
                                     " (" + std::string(record.text(Field::detail)) +
                                     ") was in the token when the log went on from a restored "
                                     "copy, and no row of the registry named it",
                             .index = index});
    } else if (operation == op::audit_document) {
      const auto detail = record.text(Field::detail);
      if (const auto at = detail.find("sha256 "); at != std::string_view::npos)
        documents_.emplace(detail.substr(at + 7, 64));
    }
    if (summary.has_device)
      summaries_.add(summary);
    else
      log_replay_.add(summary);
  } catch (const std::invalid_argument& error) {
    throw VerificationFailed(
        std::string("it is not a record in the strict form, at ") + error.what(), index);
  } catch (const VerificationInconclusive& missing) {
    // The hashes are checked to the end all the same, but a replay with a gap says nothing.
    if (!unknown_) report_.missing.emplace_back(missing.what());
    unknown_ = true;
  }

  void replay() {
    std::uint64_t done = 0;
    note_all(log_replay_);
    std::optional<VerificationFailed>
        first;  // by index, so that the verdict does not depend on the order of devices here
    summaries_.for_each_device([&](std::span<const RecordSummary> of_device) {
      try {
        replay_device(of_device);
      } catch (const VerificationFailed& failure) {
        if (!first || failure.index().value_or(0) < first->index().value_or(0)) first = failure;
      }
      if (options_.progress && (++done & 1023) == 0)
        options_.progress("devices replayed", done, done);
    });
    if (first) throw VerificationFailed(*first);
  }

  void replay_device(std::span<const RecordSummary> summaries) {
    DeviceReplay device_replay(summaries.front().device, &targets_.suspicions());
    std::uint64_t claims = 0, first = 0;
    for (const auto& summary : summaries) {
      if (!summary.is_claim) {
        if (device_replay.sequence() == 0) first = summary.index;
        device_replay.add(summary);
        continue;
      }
      ++claims;
      if (device_replay.sequence() == 0 || summary.sequence != device_replay.sequence() ||
          summary.leaf != device_replay.leaf() || summary.before != device_replay.index())
        throw VerificationFailed(
            "the device-head map of " + std::to_string(summary.index) +
                " records says otherwise of " + device_name(summary.device) +
                " than the records do",
            device_replay.sequence() == 0 ? summary.index : device_replay.index());
    }
    if (claims != maps_.expected(first))
      throw VerificationFailed(
          "a device-head map leaves out " + device_name(summaries.front().device), first);
    device_replay.finish();
    note_all(device_replay);
    // A device that was only asked for, and refused, does not exist.
    const auto is_own = [](const RecordSummary& summary) {
      return !summary.is_claim && !record_type_of(summary).operation.empty();
    };
    if (std::ranges::any_of(summaries, is_own)) ++report_.devices;
    if (options_.for_each_device) options_.for_each_device(device_replay, summaries);
  }

  void note_all(const DeviceReplay& device_replay) {
    for (auto& each : device_replay.findings()) note_finding(report_, std::move(each));
  }

  Log& log_;
  const VerifyOptions& options_;
  Report& report_;
  CheckpointCheck heads_;
  DeviceMapCheck maps_;
  ExternalSort<RecordSummary> summaries_;
  TimeCheck times_;
  TargetCheck targets_;
  CompactRange tree_;
  DeviceReplay log_replay_{std::nullopt};
  std::set<std::string, std::less<>> documents_;
  bool unknown_ = false;
};

}  // namespace

Report verify(Log& log, const VerifyOptions& options) {
  Report report;
  try {
    Verification(log, options, report).run();
    report.verdict = report.missing.empty() ? Verdict::verified : Verdict::inconclusive;
    if (!report.missing.empty()) report.why = "missing: " + join_words(report.missing, "; ");
  } catch (const VerificationFailed& failure) {
    report.end(Verdict::failed, failure.what(), failure.index());
  } catch (const VerificationInconclusive& missing) {
    report.end(Verdict::inconclusive, missing.what());
    report.missing.emplace_back(missing.what());
  }
  return report;
}

}  // namespace smets1kms::audit
