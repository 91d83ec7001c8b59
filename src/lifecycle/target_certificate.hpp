// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "smets1kms/types.hpp"

namespace smets1kms::lifecycle {

/// Facts of a handover target's certificate.
struct TargetCertificate {
  Bytes der;
  std::string fingerprint;         ///< SHA-256 of `der`, lower-case hex
  std::string key_type;            ///< "RSA", or another
  Bytes modulus, public_exponent;  ///< of an RSA key, big-endian
  std::string public_key;          ///< SubjectPublicKeyInfo, PEM
  Time not_before, not_after;
  bool may_encipher_keys;  ///< it has no key usage, or one with keyEncipherment (RFC 5280)
  [[nodiscard]] std::size_t bits() const;
};
/// Reads an X.509 certificate, DER or PEM. Throws BadInput.
[[nodiscard]] TargetCertificate read_certificate(ByteView bytes);
/// Throws Refused (unfit_certificate) unless keys may be wrapped for it at this moment.
void check_fit(const TargetCertificate& certificate, Time now);
/// Throws Refused (fingerprint_differs) unless the fingerprint, hex with or without colons, is the
/// certificate's; BadInput where it can't be one.
void check_fingerprint(const TargetCertificate& certificate, const std::string& fingerprint);

}  // namespace smets1kms::lifecycle
