// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <future>
#include <set>

#include "audit/device_replay.hpp"
#include "audit/external_sort.hpp"
#include "audit/verify.hpp"

namespace smets1kms::audit {

/// Findings by the million are counted, and the first thousand kept.
void note_finding(Report& report, Finding finding);

/// Times never go back but where a record says that the clock was set, and silences are no longer
/// than the heartbeats say.
class TimeCheck {
 public:
  /// Throws Failed.
  void take(const RecordView& record, std::uint64_t index, Report& report);
  /// Behind the last record: is the last device-head map as recent as the heartbeats?
  void finish(Report& report) const;

 private:
  std::string time_, boot_, map_;
  std::uint64_t monotonic_ = 0, interval_ = 0;
};

/// The heads against the records: as each record is read, those that end there.
class CheckpointCheck {
 public:
  CheckpointCheck(Log& log, const VerifyOptions& options, Report& report);
  /// After `tree.size()` records, 0 included. Throws Failed.
  void take(const CompactRange& tree);
  /// Behind the last record. Throws Failed; adds to what is missing.
  void finish(const CompactRange& tree);

 private:
  using Answers = std::vector<std::pair<Note, Signed>>;
  void check(const Note& note, const CompactRange& tree);
  void begin_signatures();
  void end_signatures();
  Log& log_;
  const VerifyOptions& options_;
  Report& report_;
  std::optional<Note> next_;
  std::optional<std::string> origin_;
  std::set<std::string> unknown_;
  std::vector<Note> unchecked_;
  std::future<Answers> checking_;  ///< a signature costs as much as a hundred records: they are
                                   ///< checked beside the reading
};

/// The device-head maps: what the log states of them, and what they claim of each device.
class DeviceMapCheck {
 public:
  explicit DeviceMapCheck(Log& log) : log_(log) {}
  /// Throws Failed.
  void take(const RecordView& record, std::uint64_t index);
  /// Reads the maps that are there, and puts their claims beside the records. Throws Failed.
  void read(ExternalSort<RecordSummary>& summaries, Report& report);
  /// How many maps have to name a device whose first record is at this index.
  [[nodiscard]] std::uint64_t expected(std::uint64_t first_index) const;

 private:
  Log& log_;
  std::map<std::uint64_t, MapStatement> stated_;
};

}  // namespace smets1kms::audit
