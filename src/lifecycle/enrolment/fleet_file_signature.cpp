// SPDX-License-Identifier: Apache-2.0
#include <openssl/pem.h>  // before cms.h, which then declares PEM_read_bio_CMS
// (clang-format sorts within a block)
#include <openssl/cms.h>

#include "audit/record.hpp"
#include "base/openssl_owner.hpp"
#include "base/text_reader.hpp"
#include "lifecycle/enrolment/fleet_file.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::lifecycle {
namespace {

using Cms = Owned<CMS_ContentInfo, CMS_ContentInfo_free>;

struct ReleaseStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_pop_free(stack, X509_free); }
};
using Certificates = std::unique_ptr<STACK_OF(X509), ReleaseStack>;

Bio memory(const std::string& bytes) {
  return Bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

Certificates read_certificates(const std::filesystem::path& file) {
  const std::string pem =
      read_text(file, "It has the manufacturers' certificates (import.manufacturers)");
  const Bio in = memory(pem);
  Certificates all(sk_X509_new_null());
  while (X509* each = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr))
    sk_X509_push(all.get(), each);
  if (sk_X509_num(all.get()) == 0)
    throw BadInput(file.string() + " has no certificate (PEM) in it");
  return all;
}

Cms read_cms(const std::filesystem::path& file) {
  const auto content =
      read_file(file, default_limit, FileKind::any, "It is the fleet file's signature");
  const std::string bytes(without_mark(content));
  const Bio der = memory(bytes), pem = memory(bytes);
  Cms cms(d2i_CMS_bio(der.get(), nullptr));
  if (!cms) cms.reset(PEM_read_bio_CMS(pem.get(), nullptr, nullptr, nullptr));
  if (!cms)
    throw Refused(RefusalReason::unsigned_file,
                  file.string() + " is not a CMS signature, DER or PEM");
  return cms;
}

std::string subject_and_digest(X509* certificate) {
  const Bio out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  X509_digest(certificate, EVP_sha256(), digest.data(), &size);
  return audit::printable(text_of(out), 80) + " sha256 " + to_hex(ByteView(digest.data(), size));
}

}  // namespace

std::string check_signature(const std::string& content, const std::filesystem::path& signature,
                            const Config& config) {
  if (config.manufacturers.empty()) return {};
  if (signature.empty())
    throw Refused(RefusalReason::unsigned_file,
                  "the fleet file has no signature; give its manufacturer's detached CMS signature "
                  "with --signature FILE");
  const auto certificates = read_certificates(config.manufacturers);
  const auto cms = read_cms(signature);
  const Bio data = memory(content);
  // The certificates are pinned: the signer is one of those configured, and no chain is built.
  // NOINTERN: a certificate that came inside the signature counts for nothing.
  constexpr unsigned flags = CMS_BINARY | CMS_DETACHED | CMS_NOINTERN | CMS_NO_SIGNER_CERT_VERIFY;
  if (CMS_verify(cms.get(), certificates.get(), nullptr, data.get(), nullptr, flags) != 1) {
    const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> known(
        CMS_get0_signers(cms.get()), [](STACK_OF(X509) * stack) { sk_X509_free(stack); });
    if (!known || sk_X509_num(known.get()) == 0)
      throw Refused(RefusalReason::foreign_signature,
                    "the fleet file is signed by nobody of " + config.manufacturers.string() +
                        "; add the manufacturer's certificate if you trust it");
    throw Refused(RefusalReason::altered,
                  "the fleet file is not what its manufacturer signed: a byte differs, the "
                  "signature belongs to another file, or it was made with another key "
                  "under the same name. Ask for it anew");
  }
  const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> signers(
      CMS_get0_signers(cms.get()), [](STACK_OF(X509) * stack) { sk_X509_free(stack); });
  X509* signer = sk_X509_value(signers.get(), 0);
  if (X509_cmp_current_time(X509_get0_notAfter(signer)) < 0)
    throw Refused(RefusalReason::foreign_signature,
                  "the certificate of " + subject_and_digest(signer) +
                      " has expired; ask the manufacturer for its new one");
  return subject_and_digest(signer);
}

}  // namespace smets1kms::lifecycle
