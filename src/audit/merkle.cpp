// SPDX-License-Identifier: Apache-2.0
#include "audit/merkle.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>

namespace smets1kms::audit {
namespace {

/// Returns the hash of the leaves [begin, end) of a tree, where begin is a multiple of the largest
/// power of two that fits: every range that RFC 6962's recursion meets is of that kind.
Hash range_hash(std::uint64_t begin, std::uint64_t end, const NodeSource& nodes) {
  const std::uint64_t count = end - begin;
  if (std::has_single_bit(count)) {
    const auto level = static_cast<unsigned>(std::countr_zero(count));
    return nodes(level, begin >> level);
  }
  const std::uint64_t split = begin + std::bit_floor(count);
  return node_hash(range_hash(begin, split, nodes), range_hash(split, end, nodes));
}

/// Climbs from a node to the root, RFC 9162 section 2.1.3.2: `hash` becomes the root's. `first`, if
/// given, takes the siblings on its left alone (section 2.1.4.2). False for a proof of another
/// length.
bool climb(std::uint64_t node, std::uint64_t last, std::span<const Hash> proof, Hash& hash,
           Hash* first = nullptr) {
  for (const auto& sibling : proof) {
    if (last == 0) return false;
    if ((node & 1) != 0 || node == last) {
      hash = node_hash(sibling, hash);
      if (first != nullptr) *first = node_hash(sibling, *first);
      while ((node & 1) == 0 && node != 0) node >>= 1, last >>= 1;
    } else {
      hash = node_hash(hash, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0;
}

/// Returns k of RFC 6962 section 2.1: the largest power of two smaller than n.
std::uint64_t split_of(std::uint64_t n) { return std::bit_floor(n - 1); }

}  // namespace

CompactRange::CompactRange(std::uint64_t size, std::vector<Hash> peaks)
    : size_(size), peaks_(std::move(peaks)) {
  if (peaks_.size() != static_cast<std::size_t>(std::popcount(size_)))
    throw std::invalid_argument("a tree of " + std::to_string(size_) + " leaves is kept as " +
                                std::to_string(std::popcount(size_)) + " hashes, not " +
                                std::to_string(peaks_.size()));
}

void CompactRange::append(const Hash& leaf, const NodeSink& completed) {
  Hash hash = leaf;
  // As in a binary counter: each bit that is carried joins two subtrees of the same height.
  unsigned level = 0;
  for (std::uint64_t carry = size_; (carry & 1) != 0; carry >>= 1) {
    hash = node_hash(peaks_.back(), hash);
    peaks_.pop_back();
    ++level;
    if (completed) completed(level, size_ >> level, hash);
  }
  peaks_.push_back(hash);
  ++size_;
}

Hash CompactRange::root() const {
  if (peaks_.empty()) return sha256(std::string_view());
  Hash hash = peaks_.back();
  for (std::size_t i = peaks_.size() - 1; i-- > 0;) hash = node_hash(peaks_[i], hash);
  return hash;
}

Proof prove_inclusion(std::uint64_t index, std::uint64_t size, const NodeSource& nodes) {
  if (index >= size)
    throw std::invalid_argument("leaf " + std::to_string(index) + " is not in a tree of " +
                                std::to_string(size));
  Proof proof;
  std::uint64_t begin = 0, end = size;
  while (end - begin > 1) {
    const std::uint64_t split = begin + split_of(end - begin);
    proof.push_back(index < split ? range_hash(split, end, nodes)
                                  : range_hash(begin, split, nodes));
    (index < split ? end : begin) = split;
  }
  std::ranges::reverse(proof);
  return proof;
}

Proof prove_consistency(std::uint64_t first, std::uint64_t second, const NodeSource& nodes) {
  if (first == 0 || first > second)
    throw std::invalid_argument("no consistency proof leads from size " + std::to_string(first) +
                                " to size " + std::to_string(second));
  Proof proof;
  std::uint64_t begin = 0, end = second;
  // SUBPROOF(m, D[n], b): down to the subtree that ends where the first tree ends.
  while (end != first) {
    const std::uint64_t split = begin + split_of(end - begin);
    proof.push_back(first <= split ? range_hash(split, end, nodes)
                                   : range_hash(begin, split, nodes));
    (first <= split ? end : begin) = split;
  }
  // b: where that subtree is the whole first tree the verifier knows its root.
  if (begin != 0) proof.push_back(range_hash(begin, end, nodes));
  std::ranges::reverse(proof);
  return proof;
}

bool is_included(const Hash& leaf, std::uint64_t index, std::uint64_t size,
                 std::span<const Hash> proof, const Hash& root) {
  Hash hash = leaf;
  return index < size && climb(index, size - 1, proof, hash) && hash == root;
}

bool is_consistent(std::uint64_t first, const Hash& first_root, std::uint64_t second,
                   const Hash& second_root, std::span<const Hash> proof) {
  if (first == 0 || first > second) return false;
  if (first == second) return proof.empty() && first_root == second_root;
  // The root of a complete first tree begins the path, and is not in the proof.
  std::vector<Hash> path;
  if (std::has_single_bit(first)) path.push_back(first_root);
  path.insert(path.end(), proof.begin(), proof.end());
  if (path.empty()) return false;
  std::uint64_t node = first - 1, last = second - 1;
  while ((node & 1) != 0) node >>= 1, last >>= 1;
  Hash from = path.front(), to = path.front();
  return climb(node, last, std::span(path).subspan(1), to, &from) && from == first_root &&
         to == second_root;
}

}  // namespace smets1kms::audit
