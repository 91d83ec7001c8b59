// SPDX-License-Identifier: Apache-2.0
/// @file
/// Selections: which devices or keys an operation is for.
#pragma once
#include <optional>
#include <vector>

#include "smets1kms/types.hpp"

namespace smets1kms {

/// Name of one key.
struct KeyRef {
  DeviceId device;
  KeyRole role;
  std::uint32_t generation;
  friend auto operator<=>(const KeyRef&, const KeyRef&) = default;
};

/// A selection of devices to rotate, or of keys to retire or destroy. A selection by a property is
/// read from the registry in pages, so memory does not grow with the fleet; it leaves out and
/// counts keys that their devices may still use.
struct Selection {
  enum class Kind : std::uint8_t {
    devices,      ///< `devices`; for retire and destroy: their superseded or deactivated keys
    keys,         ///< `keys`; not for rotate
    all,          ///< rotate: every commissioned device that supports all roles asked for
    due,          ///< rotate: every device and role with a duty that is due, for that duty's reason
    superseded,   ///< retire: active keys that a newer active key of their role has replaced
    deactivated,  ///< destroy: every deactivated key
    not_held,     ///< destroy: every key that its device was shown not to hold
    missing_handover,  ///< rotate: the roles of every commissioned device whose newest key `target`
                       ///< was not handed, as it was made before the target was admitted
  };
  Kind kind = Kind::devices;
  std::vector<DeviceId> devices{};  ///< 1 or more, without duplicates, for Kind::devices
  std::vector<KeyRef> keys{};       ///< 1 or more, for Kind::keys
  /// For Kind::due: duties due within this time, late ones too; nullopt: those late or due soon,
  /// and after commissioning and on suspicion all, "as soon as reasonably practicable" (S1SR clause
  /// 20).
  std::optional<std::chrono::milliseconds> within{};
  std::string target{};  ///< name of a handover target, for Kind::missing_handover
};

}  // namespace smets1kms

template <>
struct std::hash<smets1kms::KeyRef> {
  std::size_t operator()(const smets1kms::KeyRef& key) const noexcept {
    // The golden ratio spreads the generations of one device.
    const auto which = std::uint64_t{key.generation} << 2 | static_cast<std::uint64_t>(key.role);
    return std::hash<std::uint64_t>()(key.device.number() ^ which * 0x9E3779B97F4A7C15U);
  }
};
