// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "audit/hash.hpp"

struct x509_st;  // OpenSSL's X509

/// RFC 3161 time stamps on signed heads: an authority's statement that a head was there at a time.
namespace smets1kms::audit {

inline constexpr std::size_t longest_timestamp = std::size_t{1} << 16;  ///< bytes of a response

/// Content of a time stamp.
struct Timestamp {
  Hash imprint{};    ///< SHA-256 of what was stamped: a note as it is written
  std::string time;  ///< "2026-11-30T12:00:00Z"
};

/// Returns a TimeStampReq (DER) for this SHA-256: with a nonce, and asking for the certificate.
[[nodiscard]] std::string make_timestamp_request(const Hash& imprint);
/// Reads a TimeStampResp (DER) and compares it with its request: status, imprint, nonce. Its
/// signature is not checked. Throws std::invalid_argument.
[[nodiscard]] Timestamp read_timestamp(std::string_view response, std::string_view request);

/// Certificates that time-stamping authorities are trusted by. Safe to use from many threads.
class TimestampTrust {
 public:
  /// Reads one certificate or more. Throws std::invalid_argument.
  static TimestampTrust from_pem(std::string_view pem);
  /// Checks a TimeStampResp (DER): granted; signed with SHA-256 or better by a certificate that is
  /// for time stamping, leads to one of these and was valid at the stamped time. Throws
  /// std::invalid_argument.
  [[nodiscard]] Timestamp verify(std::string_view response) const;

 private:
  std::vector<std::shared_ptr<x509_st>> trusted_;
};

}  // namespace smets1kms::audit
