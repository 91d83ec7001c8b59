// SPDX-License-Identifier: Apache-2.0
#include "sim_meter/ciphering.hpp"

#include <openssl/evp.h>

#include <stdexcept>
#include <utility>

#include "common/crypto.hpp"

namespace sim_meter {
namespace {

using support::Bytes;
using support::ByteView;
using support::require;

constexpr std::size_t tag_length = 12;
constexpr std::size_t header_length = 5;  // security control byte and invocation counter

const EVP_CIPHER* cipher_of(const support::Secret& key) {
  return key.size() == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
}

void append(Bytes& to, ByteView more) { to.insert(to.end(), more.begin(), more.end()); }

void append_counter(Bytes& to, std::uint32_t counter) {
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    to.push_back(static_cast<std::uint8_t>(counter >> shift));
  }
}

// Green Book, "Initialization vector": the sender's system title, then its invocation counter.
Bytes nonce_of(const Envelope& envelope, ByteView system_title) {
  if (system_title.size() != 8) throw std::logic_error("a system title has 8 bytes");
  Bytes nonce(system_title.begin(), system_title.end());
  append_counter(nonce, envelope.invocation_counter);
  return nonce;
}

// Begins a message in either direction: key, nonce and additional data (security control byte, then
// the authentication key).
support::CipherContext begin(bool enciphering, const Envelope& envelope, ByteView system_title,
                             const MessageKeys& keys) {
  support::CipherContext context = support::new_cipher_context();
  const Bytes nonce = nonce_of(envelope, system_title);
  require(
      EVP_CipherInit_ex(context.get(), cipher_of(keys.encryption), nullptr,
                        keys.encryption.reveal().data(), nonce.data(), enciphering ? 1 : 0) == 1,
      "EVP_CipherInit_ex");
  int length = 0;
  const ByteView gak = keys.authentication.reveal();
  require(EVP_CipherUpdate(context.get(), nullptr, &length, &envelope.security_control, 1) == 1 &&
              EVP_CipherUpdate(context.get(), nullptr, &length, gak.data(),
                               static_cast<int>(gak.size())) == 1,
          "EVP_CipherUpdate");
  return context;
}

Bytes update(const support::CipherContext& context, ByteView in) {
  Bytes out(in.size());
  int length = 0;
  require(EVP_CipherUpdate(context.get(), out.data(), &length, in.data(),
                           static_cast<int>(in.size())) == 1,
          "EVP_CipherUpdate");
  return out;
}

}  // namespace

std::optional<Ciphered> parse_ciphered(ByteView apdu) {
  if (apdu.size() < 4) return std::nullopt;
  std::size_t at = 1;
  std::size_t length = apdu[at++];
  if (length > 0x82 || length == 0x80) return std::nullopt;
  for (std::size_t more = length > 0x80 ? std::exchange(length, 0) - 0x80 : 0; more > 0; --more) {
    length = (length << 8U) | apdu[at++];
  }
  const ByteView body = apdu.subspan(at);
  if (body.size() != length || body.size() < header_length + tag_length) return std::nullopt;
  std::uint32_t counter = 0;
  for (std::size_t i = 1; i < header_length; ++i) counter = (counter << 8U) | body[i];
  const ByteView text = body.subspan(header_length, body.size() - header_length - tag_length);
  const ByteView tag = body.last(tag_length);
  return Ciphered{
      {apdu[0], body[0], counter}, Bytes(text.begin(), text.end()), Bytes(tag.begin(), tag.end())};
}

Bytes encipher(const Envelope& envelope, ByteView system_title, const MessageKeys& keys,
               ByteView plain) {
  const support::CipherContext context = begin(true, envelope, system_title, keys);
  Bytes body{envelope.security_control};
  append_counter(body, envelope.invocation_counter);
  append(body, update(context, plain));
  int length = 0;
  Bytes tag(tag_length);
  require(EVP_CipherFinal_ex(context.get(), tag.data(), &length) == 1, "EVP_CipherFinal_ex");
  require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, tag_length, tag.data()) == 1,
          "EVP_CTRL_AEAD_GET_TAG");
  append(body, tag);
  Bytes apdu{envelope.tag};
  if (body.size() > 0xFF) {
    apdu.push_back(0x82);
    apdu.push_back(static_cast<std::uint8_t>(body.size() >> 8U));
  } else if (body.size() > 0x7F) {
    apdu.push_back(0x81);
  }
  apdu.push_back(static_cast<std::uint8_t>(body.size()));
  append(apdu, body);
  return apdu;
}

std::optional<Bytes> decipher(const Ciphered& apdu, ByteView system_title,
                              const MessageKeys& keys) {
  const support::CipherContext context = begin(false, apdu.envelope, system_title, keys);
  Bytes plain = update(context, apdu.ciphertext);
  Bytes tag = apdu.authentication_tag;
  require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, tag_length, tag.data()) == 1,
          "EVP_CTRL_AEAD_SET_TAG");
  int length = 0;
  std::uint8_t unused = 0;
  if (EVP_CipherFinal_ex(context.get(), &unused, &length) != 1) return std::nullopt;
  return plain;
}

}  // namespace sim_meter
