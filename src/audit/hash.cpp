#include "audit/hash.hpp"

#include <openssl/evp.h>

#include <memory>
#include <stdexcept>

namespace smets1kms::audit {
namespace {

/// The algorithm fetched once and a context for each thread: OpenSSL's one-call SHA256() fetches at each call, which
/// costs more than hashing a record.
class Digest {
 public:
  Digest() : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
    if (!algorithm_ || !context_ || EVP_DigestInit_ex2(context_.get(), algorithm_.get(), nullptr) != 1) throw std::runtime_error("OpenSSL has no SHA-256 here");
  }
  Digest& add(const void* bytes, std::size_t size) {
    EVP_DigestUpdate(context_.get(), bytes, size);
    return *this;
  }
  Hash finish() {
    Hash hash;
    if (EVP_DigestFinal_ex(context_.get(), hash.data(), nullptr) != 1 || EVP_DigestInit_ex2(context_.get(), nullptr, nullptr) != 1)
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

Digest& digest() {
  thread_local Digest one;
  return one;
}

int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

}  // namespace

Hash sha256(std::span<const std::uint8_t> bytes) { return digest().add(bytes.data(), bytes.size()).finish(); }

Hash sha256(std::string_view bytes) { return digest().add(bytes.data(), bytes.size()).finish(); }

// The prefixes keep leaves and nodes apart.
Hash leaf_hash(std::string_view record) { return digest().add("\0", 1).add(record.data(), record.size()).finish(); }
Hash node_hash(const Hash& left, const Hash& right) { return digest().add("\1", 1).add(left.data(), left.size()).add(right.data(), right.size()).finish(); }

std::string to_hex(const Hash& hash) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * hash.size());
  for (const auto byte : hash) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::optional<Hash> parse_hash(std::string_view hex) {
  Hash hash{};
  if (hex.size() != 2 * hash.size()) return std::nullopt;
  for (std::size_t i = 0; i < hash.size(); ++i) {
    const int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    hash[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return hash;
}

}  // namespace smets1kms::audit
