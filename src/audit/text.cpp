// SPDX-License-Identifier: Apache-2.0
#include "audit/text.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>

namespace smets1kms::audit {
namespace {

constexpr std::uint64_t largest = (std::uint64_t{1} << 53) - 1;

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                  reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  return text;
}

std::optional<std::string> parse_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  if (EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                      reinterpret_cast<const unsigned char*>(text.data()),
                      static_cast<int>(text.size())) < 0)
    return std::nullopt;
  for (std::size_t pad = 0; pad < 2 && text[text.size() - 1 - pad] == '='; ++pad) bytes.pop_back();
  // OpenSSL reads more than it writes (white space, unused bits set): only its own spelling is
  // accepted.
  if (to_base64(bytes) != text) return std::nullopt;
  return bytes;
}

std::optional<std::uint64_t> parse_padded(std::string_view text, std::size_t width) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  const bool good = text.size() == width && width <= 16 && error == std::errc() && rest == end &&
                    value <= largest;
  return good ? std::optional(value) : std::nullopt;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  return parse_padded(text, text.size());
}

std::string padded(std::uint64_t number, std::size_t width) {
  const std::string digits = std::to_string(number);
  return std::string(width > digits.size() ? width - digits.size() : 0, '0') + digits;
}

std::string join_words(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const auto& word : words) text.append(&word == &words.front() ? "" : between).append(word);
  return text;
}

std::optional<std::string_view> take_line(std::string_view& rest) {
  const auto end = rest.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const auto line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return line;
}

std::string_view take_word(std::string_view& rest, char end) {
  const auto word = rest.substr(0, rest.find(end));
  rest.remove_prefix(std::min(rest.size(), word.size() + 1));
  return word;
}

}  // namespace smets1kms::audit
