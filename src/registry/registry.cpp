// SPDX-License-Identifier: Apache-2.0
#include "registry/registry.hpp"

#include <algorithm>
#include <cerrno>

#include "base/files.hpp"
#include "registry/schema.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::registry {
namespace {

// SQLite's integers are signed; an EUI-64 is kept bit for bit.
std::int64_t column(DeviceId id) { return static_cast<std::int64_t>(id.number()); }
DeviceId device_id(std::int64_t value) {
  return DeviceId::from_number(static_cast<std::uint64_t>(value));
}
std::int64_t column(Time time) { return time.time_since_epoch().count(); }
Time time(std::int64_t value) { return Time(std::chrono::milliseconds(value)); }
template <class Enum>
requires std::is_enum_v<Enum> std::int64_t column(Enum value) {
  return static_cast<std::int64_t>(value);
}

KeyId key_id(std::span<const std::uint8_t> blob) {
  KeyId::Raw raw{};
  if (blob.size() != raw.size())
    throw StorageError("the registry holds a key id of " + std::to_string(blob.size()) +
                       " bytes: it is damaged; restore it");
  std::copy(blob.begin(), blob.end(), raw.begin());
  return KeyId(raw);
}
std::optional<std::span<const std::uint8_t>> column(const std::optional<KeyId>& id) {
  if (!id) return std::nullopt;
  return std::span<const std::uint8_t>(id->raw());
}

Hash hash(std::span<const std::uint8_t> blob) {
  Hash value{};
  if (blob.size() != value.size())
    throw StorageError("the registry holds a hash of " + std::to_string(blob.size()) +
                       " bytes: it is damaged; restore it");
  std::copy(blob.begin(), blob.end(), value.begin());
  return value;
}

Device read_device(const sqlite::Query& row) {
  Device device{.id = device_id(row.integer(0)),
                .kind = static_cast<DeviceKind>(row.integer(1)),
                .model = row.text(2),
                .system_title = {row.blob(3).begin(), row.blob(3).end()},
                .suite = static_cast<SecuritySuite>(row.integer(4)),
                .supports = {},
                .commissioned_at = time(row.integer(6)),
                .status = static_cast<DeviceStatus>(row.integer(7))};
  for (const auto role : all_roles)
    if (row.integer(5) >> column(role) & 1) device.supports.push_back(role);
  return device;
}

/// The officer admits no KEK that is known to others, and none that its device is known not to
/// hold.
bool may_be_admitted(KeyState state, Delivery delivery) {
  return state == KeyState::pre_active && delivery != Delivery::not_held;
}

#define KEY_COLUMNS \
  "device,role,generation,id,state,delivery,predecessor,kek,transfer,operation,created_at"
#define KEY_ROW                          \
  KEY_COLUMNS                            \
  ",awaiting IS NOT NULL,sealed IS NOT " \
  "NULL,in_doubt_at,confirmed_at,not_held_at,compromised_at"
Key read_key(const sqlite::Query& row) {
  const auto optional_id = [&](int i) {
    return row.is_null(i) ? std::nullopt : std::optional(key_id(row.blob(i)));
  };
  const auto optional_time = [&](int i) {
    return row.is_null(i) ? std::nullopt : std::optional(time(row.integer(i)));
  };
  return {.device = device_id(row.integer(0)),
          .role = static_cast<KeyRole>(row.integer(1)),
          .generation = static_cast<std::uint32_t>(row.integer(2)),
          .id = key_id(row.blob(3)),
          .state = static_cast<KeyState>(row.integer(4)),
          .delivery = static_cast<Delivery>(row.integer(5)),
          .predecessor = optional_id(6),
          .kek = optional_id(7),
          .transfer = static_cast<std::uint32_t>(row.integer(8)),
          .operation = row.text(9),
          .created_at = time(row.integer(10)),
          .awaits_enrolment =
              row.integer(11) != 0 && may_be_admitted(static_cast<KeyState>(row.integer(4)),
                                                      static_cast<Delivery>(row.integer(5))),
          .is_sealed = row.integer(12) != 0,
          .in_doubt_at = optional_time(13),
          .confirmed_at = optional_time(14),
          .not_held_at = optional_time(15),
          .compromised_at = optional_time(16)};
}

Operation read_operation(const sqlite::Query& row) {
  return {.id = row.text(0),
          .kind = row.text(1),
          .device = row.is_null(2) ? std::nullopt : std::optional(device_id(row.integer(2))),
          .digest = hash(row.blob(3)),
          .state = static_cast<OperationState>(row.integer(4)),
          .detail = row.text(5)};
}

TrailEntry read_record(const sqlite::Query& row) {
  std::string leaf = to_hex(row.blob(2));
  std::ranges::transform(leaf, leaf.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return {.index = static_cast<std::uint64_t>(row.integer(0)),
          .bytes = row.text(1),
          .leaf_hash = std::move(leaf)};
}

}  // namespace

bool Registry::is_empty() {
  auto row = database_.query("SELECT count(*) FROM sqlite_master");
  return row.step() && row.integer(0) == 0;
}

void Registry::check_version(const std::filesystem::path& file) {
  auto row = database_.query("PRAGMA user_version");
  if (!row.step() || row.integer(0) != schema_version)
    throw StorageError(file.string() + " is not a registry of this version (" +
                       std::to_string(schema_version) +
                       "); name the right file under registry.database");
}

Registry Registry::create(const std::filesystem::path& file) {
  // Made here, empty and for this user alone; SQLite gives its log files the same mode.
  // One that is there is not touched: closing a descriptor of it would end the locks that this
  // process has on it.
  try {
    (void)create_file(file);
  } catch (const FileError& error) {
    if (error.code() != EEXIST) throw StorageError(std::string("the registry ") + error.what());
  }
  Registry registry(sqlite::Database(file, sqlite::Mode::create));
  {
    sqlite::Transaction transaction(registry.database_);
    if (registry.is_empty()) {  // new, or a process died that had made the file and nothing in it
      registry.database_.execute(schema);
      registry.database_.execute("PRAGMA user_version=4");
    }
    transaction.commit();
  }
  registry.check_version(file);
  return registry;
}

Registry Registry::open(const std::filesystem::path& file, sqlite::Mode mode) {
  const std::string none =
      "there is no registry at " + file.string() + ": 'smets1-kms init' makes one";
  if (!std::filesystem::exists(file)) throw StorageError(none);
  Registry registry(sqlite::Database(file, mode));
  if (registry.is_empty()) throw StorageError(none);
  registry.check_version(file);
  return registry;
}

std::optional<std::string> Registry::setting(std::string_view name) {
  auto row = database_.query("SELECT value FROM setting WHERE name=?");
  row.bind(name);
  return row.step() ? std::optional(row.text(0)) : std::nullopt;
}

void Registry::set_setting(std::string_view name, std::string_view value) {
  database_
      .query("INSERT INTO setting VALUES(?,?) ON CONFLICT(name) DO UPDATE SET value=excluded.value")
      .bind(name)
      .bind(value)
      .run();
}

void Registry::for_each_setting(std::string_view prefix,
                                const std::function<void(const std::string& value)>& visit) {
  auto row =
      database_.query("SELECT value FROM setting WHERE substr(name,1,length(?1))=?1 ORDER BY name");
  row.bind(prefix);
  while (row.step()) visit(row.text(0));
}

#define DEVICE_COLUMNS "id,kind,model,system_title,suite,supports,commissioned_at,status"
std::optional<Device> Registry::device(DeviceId id) {
  auto row = database_.query("SELECT " DEVICE_COLUMNS " FROM device WHERE id=?");
  row.bind(column(id));
  return row.step() ? std::optional(read_device(row)) : std::nullopt;
}

void Registry::add_device(const Device& device) {
  std::int64_t supports = 0;
  for (const auto role : device.supports) supports |= std::int64_t{1} << column(role);
  database_.query("INSERT INTO device(" DEVICE_COLUMNS ") VALUES(?,?,?,?,?,?,?,?)")
      .bind(column(device.id))
      .bind(column(device.kind))
      .bind(device.model)
      .bind(std::span<const std::uint8_t>(device.system_title))
      .bind(column(device.suite))
      .bind(supports)
      .bind(column(device.commissioned_at))
      .bind(column(device.status))
      .run();
}

void Registry::for_each_device(const std::function<void(const Device&)>& visit) {
  auto row = database_.query("SELECT " DEVICE_COLUMNS " FROM device ORDER BY id");
  while (row.step()) visit(read_device(row));
}

std::vector<Device> Registry::devices_after(std::optional<DeviceId> after, std::size_t most) {
  std::vector<Device> devices;
  if (after && column(*after) == INT64_MAX) return devices;
  auto row =
      database_.query("SELECT " DEVICE_COLUMNS " FROM device WHERE id>=? ORDER BY id LIMIT ?");
  row.bind(after ? column(*after) + 1 : INT64_MIN).bind(static_cast<std::int64_t>(most));
  while (row.step()) devices.push_back(read_device(row));
  return devices;
}

std::vector<Key> Registry::keys(DeviceId device) {
  auto row = database_.query("SELECT " KEY_ROW " FROM key WHERE device=? ORDER BY role,generation");
  row.bind(column(device));
  std::vector<Key> keys;
  while (row.step()) keys.push_back(read_key(row));
  return keys;
}

void Registry::for_each_key(const std::function<void(const Key&)>& visit) {
  auto row = database_.query("SELECT " KEY_ROW " FROM key ORDER BY device,role,generation");
  while (row.step()) visit(read_key(row));
}

void Registry::add_key(const Key& key) {
  database_.query("INSERT INTO key(" KEY_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?)")
      .bind(column(key.device))
      .bind(column(key.role))
      .bind(std::int64_t{key.generation})
      .bind(std::span<const std::uint8_t>(key.id.raw()))
      .bind(column(key.state))
      .bind(column(key.delivery))
      .bind(column(key.predecessor))
      .bind(column(key.kek))
      .bind(std::int64_t{key.transfer})
      .bind(key.operation)
      .bind(column(key.created_at))
      .run();
}

KeyState Registry::key_state(const Key& key) {
  auto row = database_.query("SELECT state FROM key WHERE device=? AND role=? AND generation=?");
  row.bind(column(key.device)).bind(column(key.role)).bind(std::int64_t{key.generation});
  return row.step() ? static_cast<KeyState>(row.integer(0)) : KeyState::none;
}

void Registry::update_key(const Key& key, const std::optional<Bytes>& wrapped) {
  const auto optional_time = [](const std::optional<Time>& at) {
    return at ? std::optional(column(*at)) : std::nullopt;
  };
  database_
      .query(
          "UPDATE key SET "
          "state=?4,delivery=?5,created_at=?6,wrapped=coalesce(?7,wrapped),in_doubt_at=?8,"
          "confirmed_at=?9,not_held_at=?10,compromised_at=?11 "
          "WHERE device=?1 AND role=?2 AND generation=?3")
      .bind(column(key.device))
      .bind(column(key.role))
      .bind(std::int64_t{key.generation})
      .bind(column(key.state))
      .bind(column(key.delivery))
      .bind(column(key.created_at))
      .bind(wrapped ? std::optional(std::span<const std::uint8_t>(*wrapped)) : std::nullopt)
      .bind(optional_time(key.in_doubt_at))
      .bind(optional_time(key.confirmed_at))
      .bind(optional_time(key.not_held_at))
      .bind(optional_time(key.compromised_at))
      .run();
}

Bytes Registry::wrapped(const Key& key) {
  auto row = database_.query("SELECT wrapped FROM key WHERE device=? AND role=? AND generation=?");
  row.bind(column(key.device)).bind(column(key.role)).bind(std::int64_t{key.generation});
  if (!row.step()) return {};
  return {row.blob(0).begin(), row.blob(0).end()};
}

void Registry::forget_wrapped(const Key& key) {
  database_
      .query("UPDATE key SET wrapped=NULL,awaiting=NULL WHERE device=? AND role=? AND generation=?")
      .bind(column(key.device))
      .bind(column(key.role))
      .bind(std::int64_t{key.generation})
      .run();
}

void Registry::set_awaiting(const Key& key, const std::optional<Bytes>& sealed) {
  database_.query("UPDATE key SET awaiting=?4 WHERE device=?1 AND role=?2 AND generation=?3")
      .bind(column(key.device))
      .bind(column(key.role))
      .bind(std::int64_t{key.generation})
      .bind(sealed ? std::optional(std::span<const std::uint8_t>(*sealed)) : std::nullopt)
      .run();
}

Bytes Registry::awaiting(const Key& key) {
  auto row = database_.query("SELECT awaiting FROM key WHERE device=? AND role=? AND generation=?");
  row.bind(column(key.device)).bind(column(key.role)).bind(std::int64_t{key.generation});
  if (!row.step()) return {};
  return {row.blob(0).begin(), row.blob(0).end()};
}

std::vector<Key> Registry::waiting_keys() {
  auto row = database_.query("SELECT " KEY_ROW " FROM key WHERE awaiting IS NOT NULL");
  std::vector<Key> keys;
  while (row.step()) keys.push_back(read_key(row));
  return keys;
}

void Registry::drop_planned_key(const Key& key) {
  database_.query("DELETE FROM key WHERE device=? AND role=? AND generation=? AND state=0")
      .bind(column(key.device))
      .bind(column(key.role))
      .bind(std::int64_t{key.generation})
      .run();
}

void Registry::detach_from_operation(const Key& key) {
  database_
      .query(
          "UPDATE key SET operation=operation||'/settled' WHERE device=? AND role=? AND "
          "generation=?")
      .bind(column(key.device))
      .bind(column(key.role))
      .bind(std::int64_t{key.generation})
      .run();
}

std::vector<Key> Registry::keys_of_operation(const std::string& operation,
                                             std::optional<DeviceId> device) {
  std::vector<Key> keys;
  auto row =
      device
          ? database_.query("SELECT " KEY_ROW
                            " FROM key WHERE operation=?1 AND device=?2 ORDER BY transfer,role")
          : database_.query("SELECT " KEY_ROW " FROM key WHERE operation=?1 ORDER BY device,role");
  row.bind(operation);
  if (device) row.bind(column(*device));
  while (row.step()) keys.push_back(read_key(row));
  return keys;
}

#define OPERATION_COLUMNS "id,kind,device,digest,state,detail"
std::optional<Operation> Registry::operation(const std::string& id) {
  auto row = database_.query("SELECT " OPERATION_COLUMNS " FROM operation WHERE id=?");
  row.bind(id);
  return row.step() ? std::optional(read_operation(row)) : std::nullopt;
}

void Registry::put_operation(const Operation& operation) {
  database_.query("INSERT OR REPLACE INTO operation(" OPERATION_COLUMNS ") VALUES(?,?,?,?,?,?)")
      .bind(operation.id)
      .bind(operation.kind)
      .bind(operation.device ? std::optional(column(*operation.device)) : std::nullopt)
      .bind(std::span<const std::uint8_t>(operation.digest))
      .bind(column(operation.state))
      .bind(operation.detail)
      .run();
}

void Registry::end_operation(const std::string& id, OperationState state) {
  database_.query("UPDATE operation SET state=? WHERE id=?").bind(column(state)).bind(id).run();
}

std::vector<Operation> Registry::open_operations(std::string_view kind) {
  auto row = database_.query("SELECT " OPERATION_COLUMNS
                             " FROM operation WHERE state=0 AND (kind=?1 OR ?1='') ORDER BY id");
  row.bind(kind);
  std::vector<Operation> open;
  while (row.step()) open.push_back(read_operation(row));
  return open;
}

DeviceHead Registry::head(DeviceId device) {
  auto row = database_.query("SELECT sequence,record,leaf FROM device_head WHERE device=?");
  row.bind(column(device));
  if (!row.step()) return {};
  return {.sequence = static_cast<std::uint64_t>(row.integer(0)),
          .record = row.integer(1),
          .leaf = hash(row.blob(2))};
}

void Registry::set_head(DeviceId device, const DeviceHead& head) {
  database_
      .query(
          "INSERT INTO device_head VALUES(?,?,?,?) ON CONFLICT(device) DO UPDATE SET "
          "sequence=excluded.sequence,record=excluded.record,leaf=excluded.leaf")
      .bind(column(device))
      .bind(static_cast<std::int64_t>(head.sequence))
      .bind(head.record)
      .bind(std::span<const std::uint8_t>(head.leaf))
      .run();
}

void Registry::append_record(std::int64_t index, std::string_view bytes, const Hash& leaf,
                             std::int64_t previous) {
  database_.query("INSERT INTO record(idx,bytes,leaf,previous) VALUES(?,?,?,?)")
      .bind(index)
      .bind(bytes)
      .bind(std::span<const std::uint8_t>(leaf))
      .bind(previous >= 0 ? std::optional(previous) : std::nullopt)
      .run();
}

std::optional<TrailEntry> Registry::record(std::int64_t index) {
  auto row = database_.query("SELECT idx,bytes,leaf FROM record WHERE idx=?");
  row.bind(index);
  return row.step() ? std::optional(read_record(row)) : std::nullopt;
}

std::optional<TrailEntry> Registry::last_record() {
  auto row = database_.query("SELECT idx,bytes,leaf FROM record ORDER BY idx DESC LIMIT 1");
  return row.step() ? std::optional(read_record(row)) : std::nullopt;
}

std::vector<TrailEntry> Registry::trail(DeviceId device) {
  std::vector<TrailEntry> entries;
  for (std::int64_t index = head(device).record; index >= 0;) {
    auto row = database_.query("SELECT idx,bytes,leaf,previous FROM record WHERE idx=?");
    row.bind(index);
    if (!row.step())
      throw StorageError("record " + std::to_string(index) +
                         " of the trail is missing: the registry is damaged; restore it");
    entries.push_back(read_record(row));
    index = row.is_null(3) ? -1 : row.integer(3);
  }
  std::ranges::reverse(entries);
  return entries;
}

void Registry::for_each_record(const std::function<void(const TrailEntry&)>& visit) {
  auto row = database_.query("SELECT idx,bytes,leaf FROM record ORDER BY idx");
  while (row.step()) visit(read_record(row));
}

}  // namespace smets1kms::registry
