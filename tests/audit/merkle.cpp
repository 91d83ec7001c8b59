// SPDX-License-Identifier: Apache-2.0
#include "audit/merkle.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

using namespace smets1kms::audit;

namespace {

std::string data(const std::string& name) {
  std::ifstream in(std::string(TEST_DATA) + "/vectors/" + name, std::ios::binary);
  REQUIRE(in.good());
  std::stringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

/// RFC 6962 section 2.1, word for word.
Hash naive_root(std::span<const Hash> leaves) {
  if (leaves.empty()) return sha256(std::string_view{});
  if (leaves.size() == 1) return leaves[0];
  std::size_t k = 1;
  while (k * 2 < leaves.size()) k *= 2;
  return node_hash(naive_root(leaves.first(k)), naive_root(leaves.subspan(k)));
}

Proof naive_path(std::size_t m, std::span<const Hash> leaves) {
  if (leaves.size() == 1) return {};
  std::size_t k = 1;
  while (k * 2 < leaves.size()) k *= 2;
  Proof proof = m < k ? naive_path(m, leaves.first(k)) : naive_path(m - k, leaves.subspan(k));
  proof.push_back(m < k ? naive_root(leaves.subspan(k)) : naive_root(leaves.first(k)));
  return proof;
}

Proof naive_subproof(std::size_t m, std::span<const Hash> leaves, bool known) {
  if (m == leaves.size()) return known ? Proof{} : Proof{naive_root(leaves)};
  std::size_t k = 1;
  while (k * 2 < leaves.size()) k *= 2;
  if (m <= k) {
    Proof proof = naive_subproof(m, leaves.first(k), known);
    proof.push_back(naive_root(leaves.subspan(k)));
    return proof;
  }
  Proof proof = naive_subproof(m - k, leaves.subspan(k), false);
  proof.push_back(naive_root(leaves.first(k)));
  return proof;
}

std::vector<Hash> leaves(std::size_t count) {
  std::vector<Hash> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(leaf_hash("leaf " + std::to_string(i)));
  return all;
}

NodeSource nodes_of(const std::vector<Hash>& all) {
  return [&all](unsigned level, std::uint64_t index) {
    const std::size_t count = std::size_t{1} << level;
    REQUIRE((index + 1) * count <= all.size());
    return naive_root(std::span(all).subspan(index * count, count));
  };
}

Hash root_after(std::span<const Hash> all) {
  CompactRange tree;
  for (const auto& leaf : all) tree.append(leaf);
  return tree.root();
}

/// Every proof that differs from a good one by one thing.
std::vector<Proof> mutations(const Proof& good) {
  std::vector<Proof> bad;
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const unsigned bit : {0U, 77U, 255U}) {
      bad.push_back(good);
      bad.back()[i][bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    }
    bad.push_back(good);
    bad.back().erase(bad.back().begin() + static_cast<std::ptrdiff_t>(i));
    bad.push_back(good);
    bad.back().insert(bad.back().begin() + static_cast<std::ptrdiff_t>(i), good[i]);
    if (i + 1 < good.size()) {
      bad.push_back(good);
      std::swap(bad.back()[i], bad.back()[i + 1]);
    }
  }
  bad.push_back(good);
  bad.back().push_back(Hash{});
  return bad;
}

constexpr std::size_t small = 70;

}  // namespace

TEST_CASE("roots: append, one by one, in batches and from what was kept, as the naive recursion") {
  const auto all = leaves(small);
  CompactRange one_by_one;
  for (std::size_t n = 0; n <= small; ++n) {
    CAPTURE(n);
    const auto expected = naive_root(std::span(all).first(n));
    CHECK(one_by_one.size() == n);
    CHECK(one_by_one.root() == expected);
    for (std::size_t first = 0; first <= n; ++first) {
      CompactRange tree;
      for (const auto& leaf : std::span(all).first(first)) tree.append(leaf);
      CompactRange kept(tree.size(), tree.peaks());
      for (const auto& leaf : std::span(all).subspan(first, n - first)) kept.append(leaf);
      REQUIRE(kept.root() == expected);
    }
    if (n < small) one_by_one.append(all[n]);
  }
  CHECK_THROWS_AS(CompactRange(3, {all[0]}), std::invalid_argument);
  CHECK_THROWS_AS(CompactRange(0, {all[0]}), std::invalid_argument);
}

