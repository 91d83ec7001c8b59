// SPDX-License-Identifier: Apache-2.0
#include "sim_headend/target_key.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <string>
#include <utility>

#include "common/files.hpp"
#include "sim_headend/ciphering.hpp"

namespace sim_headend {
namespace {

using support::ByteView;
using support::InputError;
using support::Secret;

// Nobody is asked for a passphrase: a key under one can't be read.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return -1; }

std::optional<Secret> decrypt(EVP_PKEY* key, ByteView wrapped, const EVP_MD* hash) {
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr), EVP_PKEY_CTX_free);
  if (!context || EVP_PKEY_decrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), hash) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), hash) != 1)
    throw OpensslError("EVP_PKEY_decrypt_init");
  std::size_t length = 0;
  if (EVP_PKEY_decrypt(context.get(), nullptr, &length, wrapped.data(), wrapped.size()) != 1)
    throw OpensslError("EVP_PKEY_decrypt");
  Secret plain(length);
  if (EVP_PKEY_decrypt(context.get(), plain.reveal().data(), &length, wrapped.data(),
                       wrapped.size()) != 1) {
    ERR_clear_error();
    return std::nullopt;
  }
  return Secret(std::as_const(plain).reveal().first(length));
}

}  // namespace

void TargetKeys::Free::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

TargetKeys::TargetKeys(const std::vector<std::filesystem::path>& files) {
  for (const auto& file : files) {
    std::string pem = support::read_file(file);
    const std::unique_ptr<BIO, decltype(&BIO_free)> in(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
    if (!in) throw OpensslError("BIO_new_mem_buf");
    keys_.emplace_back(PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, nullptr));
    OPENSSL_cleanse(pem.data(), pem.size());
    if (!keys_.back())
      throw InputError(file.string() +
                       ": is no private key in PEM without a passphrase "
                       "(-----BEGIN PRIVATE KEY-----)");
    if (EVP_PKEY_is_a(keys_.back().get(), "RSA") != 1)
      throw InputError(file.string() + ": is no RSA key: give the key of the target's certificate");
  }
}

std::optional<Secret> TargetKeys::open(ByteView wrapped, const std::string& hash) const {
  for (const auto& key : keys_) {
    if (std::optional<Secret> plain =
            decrypt(key.get(), wrapped, hash == "SHA-256" ? EVP_sha256() : EVP_sha1()))
      return plain;
  }
  return std::nullopt;
}

}  // namespace sim_headend
