// SPDX-License-Identifier: Apache-2.0
/// @file
/// Handover of keys to the parties that use them: wrapped in the token a second time, under an RSA
/// key of the party, which proves afterwards that it holds them. A KEK is never handed over.
#pragma once
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "smets1kms/types.hpp"

namespace smets1kms {

class Rotation;

enum class TargetStatus : std::uint8_t {
  admitted,     ///< keys are wrapped for it
  replaced,     ///< another certificate of the same party took its place
  retired,      ///< ended under two identities
  compromised,  ///< suspected; every key that it was handed is marked
};
[[nodiscard]] std::string_view to_string(TargetStatus status);

/// Returns "headend/2": a target's name and generation, as the audit trail has them.
[[nodiscard]] inline std::string target_label(const std::string& name, std::uint32_t generation) {
  return name + "/" + std::to_string(generation);
}

/// A party that uses keys, by one of its certificates.
struct HandoverTarget {
  std::string name;  ///< 1 to 32 of [A-Za-z0-9._-]
  std::uint32_t generation;
  KeyId id;  ///< CKA_ID of its public key in the token
  std::vector<KeyRole> roles;
  bool before_transfer;  ///< a device's transfer is released only when it has shown that it holds
                         ///< the transfer's keys
  std::string hash;      ///< of OAEP and its MGF1: "SHA-1" or "SHA-256"
  std::string fingerprint;  ///< SHA-256 of the certificate, lower-case hex
  TargetStatus status;
  Time admitted_at;
  [[nodiscard]] bool takes(KeyRole role) const;
  [[nodiscard]] std::string label() const { return target_label(name, generation); }
};

/// Request for the admission of a target.
struct TargetAdmission {
  std::string name;
  /// DER or PEM: X.509 with an RSA key of 3072 bits or more.
  Bytes certificate;
  /// SHA-256 of the certificate, hex with or without colons, as the party gave it on another way.
  std::string fingerprint;
  std::vector<KeyRole> roles;  ///< 1 or more of GUEK, GBEK, GAK
  bool before_transfer = false;
};

/// One key, wrapped for one target.
struct Handover {
  DeviceId device;
  KeyRole role;
  std::uint32_t generation;
  KeyId key;
  std::string target;
  std::uint32_t target_generation;
  std::string hash;        ///< of OAEP and its MGF1 (no label): "SHA-1" or "SHA-256"
  Bytes wrapped;           ///< as long as the target's modulus
  std::uint32_t transfer;  ///< number of the device's transfer that carries the key
  /// Returns the 32 bytes over which the target proves that it holds the key: SHA-256 of `wrapped`,
  /// which stands in the audit trail and is another for each key and target.
  [[nodiscard]] Bytes challenge() const;
};

/// A target's proof that it holds a key: `proof` as KeyManager::prove computes it over
/// Handover::challenge, 16 bytes.
struct Receipt {
  DeviceId device;
  KeyRole role;
  std::uint32_t generation;
  std::string target;
  Bytes proof;
};
/// Source that returns one receipt after the other; nullopt: there are no more.
using ReceiptSource = std::function<std::optional<Receipt>()>;

/// Handovers to hand out once more.
struct HandoverSelection {
  std::string target;  ///< empty: every target's
  /// Devices, in this order; empty: all, or those of `batch`.
  std::vector<DeviceId> devices{};
  std::string batch{};  ///< a named batch; only where `devices` is empty
};
struct HandoverResult {
  DeviceId device;
  std::optional<Handover> handover;
  std::exception_ptr failure;  ///< Refused; set where `handover` is not
};

/// Result of a target's compromise.
struct TargetCompromiseResult {
  std::string operation_id;
  std::uint64_t keys = 0;  ///< keys marked because the target was handed them
};

}  // namespace smets1kms
