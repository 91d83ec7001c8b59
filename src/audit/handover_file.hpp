// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <set>

#include "audit/verify.hpp"

namespace smets1kms::audit {

/// A line of a file of handovers, as far as the log knows it too.
struct HandoverLine {
  std::uint64_t device = 0;
  std::array<std::uint8_t, 16> key{};
  KeyRole role{};
  std::uint32_t generation = 0, transfer = 0;
  std::string target, hash;  ///< "NAME/GENERATION"; "SHA-1" or "SHA-256"
  Hash sha256{};             ///< of the wrapped key in the line
};

/// Check of files that handed keys over against a log that is verified meanwhile: each line is what
/// its key's outcome says, and each checkpoint is a signed head of this log over the lines before
/// it. Takes about 100 bytes of memory a line. Lines are given in their order, file by file; then
/// `add_record` sees the records, and `finish` gives the verdict.
class HandoverFiles {
 public:
  explicit HandoverFiles(const std::vector<AuditKey>& keys) : keys_(keys) {}
  void begin(const std::string& name) { files_.push_back({.name = name}); }
  void add(std::uint64_t line, const HandoverLine& handover);
  /// Adds a checkpoint. Throws VerificationFailed for a false signature.
  void add(std::uint64_t line, Note checkpoint);
  void add_record(const RecordView& record, const RecordSummary& summary);
  /// Makes a report that is not FAILED say how the files compare with the log that it is of.
  void finish(Log& log, Report& report);

 private:
  struct Entry {
    std::array<std::uint8_t, 16> key;
    Hash sha256;
    std::uint64_t device, line, record = UINT64_MAX;  ///< record: the outcome of its key
    const char* differs = nullptr;                    ///< the member that the outcome contradicts
    std::uint32_t generation, transfer, target;       ///< target: a place in `targets_`
    std::uint16_t file;
    KeyRole role;
    bool is_sha1;
  };
  struct Head {
    std::uint64_t line;
    Checkpoint head;
  };
  struct File {
    std::string name;
    std::uint64_t lines = 0;
    std::vector<Head> heads{};
  };
  void finish_file(std::size_t file, StoredTree& tree, const Report& report);
  [[nodiscard]] std::string place(std::size_t file, std::uint64_t line) const {
    return files_[file].name + ":" + std::to_string(line) + ": ";
  }

  const std::vector<AuditKey>& keys_;
  std::vector<File> files_;
  std::deque<Entry> entries_;
  bool is_sorted_ = false;  ///< by key
  std::map<std::string, std::uint32_t> target_places_;
  std::vector<std::string> targets_;
  std::set<std::string> missing_;
};

}  // namespace smets1kms::audit
