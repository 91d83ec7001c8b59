// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "common/bytes.hpp"

namespace support {

/// OpenSSL refused something that can't fail on good input.
struct CryptoError : std::runtime_error {
  explicit CryptoError(std::string_view function);
};

template <auto Free>
struct FreeWith {
  template <typename T>
  void operator()(T* p) const {
    Free(p);
  }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeWith<EVP_CIPHER_CTX_free>>;

CipherContext new_cipher_context();
void require(bool done, std::string_view function);

Secret random_secret(std::size_t length);
Bytes sha256(ByteView data);

/// RFC 3394 section 2.2.1 under a KEK of 16 or 32 bytes: 8 bytes longer than the key.
Bytes rfc3394_wrap(const Secret& kek, const Secret& key);

/// RFC 3394 section 2.2.2; nothing when the integrity check of section 2.2.3 fails.
std::optional<Secret> rfc3394_unwrap(const Secret& kek, ByteView wrapped);

}  // namespace support
