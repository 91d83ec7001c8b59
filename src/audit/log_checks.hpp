// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <future>
#include <set>

#include "audit/device_replay.hpp"
#include "audit/external_sort.hpp"
#include "audit/verify.hpp"

namespace smets1kms::audit {

/// Adds a finding: all are counted, the first thousand are kept.
void note_finding(Report& report, Finding finding);

/// Check that times never go back, except where a record says that the clock was set, and that
/// silences are no longer than the heartbeats say.
class TimeCheck {
 public:
  /// Adds a record. Throws VerificationFailed.
  void add(const RecordView& record, const RecordSummary& summary, Report& report);
  /// Finishes behind the last record: adds a finding where the last device-head map is older than
  /// the heartbeats say.
  void finish(Report& report) const;

 private:
  std::string time_, boot_, map_;
  std::uint64_t monotonic_ = 0, interval_ = 0;
};

/// Check of the handover targets admitted at each moment, in the order of the log: each outcome of
/// a key's generation names exactly those that take its role.
class TargetCheck {
 public:
  /// Adds a record. Throws VerificationFailed.
  void add(const RecordView& record, const RecordSummary& summary);
  /// Returns the suspicions of the token and of targets so far.
  [[nodiscard]] const Suspicions& suspicions() const { return suspicions_; }

 private:
  struct Known : Admission {
    std::uint32_t suspected = 0;  ///< the newest generation that was suspected
    std::size_t suspicion = 0;    ///< number of that suspicion
  };
  void change(const RecordView& record, const RecordSummary& summary);
  void check_handovers(const RecordView& record, const RecordSummary& summary) const;
  Suspicions suspicions_;
  std::map<std::string, Known, std::less<>> last_;         ///< of each name
  std::map<std::string_view, const Admission*> admitted_;  ///< by name, into `last_`
};

/// Check of the time stamps on heads, where the assessor gave an authority to trust.
class TimestampCheck {
 public:
  /// Reads the stamps that a log has. Throws VerificationFailed.
  TimestampCheck(Log& log, const VerifyOptions& options);
  /// Adds a head of the log, in order.
  void add(const Note& note, Report& report);
  /// Finishes behind the last head, and adds to what is missing. Throws VerificationFailed.
  void finish(Report& report) const;

 private:
  bool is_asked_;
  std::map<Hash, std::string> times_;  ///< the earliest, by imprint; of heads that are to come
};

/// Check of the heads against the records, as the records are read. Heads are signed by the audit
/// key that the log has introduced last; the first one after that also by the key before it, which
/// thereby vouches for the new one, and signs nothing from then on.
class CheckpointCheck {
 public:
  CheckpointCheck(Log& log, const VerifyOptions& options, Report& report);
  /// Adds a record, which may introduce an audit key.
  void add(const RecordView& record, const RecordSummary& summary);
  /// Checks the heads that end after `tree.size()` records, 0 included. Throws VerificationFailed.
  void add(const CompactRange& tree);
  /// Finishes behind the last record, and adds to what is missing. Throws VerificationFailed.
  void finish(const CompactRange& tree);

 private:
  struct Signer {
    std::string sha256;  ///< of its PEM; empty: the log has introduced none
    bool is_trusted = false, has_signed = false;
  };
  /// A head, and the keys whose signatures it must have; none: one of the assessor's.
  struct Pending {
    Note note;
    std::vector<AuditKey> keys;
    bool is_trusted;
    Signed answer = Signed::no;
  };
  void expect_signatures(Note note);
  void check(const Note& note, const CompactRange& tree);
  void begin_signatures();
  void end_signatures();
  Log& log_;
  const VerifyOptions& options_;
  Report& report_;
  TimestampCheck timestamps_;
  std::optional<Note> next_;
  std::optional<std::string> origin_;
  std::set<std::string> unknown_;    ///< ids of keys whose signatures can't be checked
  std::set<std::string> untrusted_;  ///< ids of keys that nobody vouches for, since the last head
                                     ///< of one that somebody does
  std::map<std::string, AuditKey, std::less<>> keys_;  ///< by the SHA-256 of their PEM
  std::set<std::string> given_;                        ///< names of the assessor's in `keys_`
  Signer signer_, former_;  ///< former: has to sign the next head, too, if it has a name
  std::vector<Pending> unchecked_;
  std::future<std::vector<Pending>> checking_;  ///< signatures are checked beside the reading, as
                                                ///< each costs as much as a hundred records
};

/// Check of the device-head maps: what the log states of them, and what they claim of each device.
class DeviceMapCheck {
 public:
  explicit DeviceMapCheck(Log& log) : log_(log) {}
  /// Adds a record. Throws VerificationFailed.
  void add(const RecordView& record, const RecordSummary& summary);
  /// Reads the maps that are there, and puts their claims beside the records. Throws
  /// VerificationFailed.
  void read(ExternalSort<RecordSummary>& summaries, Report& report);
  /// Returns how many maps have to name a device whose first record is at this index.
  [[nodiscard]] std::uint64_t expected(std::uint64_t first_index) const;

 private:
  Log& log_;
  std::map<std::uint64_t, MapStatement> stated_;
};

}  // namespace smets1kms::audit
