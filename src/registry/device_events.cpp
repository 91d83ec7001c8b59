// SPDX-License-Identifier: Apache-2.0
#include "registry/registry.hpp"

namespace smets1kms::registry {
namespace {

std::int64_t column(DeviceId id) { return static_cast<std::int64_t>(id.number()); }

}  // namespace

void Registry::set_status(DeviceId device, DeviceStatus status) {
  database_.query("UPDATE device SET status=?2 WHERE id=?1")
      .bind(column(device))
      .bind(static_cast<std::int64_t>(status))
      .run();
}

std::vector<DeviceEvent> Registry::events(DeviceId device) {
  auto row =
      database_.query("SELECT change,at,record FROM device_event WHERE device=? ORDER BY seq");
  row.bind(column(device));
  std::vector<DeviceEvent> events;
  while (row.step())
    events.push_back({static_cast<DeviceChange>(row.integer(0)),
                      {.at = Time(std::chrono::milliseconds(row.integer(1))),
                       .record = static_cast<std::uint64_t>(row.integer(2))}});
  return events;
}

void Registry::add_event(DeviceId device, const DeviceEvent& event) {
  database_
      .query(
          "INSERT INTO device_event SELECT ?1,coalesce(max(seq),0)+1,?2,?3,?4 FROM device_event "
          "WHERE device=?1")
      .bind(column(device))
      .bind(static_cast<std::int64_t>(event.change))
      .bind(std::int64_t{event.moment.at.time_since_epoch().count()})
      .bind(static_cast<std::int64_t>(event.moment.record.value_or(0)))
      .run();
}

}  // namespace smets1kms::registry
