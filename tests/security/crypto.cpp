// SPDX-License-Identifier: Apache-2.0
#include "crypto.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>

namespace attack {
namespace {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeWith<EVP_CIPHER_CTX_free>>;
using Key = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using Context = std::unique_ptr<EVP_PKEY_CTX, FreeWith<EVP_PKEY_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;

void require(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string("OpenSSL: ") + what);
}

Number number(const Bytes& bytes) {
  return Number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
}

Bytes bytes(const EVP_PKEY* key, const char* name) {
  BIGNUM* raw = nullptr;
  require(EVP_PKEY_get_bn_param(key, name, &raw) == 1, name);
  const Number value(raw);
  Bytes result(static_cast<std::size_t>(BN_num_bytes(raw)));
  BN_bn2bin(raw, result.data());
  return result;
}

Key rsa_key(std::initializer_list<std::pair<const char*, const Bytes*>> numbers, int selection) {
  const std::unique_ptr<OSSL_PARAM_BLD, FreeWith<OSSL_PARAM_BLD_free>> builder(
      OSSL_PARAM_BLD_new());
  std::vector<Number> kept;
  for (const auto& [name, value] : numbers)
    OSSL_PARAM_BLD_push_BN(builder.get(), name, kept.emplace_back(number(*value)).get());
  const std::unique_ptr<OSSL_PARAM, FreeWith<OSSL_PARAM_free>> parameters(
      OSSL_PARAM_BLD_to_param(builder.get()));
  const Context context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* raw = nullptr;
  require(EVP_PKEY_fromdata_init(context.get()) == 1 &&
              EVP_PKEY_fromdata(context.get(), &raw, selection, parameters.get()) == 1,
          "RSA key");
  return Key(raw);
}

void set_padding(EVP_PKEY_CTX* context, Padding padding) {
  const int number = padding == Padding::oaep_sha1 ? RSA_PKCS1_OAEP_PADDING
                     : padding == Padding::pkcs1   ? RSA_PKCS1_PADDING
                                                   : RSA_NO_PADDING;
  require(EVP_PKEY_CTX_set_rsa_padding(context, number) == 1, "padding");
}

std::optional<Bytes> decrypt(EVP_PKEY* key, const Bytes& data, Padding padding) {
  const Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  require(EVP_PKEY_decrypt_init(context.get()) == 1, "decrypt");
  set_padding(context.get(), padding);
  Bytes clear(1024);
  std::size_t length = clear.size();
  if (EVP_PKEY_decrypt(context.get(), clear.data(), &length, data.data(), data.size()) != 1) {
    ERR_clear_error();
    return std::nullopt;
  }
  clear.resize(length);
  return clear;
}

Bytes aes_block(const Bytes& key, const Bytes& block, int encrypt) {
  const Cipher cipher(EVP_CIPHER_CTX_new());
  const auto* algorithm = key.size() == 32   ? EVP_aes_256_ecb()
                          : key.size() == 24 ? EVP_aes_192_ecb()
                                             : EVP_aes_128_ecb();
  Bytes out(32);
  int length = 0;
  require(EVP_CipherInit_ex(cipher.get(), algorithm, nullptr, key.data(), nullptr, encrypt) == 1 &&
              EVP_CIPHER_CTX_set_padding(cipher.get(), 0) == 1 &&
              EVP_CipherUpdate(cipher.get(), out.data(), &length, block.data(), 16) == 1 &&
              length == 16,
          "AES");
  out.resize(16);
  return out;
}

constexpr std::uint8_t default_iv = 0xA6;  // RFC 3394 section 2.2.3.1

}  // namespace

Bytes random_bytes(std::size_t count) {
  Bytes result(count);
  require(RAND_bytes(result.data(), static_cast<int>(count)) == 1, "RAND_bytes");
  return result;
}

std::string hex(const Bytes& bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const auto byte : bytes) text += {digits[byte >> 4], digits[byte & 15]};
  return text;
}

Bytes unhex(const std::string& text) {
  Bytes result;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    result.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  return result;
}

Bytes exclusive_or(const Bytes& a, const Bytes& b) {
  Bytes result(a);
  for (std::size_t i = 0; i < result.size(); ++i)
    result[i] = static_cast<std::uint8_t>(a[i] ^ b.at(i));
  return result;
}

Block aes_encrypt(const Bytes& key) {
  return [key](const Bytes& block) { return aes_block(key, block, 1); };
}
Block aes_decrypt(const Bytes& key) {
  return [key](const Bytes& block) { return aes_block(key, block, 0); };
}

