// SPDX-License-Identifier: Apache-2.0
/// @file
/// The registry as a reader sees it: no token, no lock, no change.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "smets1kms/batch.hpp"
#include "smets1kms/callbacks.hpp"
#include "smets1kms/config.hpp"
#include "smets1kms/duties.hpp"
#include "smets1kms/handover.hpp"
#include "smets1kms/selection.hpp"
#include "smets1kms/types.hpp"

namespace smets1kms {

/// `not_commissioned`: imported, and not in service yet: nothing is asked and nothing is rotated.
enum class DeviceStatus : std::uint8_t {
  commissioned,
  suspended,
  decommissioned,
  not_commissioned
};
[[nodiscard]] std::string_view to_string(DeviceStatus status);

struct Device {
  DeviceId id;
  DeviceKind kind;
  std::string model;
  Bytes system_title;  ///< 8 bytes
  SecuritySuite suite;
  std::vector<KeyRole> supports;  ///< roles that the device can be given; an input, never inferred
  std::optional<Time> commissioned_at;  ///< nullopt: it is not commissioned
  DeviceStatus status;
  /// Why the device has no KEK, as its fleet file says; empty: a KEK was imported for it.
  std::string no_kek_reason{};
  /// Indices of the records of its registration and of the one that led to its status.
  std::uint64_t registered = 0, record = 0;
  [[nodiscard]] bool supports_role(KeyRole role) const;
};

/// A key's record, which is kept for ever, whatever becomes of the key.
struct Key {
  DeviceId device;
  KeyRole role;
  std::uint32_t generation;
  KeyId id;
  KeyState state;
  Delivery delivery;
  std::optional<KeyId> predecessor;  ///< the key that was active when this one was made; for an
                                     ///< imported KEK that was moved: the same key before
  std::optional<KeyId> kek;  ///< the KEK that wrapped it for transfer; none for an imported KEK
  /// Number of the device's transfer that carries it; 0 for an imported KEK.
  std::uint32_t transfer;
  std::string operation;
  Time created_at;                ///< when the token had made it
  bool awaits_enrolment = false;  ///< a KEK that the security officer has to admit ('smets1-kms
                                  ///< enrol') before it can wrap
  bool is_sealed = false;         ///< wrapped in the registry, not an object in the token
  /// Times at which its device was first in doubt about it, confirmed it and was shown not to hold
  /// it, and at which it was suspected of compromise.
  std::optional<Time> in_doubt_at{}, confirmed_at{}, not_held_at{}, compromised_at{};
  /// Indices of the records of its making (of its intent, as long as it is planned) and of its last
  /// change.
  std::uint64_t made = 0, record = 0;
  [[nodiscard]] KeyRef ref() const { return {device, role, generation}; }
};

/// A device with all facts that the policy judges it by.
struct DeviceHistory {
  Device device;
  std::vector<DeviceEvent> events;  ///< oldest first
  std::vector<Key> keys;
};

/// One record of the audit trail: the stored bytes and their place.
struct TrailEntry {
  std::uint64_t index;
  std::string bytes;      ///< strict JSON, exactly as hashed
  std::string leaf_hash;  ///< hex
};

/// A storage key of the sealed vault, with the number of keys under it.
struct StorageUse {
  KeyId id;
  std::uint64_t keys = 0;
  KeyRole role{};  ///< of one of its keys: a storage key is for KEKs, for encryption keys (GUEK,
                   ///< GBEK), or for authentication keys (GAK)
};

struct FleetSummary {
  std::map<std::string, std::uint64_t> devices_by_status;
  std::map<KeyRole, std::map<KeyState, std::uint64_t>> keys;
  std::uint64_t records = 0;
  std::uint64_t open_operations = 0;
  std::uint64_t awaiting_enrolment = 0;  ///< KEKs that wait for the security officer
  std::uint64_t without_kek = 0;  ///< devices in service whose fleet file had no KEK for them
};

/// Keys handed to one target.
struct TargetInfo {
  HandoverTarget target;
  std::uint64_t stored = 0;  ///< wrapped keys that are stored, and not received
};

/// A target that was handed a key. Neither received nor stored: it was given up.
struct KeyHolder {
  std::string target;     ///< its label, "headend/2"
  bool received = false;  ///< it has shown that it holds the key
  bool stored = false;    ///< the wrapped key is stored, to be handed out once more
};

enum class OperationState : std::uint8_t {
  open,    ///< begun; its outcome is not recorded yet, or its process died
  done,    ///< its outcome is recorded
  failed,  ///< failed or taken back; its id is free for the same request
};
[[nodiscard]] std::string_view to_string(OperationState state);

/// An operation whose intent is recorded.
struct OperationInfo {
  std::string id;
  std::string kind;  ///< as in the audit trail: "rotate", "key.destroy"
  OperationState state;
  std::optional<DeviceId> device;  ///< nullopt: it concerns several devices, or none
  /// Keys that it made or that it is about, by device, role and generation; none for
  /// "token.compromise", which is about every key.
  std::vector<KeyRef> keys;
};

/// A named batch of rotations.
struct BatchInfo {
  BatchRequest request;       ///< as it was begun; `selection.devices` is left empty
  std::uint64_t devices = 0;  ///< number of devices in its list
  std::uint64_t done = 0;     ///< rotations whose outcome is recorded
  std::uint64_t failed = 0;   ///< refused or failed, in its last run
  Time started;
  std::optional<Time> ended;  ///< nullopt: it has not come to its end
};

/// Kinds of items that a person or the service has to deal with.
enum class WaitingKind : std::uint8_t {
  released,          ///< a transfer without an answer; ended by record_reply
  in_doubt,          ///< the device holds the old or the new key; ended by resolve
  unproven_kek,      ///< a delivered KEK; ended by the answer to a GAK transfer under it
  awaits_enrolment,  ///< a KEK; ended by the security officer's ceremony
  open_operation,    ///< ended by its process, or if that died by the next opening
  receipt_missing,   ///< a key that a handover target has not shown to hold; ended by
                     ///< record_receipts
  withheld,          ///< a key whose transfer waits for a handover target that has ended; ended by
                     ///< destroying it, or by the target's receipt
  no_usable_kek,     ///< a device that came without a KEK; ended by a fleet file that brings it
};
[[nodiscard]] std::string_view to_string(WaitingKind kind);

struct WaitingItem {
  WaitingKind kind;
  std::optional<DeviceId> device;  ///< nullopt: an open operation
  std::optional<KeyRef> key;       ///< nullopt: an open operation, a device without a KEK
  std::uint32_t transfer = 0;      ///< number of the device's transfer; 0: none
  std::string target;              ///< label of the handover target, "headend/2"; empty: none
  /// The operation that made the key, or that is open; empty for a device without a KEK.
  std::string operation_id;
  /// When the key was made, its delivery became in doubt, or the device was commissioned.
  std::optional<Time> since;
  std::string ends_by;  ///< how to end it, for people: the command and the call
};
struct WaitingPage {
  std::vector<WaitingItem> items;
  std::string next;  ///< to be given as `after`; empty: this is the last page
};

/// A reader's view of the registry. A reader never waits for a writer, nor a writer for a reader.
/// Safe to use from many threads at once; each call has a connection of its own, so that none waits
/// for another. Everything that grows with the fleet is read in pages, each in one short read
/// transaction: no reader keeps the write-ahead log alive, in which destroyed blobs would still
/// stand. `summary`, `storage` and `keys_in_token` count the whole registry, in such pieces: a
/// change made meanwhile may be counted or not.
///
/// All functions throw StorageError, also for a row that no valid registry can hold ("damaged").
/// `most`: 1 to 10,000, else BadInput. A list in pages ends with a page of fewer than `most` items.
class Fleet {
 public:
  /// Opens a registry. Throws StorageError if there is none, or it is none of this product;
  /// BadInput for a policy that can't be read.
  static Fleet open(const Config& config, Callbacks callbacks = {});
  Fleet(Fleet&&) noexcept;
  ~Fleet();

