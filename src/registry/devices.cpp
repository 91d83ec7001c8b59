// SPDX-License-Identifier: Apache-2.0
#include "audit/record.hpp"
#include "registry/columns.hpp"

namespace smets1kms::registry {
namespace {

#define DEVICE_COLUMNS                                                                         \
  "id,kind,model,system_title,suite,supports,commissioned_at,status,no_kek_reason,registered," \
  "record"

Device read_device(const sqlite::Query& row) {
  return {.id = device_id(row.integer(0)),
          .kind = read<DeviceKind>(row, 1),
          .model = row.text(2),
          .system_title = bytes(row.blob(3)),
          .suite = read<SecuritySuite>(row, 4),
          .supports = read_roles(row, 5),
          .commissioned_at = row.integer(6) == 0 ? std::optional<Time>{} : time(row.integer(6)),
          .status = read<DeviceStatus>(row, 7),
          .no_kek_reason = row.is_null(8) ? "" : row.text(8),
          .registered = read<std::uint64_t>(row, 9),
          .record = read<std::uint64_t>(row, 10)};
}

/// Reads the time of a record from its bytes.
Time recorded_at(const sqlite::Query& row, int at) try {
  const auto bytes = row.text(at);
  return parse_time(audit::RecordView::parse(bytes).text(audit::Field::time));
} catch (const std::exception& error) {
  fail_damaged(std::string("a record that can't be read (") + error.what() + ")");
}

DeviceId read_id(const sqlite::Query& row) { return device_id(row.integer(0)); }

}  // namespace

std::optional<Device> Registry::device(DeviceId id) {
  return first(query(database_, "SELECT " DEVICE_COLUMNS " FROM device WHERE id=?", id),
               read_device);
}

void Registry::add_device(const Device& device) {
  run(database_, "INSERT INTO device(" DEVICE_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,nullif(?,''),?,?)",
      device.id, device.kind, device.model, device.system_title, device.suite, device.supports,
      device.commissioned_at.value_or(Time{}), device.status, device.no_kek_reason,
      device.registered, device.record);
}

std::vector<Device> Registry::devices_after(std::optional<DeviceId> after, std::size_t most) {
  if (after && column(*after) == INT64_MAX) return {};
  return all(
      query(database_, "SELECT " DEVICE_COLUMNS " FROM device WHERE id>=? ORDER BY id LIMIT ?",
            after ? column(*after) + 1 : INT64_MIN, limit(most)),
      read_device);
}

std::uint64_t Registry::device_count() { return count(database_, "SELECT count(*) FROM device"); }

std::uint64_t Registry::device_count(DeviceStatus status) {
  return count(database_, "SELECT count(*) FROM device WHERE status=?", status);
}

void Registry::set_status(DeviceId device, DeviceStatus status, std::uint64_t record) {
  run(database_, "UPDATE device SET status=?2,record=?3 WHERE id=?1", device, status, record);
}

void Registry::set_commissioned(DeviceId device, Time at) {
  run(database_, "UPDATE device SET commissioned_at=?2 WHERE id=?1", device, at);
}

void Registry::forget_no_kek_reason(DeviceId device) {
  run(database_, "UPDATE device SET no_kek_reason=NULL WHERE id=?", device);
}

std::vector<Device> Registry::devices_without_kek(std::optional<DeviceId> after, std::size_t most) {
  if (after && column(*after) == INT64_MAX) return {};
  return all(
      query(database_,
            "SELECT " DEVICE_COLUMNS
            " FROM device INDEXED BY device_without_kek WHERE no_kek_reason IS NOT NULL AND "
            "status<>? AND id>=? ORDER BY id LIMIT ?",
            DeviceStatus::decommissioned, after ? column(*after) + 1 : INT64_MIN, limit(most)),
      read_device);
}

std::optional<DeviceId> Registry::other_with_title(const Device& device) {
  return first(query(database_, "SELECT id FROM device WHERE system_title=? AND id<>? LIMIT 1",
                     device.system_title, device.id),
               read_id);
}

std::optional<DeviceId> Registry::other_with_kek(DeviceId device, const Hash& wrapped_sha256) {
  return first(
      query(database_, "SELECT device FROM imported_kek WHERE sha256=? AND device<>? LIMIT 1",
            wrapped_sha256, device),
      read_id);
}

void Registry::add_imported_kek(DeviceId device, const Hash& wrapped_sha256) {
  run(database_, "INSERT OR IGNORE INTO imported_kek VALUES(?,?)", wrapped_sha256, device);
}

/// Reads values with their devices, in order and in many short reads, and returns neighbours that
/// have one value.
std::vector<Registry::Pair> Registry::sharing(const char* sql, std::size_t most) {
  constexpr std::int64_t at_once = 50'000;
  std::vector<Pair> found;
  Bytes value;
  auto device = INT64_MIN;
  for (auto rows = at_once; rows == at_once && found.size() < most;) {
    auto row = query(database_, sql, value, device, at_once);
    for (rows = 0; found.size() < most && row.step(); ++rows) {
      const auto next = bytes(row.blob(0));
      if (next == value) found.emplace_back(device_id(device), device_id(row.integer(1)));
      value = next;
      device = row.integer(1);
    }
  }
  return found;
}

std::vector<Registry::Pair> Registry::sharing_title(std::size_t most) {
  return sharing(
      "SELECT system_title,id FROM device WHERE (system_title,id)>(?,?) ORDER BY 1,2 LIMIT ?",
      most);
}

std::vector<Registry::Pair> Registry::sharing_kek(std::size_t most) {
  return sharing(
      "SELECT sha256,device FROM imported_kek WHERE (sha256,device)>(?,?) ORDER BY 1,2 LIMIT ?",
      most);
}

std::vector<DeviceEvent> Registry::events(DeviceId device) {
  return all(query(database_,
                   "SELECT change,at,record,bytes FROM device_event LEFT JOIN record ON "
                   "idx=record WHERE device=? ORDER BY seq",
                   device),
             [](const sqlite::Query& row) {
               return DeviceEvent{read<DeviceChange>(row, 0),
                                  {.at = time(row.integer(1)),
                                   .record = read<std::uint64_t>(row, 2),
                                   .recorded = optional(row, 3, recorded_at)}};
             });
}

void Registry::add_event(DeviceId device, const DeviceEvent& event) {
  run(database_,
      "INSERT INTO device_event SELECT ?1,coalesce(max(seq),0)+1,?2,?3,?4 FROM device_event "
      "WHERE device=?1",
      device, event.change, event.moment.at, event.moment.record.value_or(0));
}

}  // namespace smets1kms::registry
