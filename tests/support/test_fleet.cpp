// SPDX-License-Identifier: Apache-2.0
#include "test_fleet.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include <memory>
#include <stdexcept>

namespace test {
namespace {

constexpr std::string_view proof_prefix = "smets1-kms key proof 1";

void require(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string("OpenSSL: ") + what);
}

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeWith<EVP_CIPHER_CTX_free>>;

Cipher key_wrap_cipher(const Bytes& kek, int encrypt) {
  Cipher cipher(EVP_CIPHER_CTX_new());
  EVP_CIPHER_CTX_set_flags(cipher.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  require(
      EVP_CipherInit_ex(cipher.get(), kek.size() == 32 ? EVP_aes_256_wrap() : EVP_aes_128_wrap(),
                        nullptr, kek.data(), nullptr, encrypt) == 1,
      "key wrap");
  return cipher;
}

Bytes prefixed(ByteView challenge) {
  Bytes message(proof_prefix.size() + challenge.size());
  std::ranges::copy(challenge, std::ranges::copy(proof_prefix, message.begin()).out);
  return message;
}

/// The bytes of an ACTION request one after another; a meter that meets anything else answers
/// nothing.
class Reader {
 public:
  explicit Reader(const Bytes& bytes) : bytes_(bytes) {}
  std::uint8_t next() {
    if (at_ == bytes_.size()) throw std::runtime_error("an ACTION request that ends too early");
    return bytes_[at_++];
  }
  void need(std::initializer_list<std::uint8_t> expected) {
    for (const auto byte : expected)
      if (next() != byte)
        throw std::runtime_error("an ACTION request with another byte at " +
                                 std::to_string(at_ - 1));
  }
  Bytes take(std::size_t count) {
    Bytes taken;
    while (taken.size() < count) taken.push_back(next());
    return taken;
  }
  [[nodiscard]] bool done() const { return at_ == bytes_.size(); }

 private:
  const Bytes& bytes_;
  std::size_t at_ = 0;
};

}  // namespace

Bytes random_bytes(std::size_t count) {
  Bytes bytes(count);
  require(RAND_bytes(bytes.data(), static_cast<int>(count)) == 1, "RAND_bytes");
  return bytes;
}

Bytes rfc3394_wrap(const Bytes& kek, const Bytes& key) {
  const auto cipher = key_wrap_cipher(kek, 1);
  Bytes wrapped(key.size() + 8);
  int length = 0;
  require(EVP_CipherUpdate(cipher.get(), wrapped.data(), &length, key.data(),
                           static_cast<int>(key.size())) == 1 &&
              length == static_cast<int>(wrapped.size()),
          "wrap");
  return wrapped;
}

std::optional<Bytes> rfc3394_unwrap(const Bytes& kek, const Bytes& wrapped) {
  const auto cipher = key_wrap_cipher(kek, 0);
  Bytes key(wrapped.size());
  int length = 0;
  if (EVP_CipherUpdate(cipher.get(), key.data(), &length, wrapped.data(),
                       static_cast<int>(wrapped.size())) != 1 ||
      length <= 0)
    return std::nullopt;
  key.resize(static_cast<std::size_t>(length));
  return key;
}

Bytes gcm_proof(const Bytes& key, ByteView challenge) {
  const auto message = prefixed(challenge);
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest;
  SHA256(message.data(), message.size(), digest.data());
  const Cipher cipher(EVP_CIPHER_CTX_new());
  require(EVP_EncryptInit_ex(cipher.get(), key.size() == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm(),
                             nullptr, key.data(), digest.data()) == 1,
          "GCM");
  Bytes sealed(challenge.size() + 16), tag(16);
  int length = 0;
  require(EVP_EncryptUpdate(cipher.get(), sealed.data(), &length, challenge.data(),
                            static_cast<int>(challenge.size())) == 1,
          "GCM");
  require(EVP_EncryptFinal_ex(cipher.get(), sealed.data() + length, &length) == 1, "GCM");
  require(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, 16, tag.data()) == 1, "GCM tag");
  return tag;
}

Bytes cmac_proof(const Bytes& key, ByteView challenge) {
  const auto message = prefixed(challenge);
  Bytes mac(16);
  std::size_t length = 0;
  require(EVP_Q_mac(nullptr, "CMAC", nullptr, key.size() == 32 ? "AES-256-CBC" : "AES-128-CBC",
                    nullptr, key.data(), key.size(), message.data(), message.size(), mac.data(),
                    mac.size(), &length) != nullptr,
          "CMAC");
  return mac;
}

Bytes Meter::receive(const Bytes& action_request) {
  Reader in(action_request);
  in.need({0xC3, 0x01, 0xC1, 0x00, 0x40});
  (void)in.take(6);  // whatever its logical name is
  in.need({0x02, 0x01, 0x01});
  for (int left = in.next(); left > 0; --left) {
    in.need({0x02, 0x02, 0x16});
    const auto id = in.next();
    in.need({0x09});
    const auto wrapped = in.take(in.next());
    const auto key = rfc3394_unwrap(keys_[3], wrapped);
    if (!key) return not_ok;
    keys_.at(id) = *key;
  }
  if (!in.done()) throw std::runtime_error("an ACTION request with bytes behind it");
  return success;
}

Bytes Meter::prove(KeyRole role, ByteView challenge) const {
  return role == KeyRole::gak ? cmac_proof(key(role), challenge) : gcm_proof(key(role), challenge);
}

Bytes oaep_encrypt(const std::string& public_key_pem, const Bytes& clear) {
  const std::unique_ptr<BIO, FreeWith<BIO_free_all>> in(
      BIO_new_mem_buf(public_key_pem.data(), static_cast<int>(public_key_pem.size())));
  const std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>> key(
      PEM_read_bio_PUBKEY(in.get(), nullptr, nullptr, nullptr));
  require(key != nullptr, "not a public key");
  const std::unique_ptr<EVP_PKEY_CTX, FreeWith<EVP_PKEY_CTX_free>> context(
      EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  require(EVP_PKEY_encrypt_init(context.get()) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1 &&
              EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), EVP_sha1()) == 1 &&
              EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), EVP_sha1()) == 1,
          "OAEP");
  std::size_t length = 0;
  require(EVP_PKEY_encrypt(context.get(), nullptr, &length, clear.data(), clear.size()) == 1,
          "OAEP");
  Bytes encrypted(length);
  require(
      EVP_PKEY_encrypt(context.get(), encrypted.data(), &length, clear.data(), clear.size()) == 1,
      "OAEP");
  encrypted.resize(length);
  return encrypted;
}

Manufacturer::Manufacturer(const std::string& import_key_pem, std::uint64_t first_device)
    : transport_key_(random_bytes(32)),
      encrypted_{.name = "mfr-test", .encrypted = oaep_encrypt(import_key_pem, transport_key_)},
      next_(first_device) {}

std::pair<std::string, Meter> Manufacturer::make(const Order& order) {
  const auto id = DeviceId::from_number(next_++);
  Meter meter(id, random_bytes(order.suite == "2" ? 32 : 16));
  return {line(order, meter), std::move(meter)};
}

std::string Manufacturer::line(const Order& order, const Meter& meter) const {
  auto digits = meter.id().to_string();
  std::erase(digits, '-');
  return meter.id().to_string() + "," + order.kind + "," + order.model + ",4D4D4D" +
         digits.substr(6) + "," + order.suite + "," + order.supports + "," + order.commissioned_at + "," +
         smets1kms::to_hex(rfc3394_wrap(transport_key_, meter.key(KeyRole::kek))) + "," +
         encrypted_.name + "\n";
}

}  // namespace test
