// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "audit/text.hpp"

/// Format that the writer and the reader of an export share; see export.hpp.
namespace smets1kms::audit::format {

inline constexpr std::string_view manifest_begin = "smets1-kms audit export 1\n";
inline constexpr std::size_t entry_length = 48, segment_digits = 8, map_digits = 15;

inline std::string segment_name(std::uint64_t number, const char* kind) {
  return "records/" + padded(number, segment_digits) + "." + kind;
}
inline std::string map_name(std::uint64_t records) { return "maps/" + padded(records, map_digits); }
inline bool is_document_name(std::string_view name) {
  return !name.empty() && name.size() <= 40 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
  });
}

/// Writes a number as 8 bytes, the highest first.
inline void write_number(char* at, std::uint64_t value) {
  for (int i = 7; i >= 0; --i, value >>= 8) at[i] = static_cast<char>(value & 0xFF);
}
inline std::uint64_t read_number(const char* at) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

}  // namespace smets1kms::audit::format
