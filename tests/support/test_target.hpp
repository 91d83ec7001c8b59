// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "smets1kms/handover.hpp"
#include "support/test_fleet.hpp"

struct evp_pkey_st;

/// A party that uses keys: its RSA key pair and certificates, with OpenSSL alone.
namespace test {

/// What a certificate says.
struct CertificateOrder {
  const char* key = "RSA";  ///< or "EC"
  unsigned bits = 3072;
  std::string not_before = "20260101000000Z", not_after = "20270101000000Z";
  const char* key_usage = nullptr;  ///< "digitalSignature"
};

class Party {
 public:
  explicit Party(const CertificateOrder& order = {});
  /// Makes another certificate for the same key. DER.
  [[nodiscard]] Bytes certificate(const CertificateOrder& order = {}) const;
  /// SHA-256, with colons.
  [[nodiscard]] static std::string fingerprint(const Bytes& certificate);
  [[nodiscard]] smets1kms::TargetAdmission admission(const std::string& name,
                                                     std::vector<KeyRole> roles,
                                                     bool before_transfer = false) const;
  /// Returns the key in clear; empty where it doesn't open.
  [[nodiscard]] Bytes open(const smets1kms::Handover& handover) const;
  /// Opens a handover and proves the key.
  [[nodiscard]] smets1kms::Receipt receipt(const smets1kms::Handover& handover) const;

 private:
  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace test
