// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/files.hpp"
#include "base/sealed_key.hpp"
#include "registry/setting_names.hpp"
#include "registry/sqlite.hpp"
#include "smets1kms/fleet.hpp"

namespace smets1kms::registry {

/// A row that no registry of ours can hold.
class DamagedRow : public StorageError {
 public:
  using StorageError::StorageError;
};

/// SHA-256 of a record, by which the trail chains records.
using Hash = std::array<std::uint8_t, 32>;

/// Head of a device's chain, to which its next record is chained: the last sequence number, record
/// and leaf hash.
struct ChainHead {
  std::uint64_t sequence = 0;
  std::int64_t record = -1;
  Hash leaf{};
};

/// An operation whose intent is recorded. `digest` tells a repeat of the same request from another
/// request under the same id.
struct Operation {
  std::string id{}, kind{};
  std::optional<DeviceId> device{};
  Hash digest{};
  OperationState state = OperationState::open;
  std::string detail{};     ///< what its recovery needs to know
  bool before_gap = false;  ///< open in a registry that was restored: its recovery destroys nothing
  std::uint64_t intent = 0;   ///< index of its first record
  std::uint64_t outcome = 0;  ///< index of the record that ended it
};

/// Lock that lets one process at a time write: an advisory lock on `<database>.lock`, whose text
/// names the holder.
class WriterLock {
 public:
  /// Takes the lock. `now` is for the text. Throws StorageError naming process, host and time of
  /// the holder.
  WriterLock(const std::filesystem::path& database, Time now);

 private:
  Descriptor descriptor_;
};

/// Devices, keys, operations and the records of the trail, in one SQLite file. Writes are made
/// inside a Transaction of the caller's, so that a change and its record are one commit.
class Registry {
 public:
  static constexpr std::int64_t schema_version = 6;
  /// Makes a registry, continues an empty file of a process that died, or opens one that is whole.
  /// Throws StorageError: it can't be made, or something else is there.
  static Registry create(const std::filesystem::path& file);
  /// Opens a registry. Throws StorageError: nothing there, not ours, or of another version.
  static Registry open(const std::filesystem::path& file, sqlite::Mode mode);

  [[nodiscard]] sqlite::Database& database() { return database_; }

  std::optional<std::string> setting(std::string_view name);
  void set_setting(std::string_view name, std::string_view value);
  void forget_setting(std::string_view name);
  /// Visits the values of all settings whose name begins with `prefix`.
  void for_each_setting(std::string_view prefix,
                        const std::function<void(const std::string& value)>& visit);

  std::optional<Device> device(DeviceId id);
  void add_device(const Device& device);
  /// Returns up to `most` devices behind `after`, in the order of their ids as signed numbers.
  std::vector<Device> devices_after(std::optional<DeviceId> after, std::size_t most);
  std::uint64_t device_count();
  std::uint64_t device_count(DeviceStatus status);
  /// Changes a device's status as the record with this index says.
  void set_status(DeviceId device, DeviceStatus status, std::uint64_t record);
  void set_commissioned(DeviceId device, Time at);
  /// Forgets why a device has no KEK: one was imported.
  void forget_no_kek_reason(DeviceId device);
  /// Returns up to `most` devices in service whose fleet file had no KEK for them, behind `after`.
  std::vector<Device> devices_without_kek(std::optional<DeviceId> after, std::size_t most);
  /// Returns another device that has this system title.
  std::optional<DeviceId> other_with_title(const Device& device);
  /// Returns another device whose KEK was imported from wrapped bytes with this SHA-256.
  std::optional<DeviceId> other_with_kek(DeviceId device, const Hash& wrapped_sha256);
  void add_imported_kek(DeviceId device, const Hash& wrapped_sha256);
  std::vector<DeviceEvent> events(DeviceId device);
  /// Adds the next event of the device.
  void add_event(DeviceId device, const DeviceEvent& event);

