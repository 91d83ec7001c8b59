// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <doctest/doctest.h>

#include "registry/registry.hpp"
#include "smets1kms/errors.hpp"
#include "smets1kms/fleet.hpp"
#include "support/expect.hpp"
#include "trail/record_writer.hpp"
#include "unit/scratch.hpp"

/// A registry without a token, for tests of its readers.
namespace test {

using namespace smets1kms;
using namespace std::chrono_literals;

inline const Time now = parse_time("2026-11-22T12:00:00.000Z");

/// A registry, what writes to it, and how its readers are opened.
struct World {
  test::Scratch scratch;
  registry::Registry registry = registry::Registry::create(scratch.path("registry.db"));
  Callbacks callbacks = [] {
    Callbacks result;
    result.clock = [] { return now; };
    return result;
  }();

  [[nodiscard]] Fleet fleet() const {
    Config config;
    config.database = scratch.path("registry.db");
    return Fleet::open(config, callbacks);
  }
  DeviceId add_device(std::uint64_t number, Time commissioned = now, bool with_kek = true,
                      const std::string& no_kek_reason = {}) {
    const auto id = DeviceId::from_number(number);
    registry.add_device({.id = id,
                         .kind = DeviceKind::esme,
                         .model = "NOW",
                         .system_title = {1, 2, 3, 4, 5, 6, 7, 8},
                         .suite = SecuritySuite::suite_0,
                         .supports = {KeyRole::guek, KeyRole::gak, KeyRole::kek},
                         .commissioned_at = commissioned,
                         .status = DeviceStatus::commissioned,
                         .no_kek_reason = no_kek_reason});
    registry.add_event(id, {DeviceChange::commissioned, {.at = commissioned, .record = 0}});
    if (with_kek) add_key(id, KeyRole::kek, KeyState::active, Delivery::confirmed, commissioned);
    return id;
  }
  Key add_key(DeviceId device, KeyRole role, KeyState state, Delivery delivery, Time at = now) {
    std::uint32_t generation = 1;
    for (const auto& each : registry.keys(device)) generation += each.role == role ? 1 : 0;
    Key key{.device = device,
            .role = role,
            .generation = generation,
            .id = KeyId::random(),
            .state = KeyState::none,
            .delivery = Delivery::planned,
            .predecessor = {},
            .kek = {},
            .transfer = generation,
            .operation = "op-" + device.to_string(),
            .created_at = at};
    registry.add_key(key);
    key.state = state;
    key.delivery = delivery;
    if (delivery == Delivery::in_doubt || delivery == Delivery::unproven) key.in_doubt_at = at + 1h;
    if (delivery == Delivery::confirmed) key.confirmed_at = at + 1h;
    registry.update_key(key, Bytes(24, 7));
    return key;
  }
  void add_records(std::optional<DeviceId> device, int count, Time at = now) {
    const Clock clock([at] { return at; });
    const auto policy = policy::Policy::shipped();
    trail::RecordWriter trail(registry, clock, policy);
    for (int i = 0; i < count; ++i) {
      auto record = trail.record({.name = "key.generate", .operation_id = "op", .authority = {}},
                                 trail::RecordWriter::Phase::note);
      record.set(audit::Field::result, "refused").set(audit::Field::detail, "in-doubt");
      trail.append(record, device);
    }
    trail.end();
  }
};

}  // namespace test
