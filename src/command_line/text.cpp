// SPDX-License-Identifier: Apache-2.0
#include "command_line/text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace smets1kms::command_line {
namespace {

struct Character {
  std::uint32_t code;  ///< its code point
  std::size_t length;  ///< in bytes; 0: not UTF-8 (RFC 3629)
};

Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  constexpr std::array<std::uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return {lead, 0};
  std::uint32_t code = lead & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {lead, 0};
    code = code << 6 | (byte(i) & 0x3FU);
  }
  const bool is_valid =
      code >= least[length] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
  return is_valid ? Character{code, length} : Character{lead, 0};
}

/// True for C0, DEL and C1, line and paragraph separators, and the marks that turn the direction of
/// writing.
bool is_control(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x061C || code == 0x200E ||
         code == 0x200F || (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

std::string printable(std::string_view text, bool one_line) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto [code, length] = first_character(text);
    const bool is_kept = !one_line && (code == '\n' || code == '\t');
    if (length != 0 && (is_kept || !is_control(code))) {
      out += text.substr(0, length);
    } else {
      std::array<char, 8> escape{};
      (void)std::snprintf(escape.data(), escape.size(),
                          code < 0x80 || length == 0 ? "\\x%02X" : "\\u%04X", code);
      out += escape.data();
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::size_t columns_of(std::string_view text) {
  const auto begins = [](char c) { return (static_cast<std::uint8_t>(c) & 0xC0) != 0x80; };
  return static_cast<std::size_t>(std::ranges::count_if(text, begins));
}

std::string counted(std::size_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  // The optimal string alignment distance, three rows of its table at a time.
  const auto distance = [word](std::string_view other) {
    std::vector<std::size_t> before_last, last(other.size() + 1), row;
    for (std::size_t j = 0; j <= other.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      row.assign(1, i);
      for (std::size_t j = 1; j <= other.size(); ++j) {
        const bool same = word[i - 1] == other[j - 1];
        row.push_back(std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)}));
        if (i > 1 && j > 1 && word[i - 1] == other[j - 2] && word[i - 2] == other[j - 1])
          row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
      before_last = std::exchange(last, row);
    }
    return last.back();
  };
  std::string best;
  std::size_t least = std::min<std::size_t>(3, 1 + word.size() / 4) + 1;
  if (word.size() > 64) return best;
  for (const auto& candidate : candidates)
    if (const auto far = distance(candidate); far < least && far < candidate.size()) {
      least = far;
      best = candidate;
    }
  return best;
}

PrintableBuffer::int_type PrintableBuffer::overflow(int_type character) {
  if (traits_type::eq_int_type(character, traits_type::eof()))
    return traits_type::not_eof(character);
  const char one = traits_type::to_char_type(character);
  return xsputn(&one, 1) == 1 ? character : traits_type::eof();
}

std::streamsize PrintableBuffer::xsputn(const char* text, std::streamsize count) {
  const auto safe = printable({text, static_cast<std::size_t>(count)}, false);
  const auto size = static_cast<std::streamsize>(safe.size());
  return to_->sputn(safe.data(), size) == size ? count : 0;
}

}  // namespace smets1kms::command_line
