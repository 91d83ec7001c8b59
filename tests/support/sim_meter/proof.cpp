// SPDX-License-Identifier: Apache-2.0
#include "sim_meter/proof.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <memory>
#include <string>

#include "common/crypto.hpp"
#include "common/files.hpp"

namespace sim_meter {
namespace {

using support::Bytes;
using support::ByteView;
using support::require;
using support::Secret;

constexpr std::string_view prefix = "smets1-kms key proof 1";
constexpr std::size_t tag_length = 16;

Bytes prefixed(ByteView challenge) {
  const ByteView head = support::as_bytes(prefix);
  Bytes message(head.begin(), head.end());
  message.insert(message.end(), challenge.begin(), challenge.end());
  return message;
}

// The IV is bound to this purpose and to the challenge: no message of the meter is protected under
// it but by chance.
Bytes gcm_proof(const Secret& key, ByteView challenge) {
  const Bytes iv =
      support::sha256(prefixed(challenge));  // 12 bytes of it are used, GCM's default length
  const support::CipherContext context = support::new_cipher_context();
  const EVP_CIPHER* cipher = key.size() == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
  require(EVP_EncryptInit_ex(context.get(), cipher, nullptr, key.reveal().data(), iv.data()) == 1,
          "EVP_EncryptInit_ex");
  std::array<std::uint8_t, challenge_max + tag_length> unused{};
  int length = 0;
  require(EVP_EncryptUpdate(context.get(), unused.data(), &length, challenge.data(),
                            static_cast<int>(challenge.size())) == 1,
          "EVP_EncryptUpdate");
  require(EVP_EncryptFinal_ex(context.get(), unused.data() + length, &length) == 1,
          "EVP_EncryptFinal_ex");
  Bytes tag(tag_length);
  require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag.size()),
                              tag.data()) == 1,
          "EVP_CTRL_AEAD_GET_TAG");
  return tag;
}

Bytes cmac_proof(const Secret& key, ByteView challenge) {
  const std::unique_ptr<EVP_MAC, support::FreeWith<EVP_MAC_free>> mac(
      EVP_MAC_fetch(nullptr, "CMAC", nullptr));
  require(mac != nullptr, "EVP_MAC_fetch");
  const std::unique_ptr<EVP_MAC_CTX, support::FreeWith<EVP_MAC_CTX_free>> context(
      EVP_MAC_CTX_new(mac.get()));
  require(context != nullptr, "EVP_MAC_CTX_new");
  std::string cipher = key.size() == 32 ? "AES-256-CBC" : "AES-128-CBC";
  const std::array<OSSL_PARAM, 2> params{
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher.data(), 0),
      OSSL_PARAM_construct_end()};
  require(EVP_MAC_init(context.get(), key.reveal().data(), key.size(), params.data()) == 1,
          "EVP_MAC_init");
  const Bytes message = prefixed(challenge);
  require(EVP_MAC_update(context.get(), message.data(), message.size()) == 1, "EVP_MAC_update");
  Bytes tag(tag_length);
  std::size_t length = 0;
  require(
      EVP_MAC_final(context.get(), tag.data(), &length, tag.size()) == 1 && length == tag.size(),
      "EVP_MAC_final");
  return tag;
}

}  // namespace

std::optional<std::size_t> provable_key_id(std::string_view role) {
  if (role == "guek") return guek_id;
  if (role == "gbek") return gbek_id;
  if (role == "gak") return gak_id;
  return std::nullopt;
}

std::optional<Bytes> prove(const Meter& meter, std::size_t key_id, ByteView challenge) {
  const std::optional<Secret>& key = meter.keys.at(key_id).current;
  if (!key) return std::nullopt;
  return key_id == gak_id ? cmac_proof(*key, challenge) : gcm_proof(*key, challenge);
}

}  // namespace sim_meter
