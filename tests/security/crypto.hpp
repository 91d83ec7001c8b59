// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

/// What an attacker and a judge compute by themselves, with OpenSSL. No line of it is the
/// project's.
namespace attack {

using Bytes = std::vector<std::uint8_t>;
/// AES of one block of 16 bytes, by whatever stands behind it: a key, or an oracle in the token.
using Block = std::function<Bytes(const Bytes&)>;

[[nodiscard]] Bytes random_bytes(std::size_t count);
[[nodiscard]] std::string hex(const Bytes& bytes);
[[nodiscard]] Bytes unhex(const std::string& text);
[[nodiscard]] Bytes exclusive_or(const Bytes& a, const Bytes& b);

[[nodiscard]] Block aes_encrypt(const Bytes& key);
[[nodiscard]] Block aes_decrypt(const Bytes& key);
/// RFC 3394 sections 2.2.1 and 2.2.2 over any block oracle.
[[nodiscard]] Bytes wrap(const Block& encrypt, const Bytes& key);
[[nodiscard]] std::optional<Bytes> unwrap(const Block& decrypt, const Bytes& wrapped);
/// RFC 5649 section 4.2 (SoftHSM does it under CKM_AES_KEY_WRAP_PAD); nothing where it does not
/// open.
[[nodiscard]] std::optional<Bytes> unwrap_padded(const Bytes& kek, const Bytes& wrapped);

[[nodiscard]] Bytes cmac(const Bytes& key, const Bytes& message);
[[nodiscard]] Bytes gcm_tag(const Bytes& key, const Bytes& iv, const Bytes& additional_data,
                            const Bytes& plain, Bytes* cipher_text = nullptr);
[[nodiscard]] Bytes sha256(const Bytes& data);

/// The ways in which data is put under an RSA public key. `raw`: as many bytes as the modulus has.
enum class Padding { oaep_sha1, pkcs1, raw };
[[nodiscard]] Bytes rsa_encrypt(const Bytes& modulus, const Bytes& exponent, Padding padding,
                                const Bytes& data);
/// What RSA-OAEP (SHA-1, no label) holds, of the block that raw RSA gave; RFC 8017 section 7.1.2.
[[nodiscard]] std::optional<Bytes> oaep_content(const Bytes& block);

/// An RSA key pair of the attacker's own.
struct OwnRsa {
  Bytes modulus, public_exponent, private_exponent, prime_1, prime_2, exponent_1, exponent_2,
      coefficient;
  [[nodiscard]] std::optional<Bytes> decrypt(const Bytes& data, Padding padding) const;
};
[[nodiscard]] OwnRsa own_rsa(unsigned bits);
/// OAEP or PKCS#1 v1.5 decryption with a PKCS#8 private key, DER.
[[nodiscard]] std::optional<Bytes> pkcs8_decrypt(const Bytes& der, const Bytes& data);
/// Modulus of a public key, PEM.
[[nodiscard]] Bytes modulus_of(const std::string& pem);
/// Modulus of a PKCS#8 private key, DER.
[[nodiscard]] Bytes modulus_of_pkcs8(const Bytes& der);

}  // namespace attack
