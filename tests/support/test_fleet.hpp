// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "smets1kms/enrolment.hpp"

/// The other side of the lifecycle: a manufacturer and its meters, with OpenSSL alone. They know
/// KEKs in clear, which the project never does.
namespace test {

using smets1kms::Bytes;
using smets1kms::ByteView;
using smets1kms::DeviceId;
using smets1kms::KeyRole;

[[nodiscard]] Bytes random_bytes(std::size_t count);
/// RFC 3394 sections 2.2.1 and 2.2.2. KEKs of 16 or 32 bytes; nothing where the integrity check
/// fails.
[[nodiscard]] Bytes rfc3394_wrap(const Bytes& kek, const Bytes& key);
[[nodiscard]] std::optional<Bytes> rfc3394_unwrap(const Bytes& kek, const Bytes& wrapped);
/// KeyManager::prove, from a key in clear.
[[nodiscard]] Bytes gcm_proof(const Bytes& key, ByteView challenge);
[[nodiscard]] Bytes cmac_proof(const Bytes& key, ByteView challenge);

/// ACTION-Response-Normal, success; and one of the many negative ones.
inline const Bytes success{0xC7, 0x01, 0xC1, 0x00, 0x00};
inline const Bytes not_ok{0xC7, 0x01, 0xC1, 0x03, 0x00};

/// A meter that obeys: takes up every key of an ACTION request that its KEK opens.
class Meter {
 public:
  Meter(DeviceId id, Bytes kek) : id_(id) {
    keys_[static_cast<std::size_t>(KeyRole::kek)] = std::move(kek);
  }
  [[nodiscard]] DeviceId id() const { return id_; }
  /// The answer: `success`, or `not_ok` at the first key that does not open.
  Bytes receive(const Bytes& action_request);
  /// Empty where it has none.
  [[nodiscard]] const Bytes& key(KeyRole role) const {
    return keys_[static_cast<std::size_t>(role)];
  }
  [[nodiscard]] Bytes prove(KeyRole role, ByteView challenge) const;
  /// Its manufacturer gives it another KEK.
  void take_kek(Bytes kek) { keys_[static_cast<std::size_t>(KeyRole::kek)] = std::move(kek); }

 private:
  DeviceId id_;
  std::array<Bytes, 4> keys_;
};

/// What is ordered of a manufacturer.
struct Order {
  std::string suite = "0", model = "NOW", supports = "guek+gbek+gak+kek", kind = "ESME",
              commissioned_at = "2026-11-20T09:30:00Z";
};

class Manufacturer {
 public:
  static constexpr const char* header =
      "device_id,kind,model,system_title,security_suite,supports,commissioned_at,kek_wrapped,kek_"
      "transport\n";

  /// From the public key that the token exported.
  explicit Manufacturer(const std::string& import_key_pem,
                        std::uint64_t first_device = 0x00DB1234567890A0);
  /// Its line of the fleet file, and the meter itself.
  std::pair<std::string, Meter> make(const Order& order);
  /// The line of a meter that there is, with the KEK that it has now.
  [[nodiscard]] std::string line(const Order& order, const Meter& meter) const;
  /// The transport key, RSA-OAEP with SHA-1 under the token's key.
  [[nodiscard]] const smets1kms::TransportKey& transport_key() const { return encrypted_; }

 private:
  Bytes transport_key_;
  smets1kms::TransportKey encrypted_;
  std::uint64_t next_;
};

/// RSA-OAEP, SHA-1 and MGF1 with SHA-1, of `clear` under a public key.
[[nodiscard]] Bytes oaep_encrypt(const std::string& public_key_pem, const Bytes& clear);

}  // namespace test