  /// Returns a device. Throws Refused (unknown_device).
  [[nodiscard]] Device device(DeviceId id) const;
  /// Returns one device's keys, by role and generation; none for an unknown device.
  [[nodiscard]] std::vector<Key> keys(DeviceId id) const;
  /// Returns a device's history. Throws Refused (unknown_device).
  [[nodiscard]] DeviceHistory history(DeviceId id) const;
  [[nodiscard]] std::size_t device_count() const;  ///< devices of any status
  [[nodiscard]] std::size_t device_count(DeviceStatus status) const;
  /// Returns up to `most` devices behind `after` in the registry's order; nullopt: from the first
  /// on.
  [[nodiscard]] std::vector<Device> devices(std::optional<DeviceId> after, std::size_t most) const;
  [[nodiscard]] std::vector<DeviceHistory> histories(std::optional<DeviceId> after,
                                                     std::size_t most) const;
  /// Returns keys of all devices behind `after`, by device, role and generation.
  [[nodiscard]] std::vector<Key> keys(const std::optional<KeyRef>& after, std::size_t most) const;
  /// Returns the storage keys behind `after` that keys rest under.
  [[nodiscard]] std::vector<StorageUse> storage(const std::optional<KeyId>& after,
                                                std::size_t most) const;
  [[nodiscard]] std::uint64_t keys_in_token() const;  ///< keys that rest as objects of the token
  [[nodiscard]] FleetSummary summary() const;

