// SPDX-License-Identifier: Apache-2.0
#include "manufacturer/signature.hpp"

#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/pem.h>  // before cms.h, which declares its PEM functions only then
#include <openssl/x509.h>

#include <memory>

#include "common/files.hpp"

namespace manufacturer {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Bignum = std::unique_ptr<BIGNUM, decltype(&BN_free)>;
using Cms = std::unique_ptr<CMS_ContentInfo, decltype(&CMS_ContentInfo_free)>;

constexpr long valid_for_seconds = 10L * 365 * 24 * 3600;

Bio memory() { return {BIO_new(BIO_s_mem()), BIO_free_all}; }
Bio over(const std::string& bytes) {
  return {BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())), BIO_free_all};
}

support::Bytes bytes_of(BIO* bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  return {data, data + length};
}

std::filesystem::path key_file(const std::filesystem::path& directory) {
  return directory / "manufacturer.key.pem";
}
std::filesystem::path certificate_file(const std::filesystem::path& directory) {
  return directory / "manufacturer.pem";
}

Certificate self_signed(EVP_PKEY* key) {
  Certificate certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), X509_VERSION_3);
  // RFC 5280, 4.1.2.2: unique for an issuer; two certificates of one name would else be taken for
  // one.
  const Bignum serial(BN_new(), BN_free);
  BN_rand(serial.get(), 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY);
  BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get()));
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), valid_for_seconds);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("Example Manufacturer"), -1, -1,
                             0);
  X509_set_issuer_name(certificate.get(), name);
  X509_set_pubkey(certificate.get(), key);
  if (X509_sign(certificate.get(), key, EVP_sha256()) == 0)
    throw support::InputError("the certificate can't be signed");
  return certificate;
}

}  // namespace

void make_identity(const std::filesystem::path& directory) {
  if (std::filesystem::exists(key_file(directory)) &&
      std::filesystem::exists(certificate_file(directory)))
    return;
  const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  if (!key) throw support::InputError("OpenSSL makes no EC key");
  const Certificate certificate = self_signed(key.get());
  const Bio key_pem = memory(), certificate_pem = memory();
  PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  PEM_write_bio_X509(certificate_pem.get(), certificate.get());
  std::filesystem::create_directories(directory);
  support::create_file(key_file(directory), bytes_of(key_pem.get()),
                       support::Access::private_to_owner);
  support::create_file(certificate_file(directory), bytes_of(certificate_pem.get()),
                       support::Access::shared);
}

support::Bytes sign(const std::filesystem::path& directory, const std::string& content) {
  const std::string key_pem = support::read_file(key_file(directory)),
                    certificate_pem = support::read_file(certificate_file(directory));
  const Key key(PEM_read_bio_PrivateKey(over(key_pem).get(), nullptr, nullptr, nullptr),
                EVP_PKEY_free);
  const Certificate certificate(
      PEM_read_bio_X509(over(certificate_pem).get(), nullptr, nullptr, nullptr), X509_free);
  const Bio data = over(content), out = memory();
  const Cms cms(
      CMS_sign(certificate.get(), key.get(), nullptr, data.get(), CMS_BINARY | CMS_DETACHED),
      CMS_ContentInfo_free);
  if (!cms || i2d_CMS_bio(out.get(), cms.get()) != 1)
    throw support::InputError("the fleet file can't be signed with " +
                              key_file(directory).string());
  return bytes_of(out.get());
}

}  // namespace manufacturer
