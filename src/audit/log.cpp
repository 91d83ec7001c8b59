// SPDX-License-Identifier: Apache-2.0
#include "audit/log.hpp"

#include <algorithm>
#include <stdexcept>

#include "audit/record_rules.hpp"
#include "audit/text.hpp"

namespace smets1kms::audit {

std::string DeviceHead::format() const {
  return device_name(device) + " " + padded(sequence, 10) + " " + padded(index, 15) + " " +
         to_hex(leaf);
}

DeviceHead DeviceHead::parse(std::string_view line) {
  const auto device = parse_device(take_word(line));
  const auto sequence = parse_padded(take_word(line), 10),
             index = parse_padded(take_word(line), 15);
  const auto leaf = parse_hash(line);
  if (!device || !sequence || !index || !leaf)
    throw std::invalid_argument(
        "a line is not a device, its last sequence number, index and leaf hash");
  return {.device = *device, .sequence = *sequence, .index = *index, .leaf = *leaf};
}

std::string MapStatement::format() const {
  return "records " + std::to_string(records) + " devices " + std::to_string(devices) + " root " +
         to_hex(root);
}

MapStatement MapStatement::parse(std::string_view detail) {
  const bool r = take_word(detail) == "records";
  const auto records = parse_number(take_word(detail));
  const bool d = take_word(detail) == "devices";
  const auto devices = parse_number(take_word(detail));
  const bool h = take_word(detail) == "root";
  const auto root = parse_hash(detail);
  if (!r || !d || !h || !records || !devices || !root)
    throw std::invalid_argument("a device-head map is stated as 'records N devices M root HASH'");
  return {.records = *records, .devices = *devices, .root = *root};
}

Hash StoredTree::node(unsigned level, std::uint64_t index) {
  // The neighbours of a stored hash will be asked for too.
  const auto stored = [index](Block& block, const TreeStore::Read& read, std::uint64_t size) {
    const auto first = index >> node_level << node_level;
    if (block.hashes.empty() || block.first != first)
      block = {first, read(first, std::min(std::uint64_t{1} << node_level, size - first))};
    return block.hashes.at(index - first);
  };
  if (level == 0) return stored(leaves_, store_.leaves, store_.size);
  if (level == node_level && index < store_.kept) return stored(nodes_, store_.nodes, store_.kept);
  const auto name = std::pair(level, index);
  if (const auto found = known_.find(name); found != known_.end()) return found->second;
  const auto left = node(level - 1, 2 * index),
             hash = node_hash(left, node(level - 1, 2 * index + 1));
  if (level >= 2 * node_level) known_[name] = hash;
  return hash;
}

Proof StoredTree::inclusion(std::uint64_t index, std::uint64_t size) {
  return prove_inclusion(index, size,
                         [this](unsigned level, std::uint64_t at) { return node(level, at); });
}

CompactRange StoredTree::range(std::uint64_t count) {
  std::vector<Hash> peaks;
  for (unsigned level = 64; level-- > 0;)
    if ((count >> level & 1) != 0) peaks.push_back(node(level, (count >> level) - 1));
  return {count, std::move(peaks)};
}

}  // namespace smets1kms::audit
