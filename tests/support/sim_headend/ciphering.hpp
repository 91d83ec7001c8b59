// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>

#include "common/bytes.hpp"

namespace sim_headend {

/// OpenSSL refused what can't fail on good input.
struct OpensslError : std::runtime_error {
  explicit OpensslError(const char* function)
      : std::runtime_error(std::string("OpenSSL: ") + function + " failed") {}
};

/// The service-specific ciphered APDUs that a client sends, and their answers.
enum class Service : std::uint8_t { get = 0xC8, action = 0xCB };
constexpr std::uint8_t answer_tag(Service service) { return service == Service::get ? 0xCC : 0xCF; }

/// The keys and the identity that one message is ciphered under.
struct Protection {
  std::uint8_t security_control;
  const support::Bytes& sender;  ///< the system title of who sends it, 8 bytes
  const support::Secret& encryption_key;
  const support::Secret& authentication_key;
};

/// Returns the whole APDU: tag, length, security control byte, counter, ciphertext, 12 bytes of
/// authentication tag.
support::Bytes protect(std::uint8_t tag, std::uint32_t counter, const Protection& protection,
                       support::ByteView plain);

struct Unprotected {
  std::uint32_t counter;
  support::Bytes plain;
};

/// Deciphers an APDU. Returns nothing where it has another tag, another security control byte or
/// another form than the one expected, or its authentication tag is wrong.
std::optional<Unprotected> unprotect(std::uint8_t tag, const Protection& protection,
                                     support::ByteView apdu);

}  // namespace sim_headend
