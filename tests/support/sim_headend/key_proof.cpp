// SPDX-License-Identifier: Apache-2.0
#include "sim_headend/key_proof.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <string>

#include "sim_headend/ciphering.hpp"

namespace sim_headend {
namespace {

using support::Bytes;
using support::ByteView;
using support::Secret;

constexpr std::size_t proof_length = 16;

Bytes purpose_and(ByteView challenge) {
  constexpr std::string_view purpose = "smets1-kms key proof 1";
  Bytes message(purpose.begin(), purpose.end());
  message.insert(message.end(), challenge.begin(), challenge.end());
  return message;
}

Bytes cmac(const Secret& key, const Bytes& message) {
  Bytes mac(proof_length);
  std::size_t length = 0;
  if (EVP_Q_mac(nullptr, "CMAC", nullptr, key.size() == 32 ? "AES-256-CBC" : "AES-128-CBC", nullptr,
                key.reveal().data(), key.size(), message.data(), message.size(), mac.data(),
                mac.size(), &length) == nullptr ||
      length != mac.size())
    throw OpensslError("EVP_Q_mac");
  return mac;
}

// Enciphers the challenge and keeps nothing of it but the tag.
Bytes gcm_tag(const Secret& key, const Bytes& iv, ByteView challenge) {
  const std::unique_ptr<EVP_CIPHER, decltype(&EVP_CIPHER_free)> cipher(
      EVP_CIPHER_fetch(nullptr, key.size() == 32 ? "AES-256-GCM" : "AES-128-GCM", nullptr),
      EVP_CIPHER_free);
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
      EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  std::array<std::uint8_t, longest_challenge> ignored{};
  Bytes tag(proof_length);
  std::array params{
      OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag.data(), tag.size()),
      OSSL_PARAM_construct_end()};
  int length = 0;
  if (!cipher || !context || challenge.size() > ignored.size() ||
      EVP_EncryptInit_ex2(context.get(), cipher.get(), key.reveal().data(), iv.data(), nullptr) !=
          1 ||
      EVP_EncryptUpdate(context.get(), ignored.data(), &length, challenge.data(),
                        static_cast<int>(challenge.size())) != 1 ||
      EVP_EncryptFinal_ex(context.get(), ignored.data(), &length) != 1 ||
      EVP_CIPHER_CTX_get_params(context.get(), params.data()) != 1)
    throw OpensslError("AES-GCM");
  return tag;
}

}  // namespace

Bytes sha256(ByteView data) {
  Bytes digest(32);
  if (EVP_Q_digest(nullptr, "SHA256", nullptr, data.data(), data.size(), digest.data(), nullptr) !=
      1)
    throw OpensslError("EVP_Q_digest");
  return digest;
}

Bytes key_proof(Role role, const Secret& key, ByteView challenge) {
  const Bytes message = purpose_and(challenge);
  if (role == Role::gak) return cmac(key, message);
  return gcm_tag(key, sha256(message), challenge);  // of the hash, GCM takes the first 12 bytes
}

}  // namespace sim_headend
