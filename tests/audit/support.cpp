// SPDX-License-Identifier: Apache-2.0
#include "audit/support.hpp"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

namespace test {

using namespace smets1kms::audit;

TestKey::TestKey() : key_(EVP_EC_gen("P-256"), EVP_PKEY_free) {
  if (!key_) throw std::runtime_error("no P-256 key");
}

AuditKey TestKey::audit_key() const {
  BIO* out = BIO_new(BIO_s_mem());
  PEM_write_bio_PUBKEY(out, key_.get());
  char* text = nullptr;
  const auto length = BIO_get_mem_data(out, &text);
  const std::string pem(text, static_cast<std::size_t>(length));
  BIO_free(out);
  return AuditKey::from_pem(pem);
}

RawSignature TestKey::sign(const std::string& body) const {
  std::array<unsigned char, 80> der{};
  std::size_t length = der.size();
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const bool done =
      EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
      EVP_DigestSign(context, der.data(), &length,
                     reinterpret_cast<const unsigned char*>(body.data()), body.size()) == 1;
  EVP_MD_CTX_free(context);
  if (!done) throw std::runtime_error("signing failed");
  const unsigned char* at = der.data();
  ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(length));
  RawSignature raw{};
  BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw.data(), 32);
  BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw.data() + 32, 32);
  ECDSA_SIG_free(signature);
  return raw;
}

Issuer::Signer TestKey::signer() const {
  return {.key = audit_key(),
          .sign = [key = *this](const Checkpoint& head) { return key.sign(head); }};
}

}  // namespace test