  /// Returns every duty of one device as it stood, or will stand if nothing is done, at `at`.
  /// Throws Refused (unknown_device), BadInput where the device's facts contradict each other.
  [[nodiscard]] std::vector<Duty> duties(DeviceId id, Time at) const;
  /// Returns duties of the devices behind `after` that ask for something: due within `within`, late
  /// ones too; nullopt: late or due soon, and after commissioning and on suspicion all, "as soon as
  /// reasonably practicable" (S1SR clause 20). A page ends behind the device at which `most` duties
  /// were found (so it may have a few more) or 10,000 devices were looked at; DutyPage::next says
  /// whether there is another.
  [[nodiscard]] DutyPage due(Time at, std::optional<std::chrono::milliseconds> within,
                             std::optional<DeviceId> after, std::size_t most) const;
  /// Does the same for every duty with this status, due within `within` where that is given.
  [[nodiscard]] DutyPage due(Time at, DutyStatus status,
                             std::optional<std::chrono::milliseconds> within,
                             std::optional<DeviceId> after, std::size_t most) const;
  /// Returns the soonest `most` changes of any device that come with time alone after `at`,
  /// earliest first. Looks at every device, and reports its progress to Callbacks::progress.
  /// `not_judged` gets the devices whose facts contradict each other.
  [[nodiscard]] std::vector<UpcomingChange> upcoming(Time at, std::size_t most,
                                                     std::vector<NotJudged>* not_judged) const;
  /// Returns "recorded 89 days late" of an event that was recorded later than the policy allows (a
  /// project rule); empty: it was recorded in time.
  [[nodiscard]] std::string lateness(const Moment& moment) const;
  /// Returns the time of the last record where `now` is before it: with a clock that was set back
  /// no duty is judged rightly.
  [[nodiscard]] std::optional<Time> clock_behind(Time now) const;
  /// Returns the time of the callbacks' clock, or of the system's.
  [[nodiscard]] Time now() const;

  /// Returns items that a person or the service has to deal with, by kind. `after`:
  /// WaitingPage::next; empty: from the start. Costs as much as it finds, however large the fleet
  /// is. Throws BadInput for an `after` that no page returned.
  [[nodiscard]] WaitingPage waiting(const std::string& after, std::size_t most) const;
  /// Returns the same items for one device and its keys.
  [[nodiscard]] std::vector<WaitingItem> waiting(DeviceId id) const;
  /// Returns an operation. Throws Refused (unknown_operation).
  [[nodiscard]] OperationInfo operation(const std::string& id) const;
  /// Returns a batch. Throws Refused (unknown_batch).
  [[nodiscard]] BatchInfo batch(const std::string& name) const;
  /// Returns batches behind `after`, by name; empty: from the first on.
  [[nodiscard]] std::vector<BatchInfo> batches(const std::string& after, std::size_t most) const;

  /// Returns every handover target that was ever admitted, by name and generation. Counts stored
  /// handovers, so that it takes longer the more there are.
  [[nodiscard]] std::vector<TargetInfo> targets() const;
  /// Returns the targets that were handed this key, by name.
  [[nodiscard]] std::vector<KeyHolder> holders(const KeyRef& key) const;

  /// Returns a device's audit records behind the record `after`, oldest first.
  [[nodiscard]] std::vector<TrailEntry> trail(DeviceId id, std::optional<std::uint64_t> after,
                                              std::size_t most) const;
  /// Returns records of the whole trail from index `from` on.
  [[nodiscard]] std::vector<TrailEntry> records(std::uint64_t from, std::size_t most) const;
  [[nodiscard]] std::optional<TrailEntry> last_record() const;

 private:
  struct Impl;
  explicit Fleet(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace smets1kms