  std::vector<Key> keys(DeviceId device);
  /// Returns up to `most` keys behind `after`, by device, role and generation; so do the next two.
  std::vector<Key> keys_after(const std::optional<KeyRef>& after, std::size_t most);
  /// Returns keys that are not destroyed and whose delivery is `released`, `in_doubt` or
  /// `unproven`.
  std::vector<Key> keys_with(Delivery delivery, const std::optional<KeyRef>& after,
                             std::size_t most);
  /// Returns KEKs that the officer may admit.
  std::vector<Key> keys_to_admit(const std::optional<KeyRef>& after, std::size_t most);
  void add_key(const Key& key);
  /// Returns the state of the key as it is now.
  KeyState key_state(const Key& key);
  /// Writes the members of a key that change: state, delivery, its times and records, and the
  /// wrapped blob where one is given.
  void update_key(const Key& key, const std::optional<Bytes>& wrapped = std::nullopt);
  /// Returns the key wrapped for its device; empty once destroyed.
  Bytes wrapped(const Key& key);
  /// Deletes what left the token of a key: wrapped for its device, for the officer, for targets.
  void forget_wrapped(const Key& key);
  /// Stores a KEK that waits for the officer, under the enrolment key; nullopt: it waits no longer.
  /// `record`: the key's last, where this is another one.
  void set_awaiting(const Key& key, const std::optional<Bytes>& sealed,
                    std::optional<std::uint64_t> record = {});
  Bytes awaiting(const Key& key);
  /// Returns KEKs under the enrolment key, of which there is no object in the token.
  /// awaits_enrolment is true for those that may be admitted.
  std::vector<Key> waiting_keys();
  /// A key at rest in the sealed vault, and the index of the record with the blob's digest.
  struct SealedRow {
    SealedKey key;
    std::int64_t record;
  };
  std::optional<SealedRow> sealed(const Key& key);
  /// Stores a sealed key; `record`: the record with its digest, which is the key's last.
  void set_sealed(const Key& key, const SealedKey& sealed, std::int64_t record);
  void forget_sealed(const Key& key);
  /// Returns keys under one storage key, in order, behind `after`.
  std::vector<Key> sealed_under(const KeyId& storage, const std::optional<KeyRef>& after,
                                std::size_t most);
  std::uint64_t count_sealed_under(const KeyId& storage);
  /// Removes a planned key that never came to be.
  void drop_planned_key(const Key& key);
  /// Detaches a key that its operation's recovery destroyed, so that the operation may be run again
  /// under the same id.
  void detach_from_operation(const Key& key);
  /// Returns the device's keys that the operation made.
  std::vector<Key> keys_of_operation(const std::string& operation, DeviceId device);
  /// Returns the keys that the operation was stored with.
  std::vector<Key> listed_keys(const std::string& operation);

  std::optional<Operation> operation(const std::string& id);
  /// Stores an operation, in the place of a failed one that had the same id. `keys`: the keys that
  /// it is about, each once; keys that a rotation makes name it themselves.
  void put_operation(const Operation& operation, std::span<const KeyRef> keys = {});
  /// Ends an operation; `outcome`: index of the record that ended it.
  void end_operation(const std::string& id, OperationState state, std::uint64_t outcome);
  /// Returns up to `most` operations without an outcome behind `after`, by id.
  std::vector<Operation> open_operations(std::string_view after = "", std::size_t most = SIZE_MAX);
  /// Marks the open operations of a restored registry: they may have been finished since.
  void mark_open_operations_before_gap();
  /// True if an open operation of this kind was stored with this key.
  bool is_listed_by_open(std::string_view kind, const KeyRef& key);
  /// Returns ids that begin with `prefix` of operations that are done, behind `after`.
  std::vector<std::string> operations_after(std::string_view prefix, std::string_view after,
                                            std::size_t most);

  ChainHead head(DeviceId device);
  void set_head(DeviceId device, const ChainHead& head);
  /// Appends a record. `index`: the next one, without gaps. `previous`: that of the same device, as
  /// its head has it; -1: none.
  void append_record(std::int64_t index, std::string_view bytes, const Hash& leaf,
                     std::int64_t previous);
  std::optional<TrailEntry> record(std::int64_t index);
  std::optional<TrailEntry> last_record();
  /// Returns up to `most` records of the device behind the record `after`, oldest first.
  std::vector<TrailEntry> trail(DeviceId device, std::optional<std::uint64_t> after = {},
                                std::size_t most = SIZE_MAX);
  std::vector<TrailEntry> records(std::uint64_t from, std::size_t most);

  // These functions look at every key or device, in many short reads: not for use in a transaction.
  FleetSummary summary();
  /// Returns every storage key that a key rests under, by id.
  std::vector<StorageUse> storage();
  std::uint64_t keys_in_token();
  /// Two devices that have one system title, or one imported KEK.
  using Pair = std::pair<DeviceId, DeviceId>;
  /// Each returns up to `most` of them.
  std::vector<Pair> sharing_title(std::size_t most);
  std::vector<Pair> sharing_kek(std::size_t most);

 private:
  struct KeyCount;
  explicit Registry(sqlite::Database database) : database_(std::move(database)) {}
  void for_each_count(const std::function<void(const KeyCount&)>& visit);
  std::vector<Pair> sharing(const char* sql, std::size_t most);
  bool is_empty();
  void check_version(const std::filesystem::path& file);
  sqlite::Database database_;
};

}  // namespace smets1kms::registry
