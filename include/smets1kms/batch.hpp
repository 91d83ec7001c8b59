// SPDX-License-Identifier: Apache-2.0
/// @file
/// Requests for rotations, of one device or of many, and their results.
#pragma once
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "smets1kms/handover.hpp"
#include "smets1kms/key_transfer.hpp"
#include "smets1kms/selection.hpp"
#include "smets1kms/types.hpp"

namespace smets1kms {

/// Choice of the KEK that wraps a GAK while a new KEK waits for its proof.
enum class WrapUnder : std::uint8_t {
  automatic,  ///< the new one if there is one: its success proves the new KEK
  proven,     ///< the old one: its success shows that the device never took the new KEK
};

/// A rotation of one device.
struct RotationRequest {
  DeviceId device;
  /// Roles without duplicates; the KEK only alone. Empty: all of GUEK, GBEK and GAK that the device
  /// supports.
  std::vector<KeyRole> roles;
  Reason reason;
  Authority authority;
  /// 1 to 64 of [A-Za-z0-9._:-]; empty: the library makes one (UUIDv7). A repeated id returns the
  /// same result.
  std::string operation_id{};
  bool single_action = false;  ///< all keys in one ACTION; some firmware takes one key only
  WrapUnder wrap_under = WrapUnder::automatic;
  /// Justification of a periodic rotation under an edition of the policy without such a rule (SEC
  /// Appendix AT), which is refused without one. 1 to 200 printable ASCII characters, recorded.
  std::string justification{};
};

/// A rotation of many devices, as a batch with a name.
struct BatchRequest {
  Selection selection;  ///< Kind::devices, all, due or missing_handover
  /// 1 to 26 of [A-Za-z0-9._:-]; empty: the library makes one, which BatchSummary has. The
  /// operation id of each device's rotation is "NAME:00DB1234567890A0:REASON".
  std::string name{};
  std::vector<KeyRole> roles{};    ///< as in RotationRequest; with Kind::due: only these
  std::optional<Reason> reason{};  ///< needed; with Kind::due nullopt: each duty has its own
  Authority authority;
  bool single_action = false;
  WrapUnder wrap_under = WrapUnder::automatic;
  std::string justification{};
};

/// A completed rotation: its keys for those that use them, and its transfers, as far as they are
/// released.
class Rotation {
 public:
  Rotation(std::string operation_id, std::vector<KeyTransfer> transfers,
           std::vector<Handover> handovers = {}, std::vector<std::uint32_t> withheld = {})
      : operation_id_(std::move(operation_id)),
        transfers_(std::move(transfers)),
        handovers_(std::move(handovers)),
        withheld_(std::move(withheld)) {}
  [[nodiscard]] const std::string& operation_id() const { return operation_id_; }
  [[nodiscard]] const std::vector<KeyTransfer>& transfers() const { return transfers_; }
  /// Returns a handover for each key and each target that takes its role.
  [[nodiscard]] const std::vector<Handover>& handovers() const { return handovers_; }
  /// Returns numbers of transfers that KeyManager::record_receipts releases, once the targets that
  /// asked for it have shown that they hold the keys (HandoverTarget::before_transfer).
  [[nodiscard]] const std::vector<std::uint32_t>& withheld() const { return withheld_; }

 private:
  std::string operation_id_;
  std::vector<KeyTransfer> transfers_;
  std::vector<Handover> handovers_;
  std::vector<std::uint32_t> withheld_;
};

/// One receipt and what it led to.
struct ReceiptOutcome {
  Receipt receipt;
  bool repeated = false;  ///< it was recorded before
  /// Transfer that the receipt released, or, of a repeated one, the number of a transfer that was
  /// released before and waits for its answer (KeyManager::transfer returns it).
  std::optional<KeyTransfer> released{};
  std::uint32_t released_before = 0;
  std::string operation_id{};    ///< the rotation
  std::exception_ptr failure{};  ///< Refused or BadInput: nothing was changed
};

/// One device's part in a batch: its rotation, or its failure.
struct RotationResult {
  DeviceId device;
  std::optional<Rotation> rotation;
  std::exception_ptr failure;  ///< set where `rotation` is not
};

/// Result of one run of a batch.
struct BatchSummary {
  std::string name;         ///< give it to KeyManager::resume
  std::size_t rotated = 0;  ///< devices whose transfers were returned, for the first time or again
  std::size_t failed = 0;   ///< devices whose rotation was refused or failed
  std::size_t done_before = 0;    ///< devices passed over, because an earlier run did them
  std::size_t without_roles = 0;  ///< Kind::all: devices that lack a role asked for
  /// Kind::all, due: devices that came without a KEK; Kind::due: and those whose KEK the
  /// manufacturer must replace.
  std::size_t without_kek = 0;
  std::size_t not_judged = 0;  ///< Kind::due: devices whose facts contradict each other
  bool stopped = false;        ///< before its end, because it was asked to
};

/// Result of retiring or destroying a selection.
struct SelectionSummary {
  std::size_t done = 0;             ///< keys
  std::size_t in_use = 0;           ///< keys left out, because their devices may still use them
  std::size_t being_destroyed = 0;  ///< keys left out, because another destruction of them goes on,
                                    ///< or was left open by a lost token
  bool stopped = false;             ///< before its end, because it was asked to
};

}  // namespace smets1kms
