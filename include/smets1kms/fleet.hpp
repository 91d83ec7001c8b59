// SPDX-License-Identifier: Apache-2.0
/// @file
/// The registry as a reader sees it: no token, no lock, no change.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "smets1kms/config.hpp"
#include "smets1kms/types.hpp"

namespace smets1kms {

enum class DeviceStatus : std::uint8_t { commissioned, suspended, decommissioned };
[[nodiscard]] std::string_view to_string(DeviceStatus status);

struct Device {
  DeviceId id;
  DeviceKind kind;
  std::string model;
  Bytes system_title;  ///< 8 bytes
  SecuritySuite suite;
  std::vector<KeyRole> supports;  ///< roles that the device can be given; an input, never inferred
  Time commissioned_at;
  DeviceStatus status;
  [[nodiscard]] bool supports_role(KeyRole role) const;
};

/// A key's record; kept for ever, whatever becomes of the key.
struct Key {
  DeviceId device;
  KeyRole role;
  std::uint32_t generation;
  KeyId id;
  KeyState state;
  Delivery delivery;
  std::optional<KeyId> predecessor;  ///< the key that was active when this one was made; of an
                                     ///< imported KEK: the one that was moved, the same key
  std::optional<KeyId>
      kek;  ///< the KEK it was wrapped under for transfer; none for an imported KEK
  std::uint32_t
      transfer;  ///< number of the device's transfer that carries it; 0 for an imported KEK
  std::string operation;
  Time created_at;                ///< when the token had made it
  bool awaits_enrolment = false;  ///< a KEK that the security officer has to admit ('smets1-kms
                                  ///< enrol') before it can wrap
  bool is_sealed =
      false;  ///< at rest in the registry, wrapped under a storage key; else an object in the token
  /// When its device was first in doubt about it, confirmed it, was shown not to hold it; when it
  /// was suspected.
  std::optional<Time> in_doubt_at{}, confirmed_at{}, not_held_at{}, compromised_at{};
};

/// A device with all that the policy judges it by.
struct DeviceHistory {
  Device device;
  std::vector<DeviceEvent> events;  ///< oldest first; the first is its commissioning
  std::vector<Key> keys;
};

/// One record of the audit trail: the stored bytes and where they stand.
struct TrailEntry {
  std::uint64_t index;
  std::string bytes;      ///< strict JSON, exactly as hashed
  std::string leaf_hash;  ///< hex
};

/// How many keys rest under a storage key of the sealed vault.
struct StorageUse {
  KeyId id;
  std::uint64_t keys = 0;
  KeyRole role{};  ///< of one of them: a storage key is for KEKs, for encryption keys (GUEK, GBEK),
                   ///< or for authentication keys (GAK)
};

struct FleetSummary {
  std::map<std::string, std::uint64_t> devices_by_status;
  std::map<KeyRole, std::map<KeyState, std::uint64_t>> keys;
  std::map<KeyRole, std::map<Delivery, std::uint64_t>> awaiting;  ///< released, in-doubt, unproven
  std::uint64_t records = 0;
  std::uint64_t open_operations = 0;
  std::uint64_t awaiting_enrolment = 0;  ///< KEKs that wait for the security officer
};

/// Reads beside a writer at any time. What is visited by an `each_…` may be asked about meanwhile;
/// the same visit can't be begun within itself.
class Fleet {
 public:
  /// Throws StorageError if there is no registry there, or it is not one of ours.
  static Fleet open(const Config& config);
  Fleet(Fleet&&) noexcept;
  ~Fleet();
  /// Throws Refused ("unknown-device").
  [[nodiscard]] Device device(DeviceId id) const;
  [[nodiscard]] std::vector<Key> keys(DeviceId id) const;
  /// All, whatever their status.
  [[nodiscard]] std::size_t device_count() const;
  [[nodiscard]] std::size_t device_count(DeviceStatus status) const;
  [[nodiscard]] std::vector<Device> devices(std::optional<DeviceId> after, std::size_t most) const;
  /// Throws Refused ("unknown-device").
  [[nodiscard]] DeviceHistory history(DeviceId id) const;
  /// Up to `most` devices that follow `after` in the registry's order; nullopt: the first. For a
  /// walk over millions that keeps neither memory nor a view of the whole registry.
  [[nodiscard]] std::vector<DeviceHistory> histories(std::optional<DeviceId> after,
                                                     std::size_t most) const;
  /// The operations whose id begins so and that are done; and what one of them made, in the order
  /// of its transfers.
  void for_each_operation(const std::string& prefix,
                          const std::function<void(const std::string& id)>& visit) const;
  [[nodiscard]] std::vector<Key> keys_of_operation(const std::string& id, DeviceId device) const;
  void for_each_device(const std::function<void(const Device&)>& visit) const;
  void for_each_key(const std::function<void(const Key&)>& visit) const;
  /// The records of one device, oldest first.
  [[nodiscard]] std::vector<TrailEntry> trail(DeviceId id) const;
  void for_each_record(const std::function<void(const TrailEntry&)>& visit) const;
  [[nodiscard]] std::optional<TrailEntry> last_record() const;
  [[nodiscard]] FleetSummary summary() const;
  /// Every storage key that a key rests under.
  [[nodiscard]] std::vector<StorageUse> storage() const;
  /// Keys that rest as objects of the token.
  [[nodiscard]] std::uint64_t keys_in_token() const;

 private:
  struct Impl;
  explicit Fleet(std::unique_ptr<Impl> inside);
  std::unique_ptr<Impl> impl_;
};

}  // namespace smets1kms
