// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/target_certificate.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <ctime>

#include "audit/hash.hpp"
#include "base/openssl_owner.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::lifecycle {
namespace {

constexpr std::size_t least_bits = 3072;  // the strength of AES-128, SP 800-57 Part 1 table 2
constexpr std::size_t most_bits = 16384;

using PublicKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using Number = Owned<BIGNUM, BN_free>;

Bytes number_of(EVP_PKEY* key, const char* name) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &raw) != 1)
    throw BadInput("the certificate's RSA key can't be read");
  const Number number(raw);
  Bytes bytes(static_cast<std::size_t>(BN_num_bytes(raw)));
  BN_bn2bin(raw, bytes.data());
  return bytes;
}

Time time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) throw BadInput("the certificate's dates can't be read");
  return std::chrono::time_point_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::from_time_t(::timegm(&parts)));
}

std::string pem_of(EVP_PKEY* key) {
  const Bio out(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(out.get(), key);
  return text_of(out);
}

[[noreturn]] void refuse(const std::string& why) {
  throw Refused(RefusalReason::unfit_certificate,
                "the certificate can't be a handover target's: " + why);
}

}  // namespace

std::size_t TargetCertificate::bits() const {
  return modulus.empty()
             ? 0
             : 8 * modulus.size() - static_cast<std::size_t>(std::countl_zero(modulus.front()));
}

TargetCertificate read_certificate(ByteView bytes) {
  const auto* at = bytes.data();
  Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(bytes.size())));
  if (certificate && at != bytes.data() + bytes.size())
    throw BadInput("the certificate has other bytes behind it");
  if (!certificate) {
    const Bio in(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
    certificate.reset(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
    if (const Certificate another(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)); another)
      throw BadInput("the file has several certificates: give the target's alone");
  }
  if (!certificate) throw BadInput("this is no X.509 certificate, DER or PEM");
  unsigned char* der = nullptr;
  const int length = i2d_X509(certificate.get(), &der);
  if (length <= 0) throw BadInput("the certificate can't be read");
  TargetCertificate result{
      .der = Bytes(der, der + length),
      .fingerprint = {},
      .key_type = "an unknown one",
      .modulus = {},
      .public_exponent = {},
      .public_key = {},
      .not_before = time_of(X509_get0_notBefore(certificate.get())),
      .not_after = time_of(X509_get0_notAfter(certificate.get())),
      .may_encipher_keys = (X509_get_key_usage(certificate.get()) & KU_KEY_ENCIPHERMENT) != 0};
  OPENSSL_free(der);
  result.fingerprint = audit::to_hex(audit::sha256(result.der));
  const PublicKey key(X509_get_pubkey(certificate.get()));
  if (!key) return result;
  if (const char* name = EVP_PKEY_get0_type_name(key.get())) result.key_type = name;
  result.public_key = pem_of(key.get());
  if (result.key_type != "RSA") return result;
  result.modulus = number_of(key.get(), OSSL_PKEY_PARAM_RSA_N);
  result.public_exponent = number_of(key.get(), OSSL_PKEY_PARAM_RSA_E);
  return result;
}

void check_fit(const TargetCertificate& certificate, Time now) {
  const auto& exponent = certificate.public_exponent;
  if (certificate.key_type != "RSA")
    refuse("its key is of type " + certificate.key_type + ", and keys are wrapped under RSA");
  if (certificate.bits() < least_bits || certificate.bits() > most_bits)
    refuse("its RSA key has " + std::to_string(certificate.bits()) + " bits, not " +
           std::to_string(least_bits) + " to " + std::to_string(most_bits));
  if ((certificate.modulus.back() & 1) == 0 || exponent.size() < 3 || (exponent.back() & 1) == 0)
    refuse("its RSA key has an even modulus, or an exponent below 65537 or even");
  if (now < certificate.not_before)
    refuse("it is valid from " + format_time(certificate.not_before) + " on");
  if (now > certificate.not_after)
    refuse("it has expired on " + format_time(certificate.not_after));
  if (!certificate.may_encipher_keys) refuse("its key usage lacks keyEncipherment (RFC 5280)");
}

void check_fingerprint(const TargetCertificate& certificate, const std::string& fingerprint) {
  auto given = fingerprint;
  std::erase_if(given, [](char c) { return c == ':' || c == ' '; });
  std::ranges::transform(given, given.begin(), [](unsigned char c) { return std::tolower(c); });
  if (given.size() != 64 || given.find_first_not_of("0123456789abcdef") != std::string::npos)
    throw BadInput(
        "the fingerprint is not 64 hex digits, the SHA-256 of the certificate as 'openssl x509 "
        "-noout -fingerprint -sha256' prints it");
  if (given != certificate.fingerprint)
    throw Refused(RefusalReason::fingerprint_differs,
                  "the certificate's SHA-256 is " + certificate.fingerprint +
                      ", which is not the fingerprint that was given");
}

}  // namespace smets1kms::lifecycle
