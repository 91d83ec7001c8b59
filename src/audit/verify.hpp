// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <optional>

#include "audit/device_replay.hpp"
#include "audit/log.hpp"
#include "audit/record_rules.hpp"
#include "audit/timestamp.hpp"
#include "audit/verdict.hpp"

namespace smets1kms::audit {

struct VerifyOptions {
  std::vector<AuditKey> keys;         ///< the assessor's keys, never the log's
  std::optional<Note> since;          ///< the head that the assessor kept from his last visit
  std::optional<std::string> origin;  ///< the log's name, where it is known beforehand
  std::optional<TimestampTrust>
      timestamps;  ///< checks the time stamps on heads; nullopt: they aren't
  std::function<void(const char* what, std::uint64_t done, std::uint64_t total)> progress;
  /// Function called with every record that can be read, in order.
  std::function<void(const RecordView& record, const RecordSummary& summary)> for_each_record;
  /// Function called with each device whose records verify, by its number: the state that they
  /// lead to, and their summaries in order.
  std::function<void(const DeviceReplay& replay, std::span<const RecordSummary> records)>
      for_each_device;
};

/// A file of handovers that was checked beside a log.
struct CheckedFile {
  std::string name;
  std::uint64_t lines, checkpoints;
};

/// Newest head with a time stamp, and the earliest time that one proves for it.
struct ProvenHead {
  std::uint64_t records;
  std::string time;  ///< "2026-11-30T12:00:00Z"
};

struct Report {
  Verdict verdict = Verdict::inconclusive;
  std::string why;                     ///< empty where verified
  std::optional<std::uint64_t> index;  ///< the record that failed
  std::uint64_t records = 0, devices = 0, checkpoints = 0;
  std::optional<Note> head;  ///< the last one that a key given has signed
  std::optional<ProvenHead> stamped;
  std::vector<Finding> findings;  ///< the first thousand
  std::map<std::string, std::uint64_t> finding_counts;
  std::vector<std::string> missing;  ///< all that an INCONCLUSIVE verdict lacks
  std::vector<CheckedFile> handovers;

  void end(Verdict with, std::string reason, std::optional<std::uint64_t> at = {}) {
    verdict = with;
    why = std::move(reason);
    index = at;
  }
};

/// Reads a whole log: rehashes every record, compares every head with the records and its
/// signatures with the keys, replays every device's records from its first on. Memory does not grow
/// with the log.
///
/// VERIFIED: nobody changed, inserted, dropped or reordered a record up to the last head without
/// the audit key, the log extends the head in `since`, and every key's and device's history is
/// legal. It does not say that a host told the truth.
[[nodiscard]] Report verify(Log& log, const VerifyOptions& options);

}  // namespace smets1kms::audit
