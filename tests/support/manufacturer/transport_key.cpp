// SPDX-License-Identifier: Apache-2.0
#include "manufacturer/transport_key.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>
#include <string>

#include "common/crypto.hpp"
#include "common/files.hpp"

namespace manufacturer {
namespace {

using support::FreeWith;
using support::InputError;
using support::require;

using PublicKey = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;

PublicKey read_public_key(const std::filesystem::path& file) {
  constexpr int least_bits = 2048;
  const std::string pem = support::read_file(file);
  const std::unique_ptr<BIO, FreeWith<BIO_free_all>> in(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  require(in != nullptr, "BIO_new_mem_buf");
  PublicKey key(PEM_read_bio_PUBKEY(in.get(), nullptr, nullptr, nullptr));
  if (!key) throw InputError(file, 1, "not a public key in PEM (-----BEGIN PUBLIC KEY-----)");
  if (EVP_PKEY_is_a(key.get(), "RSA") != 1) throw InputError(file, 1, "not an RSA key");
  if (EVP_PKEY_get_bits(key.get()) < least_bits)
    throw InputError(file, 1, "an RSA key of fewer than 2048 bits");
  return key;
}

}  // namespace

support::Bytes encrypt_for_token(const std::filesystem::path& public_key_pem, OaepHash hash,
                                 const support::Secret& transport_key) {
  const PublicKey key = read_public_key(public_key_pem);
  const EVP_MD* digest = hash == OaepHash::sha256 ? EVP_sha256() : EVP_sha1();
  const std::unique_ptr<EVP_PKEY_CTX, FreeWith<EVP_PKEY_CTX_free>> context(
      EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  require(context != nullptr, "EVP_PKEY_CTX_new_from_pkey");
  require(EVP_PKEY_encrypt_init(context.get()) == 1, "EVP_PKEY_encrypt_init");
  require(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1,
          "EVP_PKEY_CTX_set_rsa_padding");
  require(EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), digest) == 1, "EVP_PKEY_CTX_set_rsa_oaep_md");
  require(EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), digest) == 1, "EVP_PKEY_CTX_set_rsa_mgf1_md");

  const support::ByteView plain = transport_key.reveal();
  std::size_t length = 0;
  require(EVP_PKEY_encrypt(context.get(), nullptr, &length, plain.data(), plain.size()) == 1,
          "EVP_PKEY_encrypt");
  support::Bytes encrypted(length);
  require(
      EVP_PKEY_encrypt(context.get(), encrypted.data(), &length, plain.data(), plain.size()) == 1,
      "EVP_PKEY_encrypt");
  encrypted.resize(length);
  return encrypted;
}

}  // namespace manufacturer
