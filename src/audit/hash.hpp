// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace smets1kms::audit {

/// A SHA-256 hash, 32 bytes.
using Hash = std::array<std::uint8_t, 32>;

[[nodiscard]] Hash sha256(std::string_view bytes);
[[nodiscard]] Hash sha256(std::span<const std::uint8_t> bytes);
/// Returns SHA-256(0x00 || record), RFC 6962 section 2.1.
[[nodiscard]] Hash leaf_hash(std::string_view record);
/// Returns SHA-256(0x01 || left || right), RFC 6962 section 2.1.
[[nodiscard]] Hash node_hash(const Hash& left, const Hash& right);
/// SHA-256 of a text that grows, at any of its lengths.
class RunningHash {
 public:
  RunningHash();
  void add(std::string_view text);
  [[nodiscard]] Hash so_far() const;

 private:
  std::shared_ptr<evp_md_ctx_st> context_;
};
/// Returns lower-case hex digits, two for each byte.
[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> bytes);
/// Reads lower-case hex digits, exactly two for each of `bytes`; false for anything else.
[[nodiscard]] bool parse_hex(std::string_view hex, std::span<std::uint8_t> bytes);
/// Reads exactly 64 lower-case hex digits; nullopt for anything else.
[[nodiscard]] std::optional<Hash> parse_hash(std::string_view hex);

}  // namespace smets1kms::audit
