// SPDX-License-Identifier: Apache-2.0
#include "common/crypto.hpp"

#include <openssl/err.h>
#include <openssl/rand.h>

#include <array>
#include <string>

namespace support {
namespace {

std::string last_openssl_error() {
  std::array<char, 256> text{};
  const unsigned long code = ERR_get_error();
  if (code == 0) return "no reason given";
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

const EVP_CIPHER* wrap_cipher(const Secret& kek) {
  if (kek.size() == 16) return EVP_aes_128_wrap();
  if (kek.size() == 32) return EVP_aes_256_wrap();
  throw std::logic_error("a KEK has 16 or 32 bytes");
}

}  // namespace

CryptoError::CryptoError(std::string_view function)
    : std::runtime_error(std::string(function) + ": " + last_openssl_error()) {}

void require(bool done, std::string_view function) {
  if (!done) throw CryptoError(function);
}

CipherContext new_cipher_context() {
  CipherContext context(EVP_CIPHER_CTX_new());
  require(context != nullptr, "EVP_CIPHER_CTX_new");
  return context;
}

Secret random_secret(std::size_t length) {
  Secret secret(length);
  require(RAND_priv_bytes(secret.reveal().data(), static_cast<int>(length)) == 1,
          "RAND_priv_bytes");
  return secret;
}

Bytes sha256(ByteView data) {
  Bytes digest(32);
  require(EVP_Digest(data.data(), data.size(), digest.data(), nullptr, EVP_sha256(), nullptr) == 1,
          "EVP_Digest");
  return digest;
}

Bytes rfc3394_wrap(const Secret& kek, const Secret& key) {
  const CipherContext context = new_cipher_context();
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  require(EVP_EncryptInit_ex(context.get(), wrap_cipher(kek), nullptr, kek.reveal().data(),
                             nullptr) == 1,
          "EVP_EncryptInit_ex");
  Bytes wrapped(key.size() + 8);
  int length = 0;
  require(EVP_EncryptUpdate(context.get(), wrapped.data(), &length, key.reveal().data(),
                            static_cast<int>(key.size())) == 1 &&
              static_cast<std::size_t>(length) == wrapped.size(),
          "EVP_EncryptUpdate");
  return wrapped;
}

std::optional<Secret> rfc3394_unwrap(const Secret& kek, ByteView wrapped) {
  if (wrapped.size() < 24 || wrapped.size() % 8 != 0) return std::nullopt;
  const CipherContext context = new_cipher_context();
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  require(EVP_DecryptInit_ex(context.get(), wrap_cipher(kek), nullptr, kek.reveal().data(),
                             nullptr) == 1,
          "EVP_DecryptInit_ex");
  Secret padded(wrapped.size());  // OpenSSL may write as many bytes as it reads
  int length = 0;
  if (EVP_DecryptUpdate(context.get(), padded.reveal().data(), &length, wrapped.data(),
                        static_cast<int>(wrapped.size())) != 1 ||
      static_cast<std::size_t>(length) != wrapped.size() - 8) {
    ERR_clear_error();
    return std::nullopt;
  }
  return Secret(ByteView(padded.reveal()).first(wrapped.size() - 8));
}

}  // namespace support
