// SPDX-License-Identifier: Apache-2.0
#include "support/test_target.hpp"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <stdexcept>

namespace test {
namespace {

void require(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(std::string("OpenSSL: ") + what);
}

}  // namespace

Party::Party(const CertificateOrder& order)
    : key_(std::string_view(order.key) == "EC" ? EVP_EC_gen("P-256") : EVP_RSA_gen(order.bits),
           EVP_PKEY_free) {
  require(key_ != nullptr, "key pair");
}

Bytes Party::certificate(const CertificateOrder& order) const {
  const std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), X509_free);
  X509* certificate = made.get();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  require(ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), order.not_before.c_str()) &&
              ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), order.not_after.c_str()),
          "dates");
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("party"), -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  X509_set_pubkey(certificate, key_.get());
  if (order.key_usage != nullptr) {
    const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> usage(
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_key_usage, order.key_usage), X509_EXTENSION_free);
    require(usage && X509_add_ext(certificate, usage.get(), -1) == 1, "key usage");
  }
  require(X509_sign(certificate, key_.get(), EVP_sha256()) > 0, "signature");
  unsigned char* der = nullptr;
  const int length = i2d_X509(certificate, &der);
  require(length > 0, "DER");
  Bytes bytes(der, der + length);
  OPENSSL_free(der);
  return bytes;
}

std::string Party::fingerprint(const Bytes& certificate) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(certificate.data(), certificate.size(), digest.data());
  std::string text;
  for (const auto byte : digest) text += (text.empty() ? "" : ":") + smets1kms::to_hex({&byte, 1});
  return text;
}

smets1kms::TargetAdmission Party::admission(const std::string& name, std::vector<KeyRole> roles,
                                            bool before_transfer) const {
  auto der = certificate();
  auto digits = fingerprint(der);
  return {.name = name,
          .certificate = std::move(der),
          .fingerprint = std::move(digits),
          .roles = std::move(roles),
          .before_transfer = before_transfer};
}

Bytes Party::open(const smets1kms::Handover& handover) const {
  const auto* hash = handover.hash == "SHA-256" ? EVP_sha256() : EVP_sha1();
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr), EVP_PKEY_CTX_free);
  require(EVP_PKEY_decrypt_init(context.get()) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1 &&
              EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), hash) == 1 &&
              EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), hash) == 1,
          "OAEP");
  Bytes clear(handover.wrapped.size());
  std::size_t length = clear.size();
  if (EVP_PKEY_decrypt(context.get(), clear.data(), &length, handover.wrapped.data(),
                       handover.wrapped.size()) != 1)
    return {};
  clear.resize(length);
  return clear;
}

smets1kms::Receipt Party::receipt(const smets1kms::Handover& handover) const {
  const auto key = open(handover);
  const auto challenge = handover.challenge();
  return {.device = handover.device,
          .role = handover.role,
          .generation = handover.generation,
          .target = handover.target,
          .proof = handover.role == KeyRole::gak ? cmac_proof(key, challenge)
                                                 : gcm_proof(key, challenge)};
}

}  // namespace test
