// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>

#include "common/bytes.hpp"

namespace manufacturer {

enum class OaepHash { sha1, sha256 };

/// The transport key encrypted for the token: RSA-OAEP with MGF1 of the same hash and no label (RFC
/// 8017 section 7.1). The file is a SubjectPublicKeyInfo in PEM of an RSA key of 2048 bits or more.
/// Throws InputError.
support::Bytes encrypt_for_token(const std::filesystem::path& public_key_pem, OaepHash hash,
                                 const support::Secret& transport_key);

}  // namespace manufacturer