Bytes wrap(const Block& encrypt, const Bytes& key) {
  const std::size_t n = key.size() / 8;
  Bytes a(8, default_iv), r(key);
  for (std::size_t j = 0; j < 6; ++j)
    for (std::size_t i = 0; i < n; ++i) {
      Bytes block(a);
      block.insert(block.end(), r.begin() + static_cast<std::ptrdiff_t>(8 * i),
                   r.begin() + static_cast<std::ptrdiff_t>(8 * i + 8));
      const Bytes b = encrypt(block);
      std::copy(b.begin(), b.begin() + 8, a.begin());
      a[7] = static_cast<std::uint8_t>(a[7] ^ (n * j + i + 1));
      std::copy(b.begin() + 8, b.begin() + 16, r.begin() + static_cast<std::ptrdiff_t>(8 * i));
    }
  a.insert(a.end(), r.begin(), r.end());
  return a;
}

std::optional<Bytes> unwrap(const Block& decrypt, const Bytes& wrapped) {
  if (wrapped.size() < 24 || wrapped.size() % 8 != 0) return std::nullopt;
  const std::size_t n = wrapped.size() / 8 - 1;
  Bytes a(wrapped.begin(), wrapped.begin() + 8), r(wrapped.begin() + 8, wrapped.end());
  for (std::size_t j = 6; j-- > 0;)
    for (std::size_t i = n; i-- > 0;) {
      Bytes block(a);
      block[7] = static_cast<std::uint8_t>(block[7] ^ (n * j + i + 1));
      block.insert(block.end(), r.begin() + static_cast<std::ptrdiff_t>(8 * i),
                   r.begin() + static_cast<std::ptrdiff_t>(8 * i + 8));
      const Bytes b = decrypt(block);
      std::copy(b.begin(), b.begin() + 8, a.begin());
      std::copy(b.begin() + 8, b.begin() + 16, r.begin() + static_cast<std::ptrdiff_t>(8 * i));
    }
  if (a != Bytes(8, default_iv)) return std::nullopt;
  return r;
}

std::optional<Bytes> unwrap_padded(const Bytes& kek, const Bytes& wrapped) {
  const Cipher cipher(EVP_CIPHER_CTX_new());
  EVP_CIPHER_CTX_set_flags(cipher.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  const auto* algorithm = kek.size() == 32 ? EVP_aes_256_wrap_pad() : EVP_aes_128_wrap_pad();
  Bytes clear(wrapped.size() + 16);
  int length = 0;
  if (EVP_DecryptInit_ex(cipher.get(), algorithm, nullptr, kek.data(), nullptr) != 1 ||
      EVP_DecryptUpdate(cipher.get(), clear.data(), &length, wrapped.data(),
                        static_cast<int>(wrapped.size())) != 1 ||
      length <= 0) {
    ERR_clear_error();
    return std::nullopt;
  }
  clear.resize(static_cast<std::size_t>(length));
  return clear;
}

Bytes cmac(const Bytes& key, const Bytes& message) {
  Bytes mac(16);
  std::size_t length = 0;
  require(EVP_Q_mac(nullptr, "CMAC", nullptr, key.size() == 32 ? "AES-256-CBC" : "AES-128-CBC",
                    nullptr, key.data(), key.size(), message.data(), message.size(), mac.data(),
                    mac.size(), &length) != nullptr,
          "CMAC");
  return mac;
}

Bytes gcm_tag(const Bytes& key, const Bytes& iv, const Bytes& additional_data, const Bytes& plain,
              Bytes* cipher_text) {
  const Cipher cipher(EVP_CIPHER_CTX_new());
  Bytes sealed(plain.size() + 16), tag(16);
  int length = 0;
  require(EVP_EncryptInit_ex(cipher.get(), key.size() == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm(),
                             nullptr, nullptr, nullptr) == 1 &&
              EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_IVLEN,
                                  static_cast<int>(iv.size()), nullptr) == 1 &&
              EVP_EncryptInit_ex(cipher.get(), nullptr, nullptr, key.data(), iv.data()) == 1,
          "GCM");
  require(EVP_EncryptUpdate(cipher.get(), nullptr, &length, additional_data.data(),
                            static_cast<int>(additional_data.size())) == 1,
          "GCM");
  require(EVP_EncryptUpdate(cipher.get(), sealed.data(), &length, plain.data(),
                            static_cast<int>(plain.size())) == 1,
          "GCM");
  sealed.resize(plain.size());
  if (cipher_text != nullptr) *cipher_text = sealed;
  sealed.resize(32);
  require(EVP_EncryptFinal_ex(cipher.get(), sealed.data(), &length) == 1 &&
              EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, 16, tag.data()) == 1,
          "GCM tag");
  return tag;
}

Bytes sha256(const Bytes& data) {
  Bytes digest(SHA256_DIGEST_LENGTH);
  SHA256(data.data(), data.size(), digest.data());
  return digest;
}

