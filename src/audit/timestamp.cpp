// SPDX-License-Identifier: Apache-2.0
#include "audit/timestamp.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ts.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <stdexcept>

#include "base/openssl_owner.hpp"

namespace smets1kms::audit {
namespace {

using Request = Owned<TS_REQ, TS_REQ_free>;
using Response = Owned<TS_RESP, TS_RESP_free>;
using Checks = Owned<TS_VERIFY_CTX, TS_VERIFY_CTX_free>;

void need(bool good, const std::string& what) {
  if (!good) throw std::invalid_argument(what);
}

/// Returns what OpenSSL says of its last failure, on one line.
std::string openssl_reason() {
  const auto code = ERR_peek_last_error();
  const char* data = nullptr;
  int flags = 0;
  (void)ERR_peek_last_error_all(nullptr, nullptr, nullptr, &data, &flags);
  const char* reason = ERR_reason_error_string(code);
  std::string text = reason != nullptr ? reason : "it does not verify";
  if (data != nullptr && (flags & ERR_TXT_STRING) != 0 && *data != '\0')
    text += std::string(" (") + data + ")";
  ERR_clear_error();
  return text;
}

template <class T>
auto parse_der(T* read(T**, const unsigned char**, long), std::string_view der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const auto* const end = at + der.size();
  auto* const object =
      der.size() > longest_timestamp ? nullptr : read(nullptr, &at, static_cast<long>(der.size()));
  ERR_clear_error();
  return std::pair(object, object != nullptr && at == end);
}

/// Reads a response that was granted, and what it states.
std::pair<Response, Timestamp> parse_response(std::string_view der) {
  const auto [object, whole] = parse_der(d2i_TS_RESP, der);
  std::pair result(Response(object), Timestamp{});
  need(whole, "it is not the DER of a TimeStampResp (RFC 3161)");
  const auto status = ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(object)));
  TS_TST_INFO* const info = TS_RESP_get_tst_info(object);
  need((status == TS_STATUS_GRANTED || status == TS_STATUS_GRANTED_WITH_MODS) && info != nullptr,
       "the authority has not granted it (status " + std::to_string(status) + ")");
  auto* const imprint = TS_TST_INFO_get_msg_imprint(info);
  const auto* const hash = TS_MSG_IMPRINT_get_msg(imprint);
  auto& [bytes, time] = result.second;
  need(OBJ_obj2nid(TS_MSG_IMPRINT_get_algo(imprint)->algorithm) == NID_sha256 &&
           ASN1_STRING_length(hash) == static_cast<int>(bytes.size()),
       "its imprint is not a SHA-256");
  std::copy_n(ASN1_STRING_get0_data(hash), bytes.size(), bytes.begin());
  std::tm parts{};
  std::array<char, 32> text{};
  need(ASN1_TIME_to_tm(TS_TST_INFO_get_time(info), &parts) == 1 &&
           std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts) == 20,
       "its time can't be read");
  time = text.data();
  return result;
}

bool is_strong(const PKCS7* token) {
  const auto* const signers = PKCS7_get_signer_info(const_cast<PKCS7*>(token));
  for (int i = 0; i < sk_PKCS7_SIGNER_INFO_num(signers); ++i) {
    const int digest = OBJ_obj2nid(sk_PKCS7_SIGNER_INFO_value(signers, i)->digest_alg->algorithm);
    if (digest != NID_sha256 && digest != NID_sha384 && digest != NID_sha512) return false;
  }
  return true;
}

}  // namespace

std::string make_timestamp_request(const Hash& imprint) {
  const Request request(TS_REQ_new());
  const Owned<TS_MSG_IMPRINT, TS_MSG_IMPRINT_free> message(TS_MSG_IMPRINT_new());
  const Owned<X509_ALGOR, X509_ALGOR_free> algorithm(X509_ALGOR_new());
  const Owned<BIGNUM, BN_free> number(BN_new());
  const Owned<ASN1_INTEGER, ASN1_INTEGER_free> nonce(ASN1_INTEGER_new());
  auto bytes = imprint;
  if (!request || !message || !algorithm || !number || !nonce ||
      X509_ALGOR_set0(algorithm.get(), OBJ_nid2obj(NID_sha256), V_ASN1_NULL, nullptr) != 1 ||
      TS_MSG_IMPRINT_set_algo(message.get(), algorithm.get()) != 1 ||
      TS_MSG_IMPRINT_set_msg(message.get(), bytes.data(), static_cast<int>(bytes.size())) != 1 ||
      BN_rand(number.get(), 64, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1 ||
      BN_to_ASN1_INTEGER(number.get(), nonce.get()) == nullptr ||
      TS_REQ_set_version(request.get(), 1) != 1 ||
      TS_REQ_set_msg_imprint(request.get(), message.get()) != 1 ||
      TS_REQ_set_nonce(request.get(), nonce.get()) != 1 ||
      TS_REQ_set_cert_req(request.get(), 1) != 1)
    throw std::runtime_error("OpenSSL can't make a time stamp request");
  unsigned char* der = nullptr;
  const int length = i2d_TS_REQ(request.get(), &der);
  if (length <= 0) throw std::runtime_error("OpenSSL can't encode a time stamp request");
  std::string text(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return text;
}

Timestamp read_timestamp(std::string_view response, std::string_view request) {
  const auto [asked, whole] = parse_der(d2i_TS_REQ, request);
  const Request owner(asked);
  need(whole, "the request is not the DER of a TimeStampReq");
  auto [answer, stamp] = parse_response(response);
  const Checks checks(TS_REQ_to_TS_VERIFY_CTX(asked, nullptr));
  need(checks && TS_RESP_verify_response(checks.get(), answer.get()) == 1,
       "it does not answer the request: " + openssl_reason());
  return stamp;
}

TimestampTrust TimestampTrust::from_pem(std::string_view pem) {
  TimestampTrust trust;
  const Bio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  while (X509* const each = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr))
    trust.trusted_.emplace_back(each, X509_free);
  ERR_clear_error();
  need(!trust.trusted_.empty(), "there is no certificate in it (PEM)");
  return trust;
}

Timestamp TimestampTrust::verify(std::string_view response) const {
  auto [answer, stamp] = parse_response(response);
  need(is_strong(TS_RESP_get_token(answer.get())), "it is signed with a digest below SHA-256");
  // Each check has a store of its own: the certificates are judged at the stamped time.
  const Checks checks(TS_VERIFY_CTX_new());
  X509_STORE* const store = X509_STORE_new();
  TS_VERIFY_CTX_set_store(checks.get(), store);  // which is freed with the checks
  for (const auto& each : trusted_) X509_STORE_add_cert(store, each.get());
  std::tm parts{};
  ASN1_TIME_to_tm(TS_TST_INFO_get_time(TS_RESP_get_tst_info(answer.get())), &parts);
  auto* const parameters = X509_STORE_get0_param(store);
  X509_VERIFY_PARAM_set_time(parameters, ::timegm(&parts));
  X509_VERIFY_PARAM_set_auth_level(parameters, 2);  // RSA from 2048 bits, SHA-256
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_X509_STRICT);
  TS_VERIFY_CTX_set_flags(checks.get(), TS_VFY_VERSION | TS_VFY_SIGNATURE);
  need(TS_RESP_verify_response(checks.get(), answer.get()) == 1, openssl_reason());
  return stamp;
}

}  // namespace smets1kms::audit
