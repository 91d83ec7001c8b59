// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Text forms with one spelling each: a reader accepts only what the writer would write.
namespace smets1kms::audit {

/// Writes base64 (RFC 4648 section 4), with padding.
[[nodiscard]] std::string to_base64(std::string_view bytes);
/// Reads base64. Nullopt for anything that to_base64 would not write: white space, missing padding,
/// bits set behind the last byte.
[[nodiscard]] std::optional<std::string> parse_base64(std::string_view text);
/// Reads decimal digits without a leading zero, at most 2^53-1.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text);
/// Reads as parse_number, with leading zeros: exactly `width` digits.
[[nodiscard]] std::optional<std::uint64_t> parse_padded(std::string_view text, std::size_t width);
[[nodiscard]] std::string padded(std::uint64_t number, std::size_t width);

/// Returns the words with `between` between them.
[[nodiscard]] std::string join_words(const std::vector<std::string>& words,
                                     std::string_view between = ", ");

/// Takes the first line off, without its newline. Nullopt where there is none: text behind the last
/// newline is no line.
[[nodiscard]] std::optional<std::string_view> take_line(std::string_view& rest);
/// Takes the text before the first `end` off, and that; all of it where there is none.
[[nodiscard]] std::string_view take_word(std::string_view& rest, char end = ' ');

}  // namespace smets1kms::audit