TEST_CASE("each complete subtree is told of once, with its hash") {
  const auto all = leaves(small);
  const auto expected = nodes_of(all);
  std::size_t told = 0;
  CompactRange tree;
  for (const auto& leaf : all)
    tree.append(leaf, [&](unsigned level, std::uint64_t index, const Hash& hash) {
      ++told;
      CHECK(hash == expected(level, index));
    });
  std::size_t complete = 0;
  for (std::size_t width = 2; width <= small; width *= 2) complete += small / width;
  CHECK(told == complete);
}

TEST_CASE("inclusion: every leaf of every small tree; every mutation is refused") {
  const auto all = leaves(small);
  for (std::size_t size = 1; size <= small; ++size) {
    const auto root = naive_root(std::span(all).first(size));
    for (std::size_t index = 0; index < size; ++index) {
      CAPTURE(size);
      CAPTURE(index);
      const auto proof = prove_inclusion(index, size, nodes_of(all));
      REQUIRE(proof == naive_path(index, std::span(all).first(size)));
      REQUIRE(is_included(all[index], index, size, proof, root));
      for (const auto& bad : mutations(proof))
        REQUIRE_FALSE(is_included(all[index], index, size, bad, root));
      for (std::size_t other = 0; other <= small; ++other)
        if (other != index) REQUIRE_FALSE(is_included(all[index], other, size, proof, root));
      // A path of another tree has the same hashes only where its shape is the same too; the size
      // is the head's, not the prover's.
      REQUIRE_FALSE(is_included(all[index], index, index, proof, root));
      REQUIRE_FALSE(is_included(all[(index + 1) % small], index, size, proof, root));
      auto wrong = root;
      wrong[31] ^= 1;
      REQUIRE_FALSE(is_included(all[index], index, size, proof, wrong));
    }
    CHECK_THROWS_AS((void)prove_inclusion(size, size, nodes_of(all)), std::invalid_argument);
  }
  CHECK_THROWS_AS((void)prove_inclusion(0, 0, nodes_of(all)), std::invalid_argument);
  CHECK_FALSE(is_included(all[0], 0, 0, {}, all[0]));
}

TEST_CASE("consistency: every pair of small trees; every mutation is refused, and so is size 0") {
  const auto all = leaves(small);
  std::vector<Hash> roots;
  for (std::size_t n = 0; n <= small; ++n) roots.push_back(naive_root(std::span(all).first(n)));
  for (std::size_t second = 1; second <= small; ++second)
    for (std::size_t first = 1; first <= second; ++first) {
      CAPTURE(first);
      CAPTURE(second);
      const auto proof = prove_consistency(first, second, nodes_of(all));
      REQUIRE(proof == naive_subproof(first, std::span(all).first(second), true));
      REQUIRE(is_consistent(first, roots[first], second, roots[second], proof));
      for (const auto& bad : mutations(proof))
        REQUIRE_FALSE(is_consistent(first, roots[first], second, roots[second], bad));
      for (std::size_t other = 1; other < second; ++other)
        if (other != first)
          REQUIRE_FALSE(is_consistent(first, roots[other], second, roots[second], proof));
      if (first != second) {
        REQUIRE_FALSE(is_consistent(first, roots[first], second, roots[second - 1], proof));
        REQUIRE_FALSE(is_consistent(second, roots[second], first, roots[first], proof));
      }
    }
  CHECK_THROWS_AS((void)prove_consistency(0, 5, nodes_of(all)), std::invalid_argument);
  CHECK_THROWS_AS((void)prove_consistency(0, 0, nodes_of(all)), std::invalid_argument);
  CHECK_THROWS_AS((void)prove_consistency(6, 5, nodes_of(all)), std::invalid_argument);
  CHECK_FALSE(is_consistent(0, roots[0], 5, roots[5], {}));
  CHECK_FALSE(is_consistent(0, roots[0], 0, roots[0], {}));
}

