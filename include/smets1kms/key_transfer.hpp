// SPDX-License-Identifier: Apache-2.0
/// @file
/// Key transfers as released: DLMS key_transfer, COSEM class 64 "Security setup", method 2.
#pragma once
#include <string>
#include <vector>

#include "smets1kms/types.hpp"

namespace smets1kms {

/// One key in a transfer.
struct TransferredKey {
  KeyRole role;
  KeyId id;
  std::uint32_t generation;  ///< counts the keys of one role of one device, from 1
};

/// One ACTION for one device: one key by default, several where asked for. A value; sending it is
/// the rotation service's work. Its keys are wrapped under the device's KEK (RFC 3394).
class KeyTransfer {
 public:
  KeyTransfer(DeviceId device, std::uint32_t number, std::vector<TransferredKey> keys, KeyId kek,
              Activation activation, Bytes parameter, Bytes action_request, bool released_before)
      : device_(device),
        number_(number),
        keys_(std::move(keys)),
        kek_(kek),
        activation_(activation),
        parameter_(std::move(parameter)),
        action_request_(std::move(action_request)),
        released_before_(released_before) {}

  [[nodiscard]] DeviceId device() const { return device_; }
  /// Returns the id for `record_reply`: device and number of the transfer, "00-DB-…-A0/3".
  [[nodiscard]] std::string id() const {
    return device_.to_string() + "/" + std::to_string(number_);
  }
  [[nodiscard]] std::uint32_t number() const { return number_; }
  [[nodiscard]] const std::vector<TransferredKey>& keys() const { return keys_; }
  [[nodiscard]] KeyId kek() const { return kek_; }
  [[nodiscard]] Activation activation() const { return activation_; }
  /// Returns the method's parameter in A-XDR: array of structures (key_id, wrapped key of 24 or 40
  /// bytes).
  [[nodiscard]] const Bytes& parameter() const { return parameter_; }
  /// Returns the whole ACTION-Request-Normal, unprotected: protecting it is the head end's work.
  [[nodiscard]] const Bytes& action_request() const { return action_request_; }
  /// True if the device sets its unicast (GUEK) or broadcast (GBEK) invocation counter to zero on
  /// receipt.
  [[nodiscard]] bool resets_unicast_counter() const { return has(KeyRole::guek); }
  [[nodiscard]] bool resets_broadcast_counter() const { return has(KeyRole::gbek); }
  /// True where these bytes were handed out before (a repeated operation id, a continued batch,
  /// KeyManager::transfer) and may have reached the device. Sending a GUEK or GBEK twice repeats
  /// GCM nonces: send it only if it certainly was not sent before; otherwise record that no answer
  /// came and resolve the doubt.
  [[nodiscard]] bool released_before() const { return released_before_; }

 private:
  [[nodiscard]] bool has(KeyRole role) const {
    for (const auto& key : keys_)
      if (key.role == role) return true;
    return false;
  }
  DeviceId device_;
  std::uint32_t number_;
  std::vector<TransferredKey> keys_;
  KeyId kek_;
  Activation activation_;
  Bytes parameter_, action_request_;
  bool released_before_;
};

}  // namespace smets1kms
