// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "audit/hash.hpp"

/// The Merkle tree of RFC 6962 section 2.1 over leaf hashes.
namespace smets1kms::audit {

/// Function that is given a complete subtree: the leaves [index << level, (index + 1) << level).
using NodeSink = std::function<void(unsigned level, std::uint64_t index, const Hash& hash)>;
/// Function that returns the hash of a complete subtree, which the caller keeps or can work out.
using NodeSource = std::function<Hash(unsigned level, std::uint64_t index)>;
using Proof = std::vector<Hash>;

/// The roots of a tree's complete subtrees, which are enough to append to it: one for each bit set
/// in its size, the largest first. At most 64 hashes, however many leaves.
class CompactRange {
 public:
  CompactRange() = default;
  /// Restores a range that was kept. Throws std::invalid_argument where the count of hashes does
  /// not fit the size.
  CompactRange(std::uint64_t size, std::vector<Hash> peaks);
  /// Appends a leaf and tells `completed` each subtree that it completes, level 1 and up.
  void append(const Hash& leaf, const NodeSink& completed = {});
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const std::vector<Hash>& peaks() const { return peaks_; }
  /// Returns the root; for the empty tree SHA-256 of nothing.
  [[nodiscard]] Hash root() const;

 private:
  std::uint64_t size_ = 0;
  std::vector<Hash> peaks_;
};

/// Returns the audit path of RFC 6962 section 2.1.1. Throws std::invalid_argument unless index <
/// size.
[[nodiscard]] Proof prove_inclusion(std::uint64_t index, std::uint64_t size,
                                    const NodeSource& nodes);
/// Returns the proof of RFC 6962 section 2.1.2. Throws std::invalid_argument unless 0 < first <=
/// second: everything extends the empty tree, so a proof from it would say nothing.
[[nodiscard]] Proof prove_consistency(std::uint64_t first, std::uint64_t second,
                                      const NodeSource& nodes);

/// Checks an audit path as RFC 9162 section 2.1.3.2 says. The caller works out `leaf` from the
/// record that he was shown.
[[nodiscard]] bool is_included(const Hash& leaf, std::uint64_t index, std::uint64_t size,
                               std::span<const Hash> proof, const Hash& root);
/// Checks a consistency proof as RFC 9162 section 2.1.4.2 says. False for a first size of 0.
[[nodiscard]] bool is_consistent(std::uint64_t first, const Hash& first_root, std::uint64_t second,
                                 const Hash& second_root, std::span<const Hash> proof);

}  // namespace smets1kms::audit
