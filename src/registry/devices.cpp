// SPDX-License-Identifier: Apache-2.0
#include "registry/columns.hpp"

namespace smets1kms::registry {
namespace {

#define DEVICE_COLUMNS "id,kind,model,system_title,suite,supports,commissioned_at,status"

Device read_device(const sqlite::Query& row) {
  Device device{.id = device_id(row.integer(0)),
                .kind = read<DeviceKind>(row, 1),
                .model = row.text(2),
                .system_title = bytes(row.blob(3)),
                .suite = read<SecuritySuite>(row, 4),
                .supports = {},
                .commissioned_at = time(row.integer(6)),
                .status = read<DeviceStatus>(row, 7)};
  const auto supports = read<std::uint8_t>(row, 5);
  if (supports >> all_roles.size() != 0) fail_damaged("roles that there are not");
  for (const auto role : all_roles)
    if (supports >> column(role) & 1) device.supports.push_back(role);
  return device;
}

}  // namespace

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
      .bind(column(device.system_title))
      .bind(column(device.suite))
      .bind(supports)
      .bind(column(device.commissioned_at))
      .bind(column(device.status))
      .run();
}

std::vector<Device> Registry::devices_after(std::optional<DeviceId> after, std::size_t most) {
  std::vector<Device> devices;
  if (after && column(*after) == INT64_MAX) return devices;
  auto row =
      database_.query("SELECT " DEVICE_COLUMNS " FROM device WHERE id>=? ORDER BY id LIMIT ?");
  row.bind(after ? column(*after) + 1 : INT64_MIN).bind(limit(most));
  while (row.step()) devices.push_back(read_device(row));
  return devices;
}

std::uint64_t Registry::device_count() {
  auto row = database_.query("SELECT count(*) FROM device");
  row.step();
  return read<std::uint64_t>(row, 0);
}

std::size_t Registry::device_count(DeviceStatus status) {
  auto row = database_.query("SELECT count(*) FROM device WHERE status=?");
  row.bind(column(status)).step();
  return read<std::size_t>(row, 0);
}

void Registry::set_status(DeviceId device, DeviceStatus status) {
  database_.query("UPDATE device SET status=?2 WHERE id=?1")
      .bind(column(device))
      .bind(column(status))
      .run();
}

std::vector<DeviceEvent> Registry::events(DeviceId device) {
  auto row =
      database_.query("SELECT change,at,record FROM device_event WHERE device=? ORDER BY seq");
  row.bind(column(device));
  std::vector<DeviceEvent> events;
  while (row.step())
    events.push_back({read<DeviceChange>(row, 0),
                      {.at = time(row.integer(1)), .record = read<std::uint64_t>(row, 2)}});
  return events;
}

void Registry::add_event(DeviceId device, const DeviceEvent& event) {
  database_
      .query(
          "INSERT INTO device_event SELECT ?1,coalesce(max(seq),0)+1,?2,?3,?4 FROM device_event "
          "WHERE device=?1")
      .bind(column(device))
      .bind(column(event.change))
      .bind(column(event.moment.at))
      .bind(static_cast<std::int64_t>(event.moment.record.value_or(0)))
      .run();
}

}  // namespace smets1kms::registry
