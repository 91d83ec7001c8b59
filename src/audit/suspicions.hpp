// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <vector>

#include "audit/record_rules.hpp"

namespace smets1kms::audit {

/// Suspicions of the token and of handover targets that a log has recorded. Each obliges to mark
/// what the token held, or the target was handed, before it.
class Suspicions {
 public:
  using Id = std::array<std::uint8_t, 16>;
  struct Suspicion {
    Id operation;
    std::uint64_t index;             ///< of its record
    std::uint64_t due = UINT64_MAX;  ///< index of the record that stands behind all its marks
  };
  /// Adds one of the token. Throws VerificationInconclusive where there are too many.
  void add_token(const RecordSummary& summary) { of_token_.push_back(add(summary)); }
  /// Adds one of a target's generations behind `from` up to `to`, and returns its number. Throws
  /// VerificationInconclusive where there are too many.
  std::size_t add_target(std::string_view name, std::uint32_t from, std::uint32_t to,
                         const RecordSummary& summary);
  /// Says that a suspicion's operation has ended, by a record that stands behind its marks.
  void end(std::size_t number, const RecordSummary& summary);

  [[nodiscard]] bool is_empty() const { return all_.empty(); }
  /// Returns the newest suspicion of the token between these records; nullptr: none.
  [[nodiscard]] const Suspicion* of_token(std::uint64_t after, std::uint64_t before) const;
  /// Returns the suspicion of one of these targets between these records; nullptr: none.
  [[nodiscard]] const Suspicion* of_targets(const HandoverTags& tags, std::uint64_t after,
                                            std::uint64_t before) const;
  /// True for a mark that names no suspicion, or one that its own operation recorded before.
  [[nodiscard]] bool vouch_for(const RecordSummary& mark) const;

 private:
  std::size_t add(const RecordSummary& summary);
  std::vector<Suspicion> all_;
  std::vector<std::size_t> of_token_;            ///< in the order of the log
  std::map<std::uint32_t, std::size_t> by_tag_;  ///< the first of each
};

}  // namespace smets1kms::audit
