// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "audit/hash.hpp"
#include "audit/text.hpp"

/// Format that the writer and the reader of an export share; see export.hpp.
namespace smets1kms::audit::format {

inline constexpr std::string_view manifest_begin = "smets1-kms audit export 1\n";
inline constexpr std::size_t entry_length = 48, segment_digits = 8, map_digits = 15;

inline std::string segment_name(std::uint64_t number, const char* kind) {
  return "records/" + padded(number, segment_digits) + "." + kind;
}
inline std::string map_name(std::uint64_t records) { return "maps/" + padded(records, map_digits); }
inline std::string timestamp_name(const std::string& hash) { return "timestamps/" + hash + ".tsr"; }
inline bool is_document_name(std::string_view name) {
  return !name.empty() && name.size() <= 40 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
  });
}

/// Returns the hash whose bytes stand at `at`.
inline Hash hash_at(std::string_view bytes, std::size_t at) {
  Hash hash{};
  bytes.copy(reinterpret_cast<char*>(hash.data()), hash.size(), at);
  return hash;
}

/// Entry of an index, for one record: 48 bytes, numbers with the highest byte first.
struct Entry {
  Hash leaf{};
  std::uint64_t end = 0;  ///< of the record's line in its file
  std::optional<std::uint64_t> previous{};

  static Entry read(std::string_view bytes) {
    const auto number = [&](std::size_t at) {
      std::uint64_t value = 0;
      for (const char byte : bytes.substr(at, 8))
        value = value << 8 | static_cast<unsigned char>(byte);
      return value;
    };
    const auto before = number(40);
    return {.leaf = hash_at(bytes, 0),
            .end = number(32),
            .previous = before == 0 ? std::nullopt : std::optional(before - 1)};
  }
  [[nodiscard]] std::string write() const {
    std::string bytes(leaf.begin(), leaf.end());
    for (const auto value : {end, previous ? *previous + 1 : 0})
      for (int shift = 56; shift >= 0; shift -= 8)
        bytes += static_cast<char>(value >> shift & 0xFF);
    return bytes;
  }
};

}  // namespace smets1kms::audit::format
