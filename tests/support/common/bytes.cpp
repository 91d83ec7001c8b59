// SPDX-License-Identifier: Apache-2.0
#include "common/bytes.hpp"

namespace support {
namespace {

constexpr std::string_view digits = "0123456789ABCDEF";

std::optional<unsigned> nibble(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10U;
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10U;
  return std::nullopt;
}

}  // namespace

std::string hex_of(ByteView bytes) {
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    hex += digits[byte >> 4U];
    hex += digits[byte & 0x0FU];
  }
  return hex;
}

std::optional<Bytes> bytes_of_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  Bytes bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const std::optional<unsigned> high = nibble(hex[i]);
    const std::optional<unsigned> low = nibble(hex[i + 1]);
    if (!high || !low) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(*high * 16U + *low));
  }
  return bytes;
}

std::optional<Secret> aes_key_of_hex(std::string_view hex) {
  std::optional<Bytes> bytes = bytes_of_hex(hex);
  if (!bytes) return std::nullopt;
  std::optional<Secret> key;
  if (bytes->size() == 16 || bytes->size() == 32) key.emplace(*bytes);
  OPENSSL_cleanse(bytes->data(), bytes->size());
  return key;
}

}  // namespace support
