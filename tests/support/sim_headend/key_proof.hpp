// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim_headend/device.hpp"

namespace sim_headend {

inline constexpr std::size_t shortest_challenge = 16;  ///< bytes
inline constexpr std::size_t longest_challenge = 64;

/// Returns 16 bytes that show which key this is, and nothing of it. GUEK, GBEK: the AES-GCM tag
/// over the challenge. GAK: AES-CMAC of "smets1-kms key proof 1" and the challenge.
support::Bytes key_proof(Role role, const support::Secret& key, support::ByteView challenge);

/// Returns the SHA-256 (FIPS 180-4), 32 bytes.
support::Bytes sha256(support::ByteView data);

}  // namespace sim_headend
