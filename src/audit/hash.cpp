// SPDX-License-Identifier: Apache-2.0
#include "audit/hash.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

namespace smets1kms::audit {
namespace {

/// A digest whose algorithm is fetched once, with a context for each thread: OpenSSL's one-call
/// SHA256() fetches at each call, which costs more than hashing a record.
class Sha256 {
 public:
  Sha256() : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
    if (!algorithm_ || !context_ ||
        EVP_DigestInit_ex2(context_.get(), algorithm_.get(), nullptr) != 1)
      throw std::runtime_error("OpenSSL has no SHA-256 here");
  }
  Sha256& add(const void* bytes, std::size_t size) {
    EVP_DigestUpdate(context_.get(), bytes, size);
    return *this;
  }
  Hash finish() {
    Hash hash;
    if (EVP_DigestFinal_ex(context_.get(), hash.data(), nullptr) != 1 ||
        EVP_DigestInit_ex2(context_.get(), nullptr, nullptr) != 1)
      throw std::runtime_error("OpenSSL's SHA-256 failed");
    return hash;
  }

 private:
  struct Free {
    void operator()(EVP_MD* algorithm) const { EVP_MD_free(algorithm); }
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD, Free> algorithm_;
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

Sha256& digest() {
  thread_local Sha256 one;
  return one;
}

constexpr std::uint8_t no_digit = 0x80;
constexpr auto hex_digits = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(no_digit);
  for (std::uint8_t i = 0; i < 16; ++i)
    table[static_cast<unsigned char>("0123456789abcdef"[i])] = i;
  return table;
}();
std::uint8_t hex_digit(char c) { return hex_digits[static_cast<unsigned char>(c)]; }

}  // namespace

Hash sha256(std::string_view bytes) { return digest().add(bytes.data(), bytes.size()).finish(); }
Hash sha256(std::span<const std::uint8_t> bytes) {
  return digest().add(bytes.data(), bytes.size()).finish();
}

// The prefixes keep leaves and nodes apart.
Hash leaf_hash(std::string_view record) {
  return digest().add("\0", 1).add(record.data(), record.size()).finish();
}
Hash node_hash(const Hash& left, const Hash& right) {
  std::array<std::uint8_t, 1 + 2 * sizeof(Hash)> bytes{1};
  std::copy(right.begin(), right.end(), std::copy(left.begin(), left.end(), bytes.begin() + 1));
  return digest().add(bytes.data(), bytes.size()).finish();
}

RunningHash::RunningHash() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
  if (EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("OpenSSL has no SHA-256 here");
}

void RunningHash::add(std::string_view text) {
  EVP_DigestUpdate(context_.get(), text.data(), text.size());
}

Hash RunningHash::so_far() const {
  Hash hash{};
  const RunningHash copy;
  EVP_MD_CTX_copy_ex(copy.context_.get(), context_.get());
  EVP_DigestFinal_ex(copy.context_.get(), hash.data(), nullptr);
  return hash;
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const auto byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

bool parse_hex(std::string_view hex, std::span<std::uint8_t> bytes) {
  if (hex.size() != 2 * bytes.size()) return false;
  unsigned seen = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const unsigned high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
    seen |= high | low;
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return (seen & no_digit) == 0;
}

std::optional<Hash> parse_hash(std::string_view hex) {
  Hash hash{};
  return parse_hex(hex, hash) ? std::optional(hash) : std::nullopt;
}

}  // namespace smets1kms::audit