TEST_CASE("a log that was changed is no extension of itself") {
  // The inner test of a fork: one leaf before the first head differs.
  auto all = leaves(small);
  for (const std::size_t first : {1U, 2U, 31U, 32U, 33U, 64U, 69U}) {
    const auto old_root = root_after(std::span(all).first(first));
    auto changed = all;
    changed[first - 1] = leaf_hash("another");
    const auto proof = prove_consistency(first, small, nodes_of(changed));
    CHECK_FALSE(is_consistent(first, old_root, small, root_after(changed), proof));
    CHECK(is_consistent(first, old_root, small, root_after(all),
                        prove_consistency(first, small, nodes_of(all))));
  }
}

TEST_CASE("the published 8-leaf tree") {
  const auto vectors = nlohmann::json::parse(data("rfc6962-8leaf.json"));
  const auto hashes = [](const nlohmann::json& list) {
    std::vector<Hash> all;
    for (const auto& hex : list) {
      const auto hash = parse_hash(hex.get<std::string>());
      REQUIRE(hash);
      all.push_back(*hash);
    }
    return all;
  };
  const auto all = hashes(vectors["leaf_hashes"]), roots = hashes(vectors["roots_by_size"]);
  REQUIRE(all.size() == 8);
  for (std::size_t i = 0; i < 8; ++i) {
    std::string bytes;
    const auto hex = vectors["leaf_inputs"][i].get<std::string>();
    for (std::size_t at = 0; at < hex.size(); at += 2)
      bytes += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
    CHECK(leaf_hash(bytes) == all[i]);
  }
  for (std::size_t n = 0; n <= 8; ++n) CHECK(root_after(std::span(all).first(n)) == roots[n]);
  for (const auto& each : vectors["inclusion"]) {
    const auto index = each["index"].get<std::uint64_t>(), size = each["size"].get<std::uint64_t>();
    CHECK(prove_inclusion(index, size, nodes_of(all)) == hashes(each["proof"]));
    CHECK(is_included(all[index], index, size, hashes(each["proof"]), roots[size]));
  }
  for (const auto& each : vectors["consistency"]) {
    const auto first = each["size1"].get<std::uint64_t>(),
               second = each["size2"].get<std::uint64_t>();
    CHECK(prove_consistency(first, second, nodes_of(all)) == hashes(each["proof"]));
    CHECK(is_consistent(first, roots[first], second, roots[second], hashes(each["proof"])));
  }
  CHECK(vectors["inclusion"].size() == 36);
  CHECK(vectors["consistency"].size() == 36);
}

TEST_CASE("roots that the specification names") {
  const auto all = leaves(300);
  const std::pair<std::size_t, const char*> named[] = {
      {100, "13f88915c560dc911a1da0fb209d84a20971051f294ebeb428fb3fc293af2743"},
      {255, "d71592a219d4067663eede247f9b54c3f9e0290682d55de09b495b07f1de41c9"},
      {256, "cf5effdb11d0927a2edf53b0e73c7837f659414e00537da5d90eb5c4c49ff274"},
      {257, "855b936aa00cb98b5114484249ad39d78a6be93623e26c01e8e487dc02184a5a"},
      {300, "e7afc82d38944fc7930545328091d45823288c1f734cbdac06396713ebd4b5d5"}};
  for (const auto& [size, root] : named)
    CHECK(to_hex(root_after(std::span(all).first(size))) == root);
  CompactRange two;
  two.append(leaf_hash(data("example-record-0.json")));
  two.append(leaf_hash(data("example-record-1.json")));
  CHECK(to_hex(two.root()) == "33daec975057bafc020c598020ff0f6d228a9e3b0582f28fb0818d43c5f2b711");
}

TEST_CASE("a hash is 64 lower-case hex digits and nothing else") {
  const std::string good = to_hex(sha256("x"));
  CHECK(parse_hash(good) == sha256("x"));
  CHECK_FALSE(parse_hash(good.substr(1)));
  CHECK_FALSE(parse_hash(good + "0"));
  CHECK_FALSE(parse_hash(""));
  for (const char c : {'A', 'g', ' ', '-', '\0'}) {
    auto bad = good;
    bad[13] = c;
    CHECK_FALSE(parse_hash(bad));
  }
}
