// SPDX-License-Identifier: Apache-2.0
#include "sim_headend/ciphering.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>

namespace sim_headend {
namespace {

using support::Bytes;
using support::ByteView;
using support::Secret;

constexpr std::size_t tag_length = 12;
constexpr std::size_t counter_length = 4;

// AES-GCM over one message, which is short enough for one call each.
class Gcm {
 public:
  enum class Direction { decrypt, encrypt };

  Gcm(Direction direction, const Protection& protection, std::uint32_t counter)
      : cipher_(EVP_CIPHER_fetch(
                    nullptr, protection.encryption_key.size() == 32 ? "AES-256-GCM" : "AES-128-GCM",
                    nullptr),
                EVP_CIPHER_free),
        context_(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free) {
    if (!cipher_ || !context_) throw OpensslError("EVP_CIPHER_fetch");
    std::array<std::uint8_t, 12> nonce{};  // system title || counter
    if (protection.sender.size() != nonce.size() - counter_length)
      throw std::logic_error("a system title has 8 bytes");
    auto end = std::ranges::copy(protection.sender, nonce.begin()).out;
    for (std::size_t i = 0; i < counter_length; ++i)
      *end++ = static_cast<std::uint8_t>(counter >> (24 - 8 * i));
    if (EVP_CipherInit_ex2(context_.get(), cipher_.get(), protection.encryption_key.reveal().data(),
                           nonce.data(), direction == Direction::encrypt ? 1 : 0, nullptr) != 1)
      throw OpensslError("EVP_CipherInit_ex2");
    Secret additional(1 + protection.authentication_key.size());
    additional.reveal()[0] = protection.security_control;
    std::ranges::copy(protection.authentication_key.reveal(), additional.reveal().begin() + 1);
    int length = 0;
    if (EVP_CipherUpdate(context_.get(), nullptr, &length, additional.reveal().data(),
                         static_cast<int>(additional.size())) != 1)
      throw OpensslError("EVP_CipherUpdate");
  }

  // `to` has room for as many bytes.
  void update(ByteView from, std::uint8_t* to) {
    int length = 0;
    if (EVP_CipherUpdate(context_.get(), to, &length, from.data(), static_cast<int>(from.size())) !=
        1)
      throw OpensslError("EVP_CipherUpdate");
  }
  bool finish() {
    std::array<std::uint8_t, 16> none{};
    int length = 0;
    return EVP_CipherFinal_ex(context_.get(), none.data(), &length) == 1;
  }
  std::array<std::uint8_t, tag_length> tag() {
    std::array<std::uint8_t, tag_length> tag{};
    std::array params{
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag.data(), tag.size()),
        OSSL_PARAM_construct_end()};
    if (EVP_CIPHER_CTX_get_params(context_.get(), params.data()) != 1)
      throw OpensslError("EVP_CIPHER_CTX_get_params");
    return tag;
  }
  void expect_tag(ByteView expected) {
    Bytes tag(expected.begin(), expected.end());
    const std::array params{
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag.data(), tag.size()),
        OSSL_PARAM_construct_end()};
    if (EVP_CIPHER_CTX_set_params(context_.get(), params.data()) != 1)
      throw OpensslError("EVP_CIPHER_CTX_set_params");
  }

 private:
  std::unique_ptr<EVP_CIPHER, decltype(&EVP_CIPHER_free)> cipher_;
  std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context_;
};

// X.690 section 8.1.3: one byte up to 127, else the number of bytes that follow, and these.
Bytes length_bytes(std::size_t length) {
  if (length < 0x80) return {static_cast<std::uint8_t>(length)};
  Bytes bytes;
  for (; length > 0; length >>= 8U) bytes.insert(bytes.begin(), static_cast<std::uint8_t>(length));
  bytes.insert(bytes.begin(), static_cast<std::uint8_t>(0x80 + bytes.size()));
  return bytes;
}

}  // namespace

Bytes protect(std::uint8_t tag, std::uint32_t counter, const Protection& protection,
              ByteView plain) {
  Gcm gcm(Gcm::Direction::encrypt, protection, counter);
  Bytes apdu{tag};
  const Bytes length = length_bytes(1 + counter_length + plain.size() + tag_length);
  apdu.insert(apdu.end(), length.begin(), length.end());
  apdu.push_back(protection.security_control);
  for (std::size_t i = 0; i < counter_length; ++i)
    apdu.push_back(static_cast<std::uint8_t>(counter >> (24 - 8 * i)));
  const std::size_t text = apdu.size();
  apdu.resize(text + plain.size());
  gcm.update(plain, apdu.data() + text);
  if (!gcm.finish()) throw OpensslError("EVP_CipherFinal_ex");
  std::ranges::copy(gcm.tag(), std::back_inserter(apdu));
  return apdu;
}

std::optional<Unprotected> unprotect(std::uint8_t tag, const Protection& protection,
                                     ByteView apdu) {
  constexpr std::size_t around = 1 + counter_length + tag_length;
  if (apdu.size() < 2 || apdu[0] != tag) return std::nullopt;
  // The length has one form only: the one that it would be written in.
  const std::size_t header = apdu[1] < 0x80 ? 2 : 2 + (apdu[1] & 0x7FU);
  if (apdu.size() < header + around) return std::nullopt;
  if (!std::ranges::equal(length_bytes(apdu.size() - header), apdu.subspan(1, header - 1)))
    return std::nullopt;
  const ByteView body = apdu.subspan(header);
  if (body[0] != protection.security_control) return std::nullopt;
  Unprotected result{};
  for (std::size_t i = 1; i <= counter_length; ++i) result.counter = result.counter << 8U | body[i];
  const ByteView text = body.subspan(1 + counter_length, body.size() - around);
  Gcm gcm(Gcm::Direction::decrypt, protection, result.counter);
  gcm.expect_tag(body.last(tag_length));
  result.plain.resize(text.size());
  gcm.update(text, result.plain.data());
  if (!gcm.finish()) return std::nullopt;
  return result;
}

}  // namespace sim_headend