Bytes rsa_encrypt(const Bytes& modulus, const Bytes& exponent, Padding padding, const Bytes& data) {
  const auto key = rsa_key({{OSSL_PKEY_PARAM_RSA_N, &modulus}, {OSSL_PKEY_PARAM_RSA_E, &exponent}},
                           EVP_PKEY_PUBLIC_KEY);
  const Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  require(EVP_PKEY_encrypt_init(context.get()) == 1, "encrypt");
  set_padding(context.get(), padding);
  Bytes encrypted(modulus.size() + 8);
  std::size_t length = encrypted.size();
  require(EVP_PKEY_encrypt(context.get(), encrypted.data(), &length, data.data(), data.size()) == 1,
          "encrypt");
  encrypted.resize(length);
  return encrypted;
}

std::optional<Bytes> oaep_content(const Bytes& block) {
  constexpr std::size_t h = SHA_DIGEST_LENGTH;
  if (block.size() < 2 * h + 2 || block[0] != 0) return std::nullopt;
  const auto mask = [](const Bytes& seed, std::size_t length) {  // MGF1, RFC 8017 section B.2.1
    Bytes out;
    for (std::uint8_t counter = 0; out.size() < length; ++counter) {
      Bytes input(seed);
      input.insert(input.end(), {0, 0, 0, counter});
      std::array<std::uint8_t, h> digest;
      SHA1(input.data(), input.size(), digest.data());
      out.insert(out.end(), digest.begin(), digest.end());
    }
    out.resize(length);
    return out;
  };
  const Bytes masked_seed(block.begin() + 1, block.begin() + 1 + h),
      masked_db(block.begin() + 1 + h, block.end());
  const Bytes seed = exclusive_or(masked_seed, mask(masked_db, h));
  const Bytes db = exclusive_or(masked_db, mask(seed, masked_db.size()));
  std::array<std::uint8_t, h> empty;
  SHA1(nullptr, 0, empty.data());
  if (!std::equal(empty.begin(), empty.end(), db.begin())) return std::nullopt;
  const auto one =
      std::find_if(db.begin() + h, db.end(), [](std::uint8_t byte) { return byte != 0; });
  if (one == db.end() || *one != 1) return std::nullopt;
  return Bytes(one + 1, db.end());
}

OwnRsa own_rsa(unsigned bits) {
  const Key key(EVP_RSA_gen(bits));
  return {.modulus = bytes(key.get(), OSSL_PKEY_PARAM_RSA_N),
          .public_exponent = bytes(key.get(), OSSL_PKEY_PARAM_RSA_E),
          .private_exponent = bytes(key.get(), OSSL_PKEY_PARAM_RSA_D),
          .prime_1 = bytes(key.get(), OSSL_PKEY_PARAM_RSA_FACTOR1),
          .prime_2 = bytes(key.get(), OSSL_PKEY_PARAM_RSA_FACTOR2),
          .exponent_1 = bytes(key.get(), OSSL_PKEY_PARAM_RSA_EXPONENT1),
          .exponent_2 = bytes(key.get(), OSSL_PKEY_PARAM_RSA_EXPONENT2),
          .coefficient = bytes(key.get(), OSSL_PKEY_PARAM_RSA_COEFFICIENT1)};
}

std::optional<Bytes> OwnRsa::decrypt(const Bytes& data, Padding padding) const {
  const auto key = rsa_key({{OSSL_PKEY_PARAM_RSA_N, &modulus},
                            {OSSL_PKEY_PARAM_RSA_E, &public_exponent},
                            {OSSL_PKEY_PARAM_RSA_D, &private_exponent}},
                           EVP_PKEY_KEYPAIR);
  return attack::decrypt(key.get(), data, padding);
}

static Key pkcs8_key(const Bytes& der) {
  const auto* at = der.data();
  const std::unique_ptr<PKCS8_PRIV_KEY_INFO, FreeWith<PKCS8_PRIV_KEY_INFO_free>> info(
      d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, static_cast<long>(der.size())));
  Key key(info ? EVP_PKCS82PKEY(info.get()) : nullptr);
  ERR_clear_error();
  return key;
}

std::optional<Bytes> pkcs8_decrypt(const Bytes& der, const Bytes& data) {
  const auto key = pkcs8_key(der);
  return key ? decrypt(key.get(), data, Padding::oaep_sha1) : std::nullopt;
}

Bytes modulus_of_pkcs8(const Bytes& der) {
  const auto key = pkcs8_key(der);
  require(key != nullptr, "not a private key");
  return bytes(key.get(), OSSL_PKEY_PARAM_RSA_N);
}

Bytes modulus_of(const std::string& pem) {
  const std::unique_ptr<BIO, FreeWith<BIO_free_all>> in(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Key key(PEM_read_bio_PUBKEY(in.get(), nullptr, nullptr, nullptr));
  require(key != nullptr, "not a public key");
  return bytes(key.get(), OSSL_PKEY_PARAM_RSA_N);
}

}  // namespace attack
