// SPDX-License-Identifier: Apache-2.0
#include "common/device_id.hpp"

#include "common/bytes.hpp"

namespace support {

std::optional<std::uint64_t> parse_device_id(std::string_view text) {
  constexpr std::size_t with_separators = 23;
  std::string digits;
  if (text.size() == with_separators) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (i % 3 != 2) {
        digits += text[i];
      } else if (text[i] != '-' && text[i] != ':') {
        return std::nullopt;
      }
    }
  } else {
    digits = text;
  }
  const std::optional<Bytes> bytes = bytes_of_hex(digits);
  if (!bytes || bytes->size() != 8) return std::nullopt;
  std::uint64_t eui64 = 0;
  for (const std::uint8_t byte : *bytes) eui64 = (eui64 << 8U) | byte;
  return eui64;
}

std::string device_id_text(std::uint64_t eui64) {
  std::string text;
  for (unsigned shift = 64; shift > 0;) {
    shift -= 8;
    if (!text.empty()) text += '-';
    const auto byte = static_cast<std::uint8_t>((eui64 >> shift) & 0xFFU);
    text += hex_of(ByteView(&byte, 1));
  }
  return text;
}

std::optional<std::string> canonical_device_id(std::string_view text) {
  const std::optional<std::uint64_t> eui64 = parse_device_id(text);
  if (!eui64) return std::nullopt;
  return device_id_text(*eui64);
}

}  // namespace support
