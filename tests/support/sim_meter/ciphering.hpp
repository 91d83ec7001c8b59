// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "common/bytes.hpp"

namespace sim_meter {

// glo-ciphered APDUs (Green Book, "COSEM APDU tags").
inline constexpr std::uint8_t glo_get_request = 0xC8;
inline constexpr std::uint8_t glo_action_request = 0xCB;
inline constexpr std::uint8_t glo_get_response = 0xCC;
inline constexpr std::uint8_t glo_action_response = 0xCF;

/// Security control byte without the suite: authenticated and encrypted, under the unicast key.
inline constexpr std::uint8_t secured = 0x30;
/// The bit that names the broadcast key set.
inline constexpr std::uint8_t broadcast_set = 0x40;

/// The part of a ciphered APDU that is sent in clear.
struct Envelope {
  std::uint8_t tag;
  std::uint8_t security_control;
  std::uint32_t invocation_counter;
};

/// A ciphered APDU, cut in pieces.
struct Ciphered {
  Envelope envelope;
  support::Bytes ciphertext;
  support::Bytes authentication_tag;  ///< 12 bytes
};

/// Cuts a glo-ciphered APDU in pieces; nothing where its form is not that of one.
std::optional<Ciphered> parse_ciphered(support::ByteView apdu);

/// The keys of one message. The authentication key is additional data of AES-GCM, no key of it.
struct MessageKeys {
  const support::Secret& encryption;
  const support::Secret& authentication;
};

/// Ciphers `plain` as sent by `system_title` (8 bytes): the whole APDU.
support::Bytes encipher(const Envelope& envelope, support::ByteView system_title,
                        const MessageKeys& keys, support::ByteView plain);

/// Deciphers what `system_title` sent; nothing where the authentication tag is wrong.
std::optional<support::Bytes> decipher(const Ciphered& apdu, support::ByteView system_title,
                                       const MessageKeys& keys);

}  // namespace sim_meter
