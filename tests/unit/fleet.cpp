// SPDX-License-Identifier: Apache-2.0
// The readers of the registry: pages, damage, many of them beside a writer.
#include <algorithm>
#include <atomic>
#include <thread>
#include <unordered_set>

#include "unit/fleet_world.hpp"

using namespace test;

namespace {

/// Every item of a list in pages; each page but the last has `most`.
template <class Item, class Page, class Cursor>
std::vector<Item> all_of(std::size_t most, const Page& page, const Cursor& cursor) {
  std::vector<Item> all;
  decltype(std::optional(cursor(std::declval<const Item&>()))) after;
  for (;;) {
    auto items = page(after, most);
    CHECK(items.size() <= most);
    all.insert(all.end(), items.begin(), items.end());
    if (items.size() < most) return all;
    after = cursor(items.back());
  }
}

}  // namespace

TEST_CASE("devices, keys, storage and records come in pages, whole and in order") {
  World world;
  const std::uint64_t last = ~std::uint64_t{0} >> 1;  // the last in the registry's order
  for (const std::uint64_t number : {std::uint64_t{1} << 63, ~std::uint64_t{0}, std::uint64_t{0},
                                     std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{77}, last}) {
    const auto id = world.add_device(number);
    for (const auto role : {KeyRole::guek, KeyRole::gak})
      world.add_key(id, role, KeyState::active, Delivery::confirmed);
    const auto kek = world.registry.keys(id).back();
    KeyId::Raw storage{};
    storage[0] = static_cast<std::uint8_t>(number % 3);
    world.registry.set_sealed(
        kek, {.under = KeyId(storage), .blob = Bytes(24, 1), .mac = Bytes(16, 2)}, 0);
  }
  const auto one = DeviceId::from_number(1);
  world.add_records(one, 5);
  world.add_records(std::nullopt, 2);
  world.add_records(one, 2);
  const auto fleet = world.fleet();
  CHECK(fleet.device_count() == 7);
  CHECK(fleet.device_count(DeviceStatus::suspended) == 0);
  for (const std::size_t most : {1, 2, 3, 7, 8, 10'000}) {
    CAPTURE(most);
    const auto devices = all_of<Device>(
        most, [&](auto after, auto count) { return fleet.devices(after, count); },
        [](const Device& each) { return each.id; });
    REQUIRE(devices.size() == 7);
    CHECK(devices.front().id.number() == std::uint64_t{1} << 63);
    CHECK(devices.back().id.number() == last);
    const auto histories = all_of<DeviceHistory>(
        most, [&](auto after, auto count) { return fleet.histories(after, count); },
        [](const DeviceHistory& each) { return each.device.id; });
    REQUIRE(histories.size() == 7);
    for (std::size_t i = 0; i < 7; ++i) {
      CHECK(histories[i].device.id == devices[i].id);
      CHECK(histories[i].keys.size() == 3);
      CHECK(histories[i].events.size() == 1);
    }
    const auto keys = all_of<Key>(
        most, [&](const auto& after, auto count) { return fleet.keys(after, count); },
        [](const Key& each) { return each.ref(); });
    REQUIRE(keys.size() == 21);
    std::unordered_set<KeyRef> refs;
    std::unordered_set<KeyId> ids;
    std::unordered_set<DeviceId> of_devices;
    for (const auto& key : keys) {
      refs.insert(key.ref());
      ids.insert(key.id);
      of_devices.insert(key.device);
    }
    CHECK(refs.size() == 21);
    CHECK(ids.size() == 21);
    CHECK(of_devices.size() == 7);
    const auto storage = all_of<StorageUse>(
        most, [&](const auto& after, auto count) { return fleet.storage(after, count); },
        [](const StorageUse& each) { return each.id; });
    REQUIRE(storage.size() == 3);
    CHECK(storage[0].keys + storage[1].keys + storage[2].keys == 7);
    CHECK(storage[0].role == KeyRole::kek);
    const auto trail = all_of<TrailEntry>(
        most, [&](auto after, auto count) { return fleet.trail(one, after, count); },
        [](const TrailEntry& each) { return each.index; });
    REQUIRE(trail.size() == 7);
    CHECK(std::ranges::is_sorted(trail, {}, &TrailEntry::index));
    CHECK(trail.back().index == 9);  // record 0 names the store
    const auto records = all_of<TrailEntry>(
        most, [&](auto after, auto count) { return fleet.records(after ? *after + 1 : 0, count); },
        [](const TrailEntry& each) { return each.index; });
    CHECK(records.size() == 10);
  }
  CHECK(fleet.devices(DeviceId::from_number(last), 5).empty());
  CHECK(fleet.keys(KeyRef{DeviceId::from_number(last), KeyRole::kek, 1}, 5).empty());
  CHECK(fleet.trail(DeviceId::from_number(3), {}, 5).empty());
  CHECK(fleet.trail(one, ~std::uint64_t{0}, 5).empty());
  CHECK(fleet.records(~std::uint64_t{0}, 5).empty());
  CHECK(fleet.last_record()->index == 9);
  CHECK(fleet.keys_in_token() == 14);
  const auto summary = fleet.summary();
  CHECK(summary.records == 10);
  CHECK(summary.keys.at(KeyRole::kek).at(KeyState::active) == 7);
  CHECK(rule_of([&] { (void)fleet.device(DeviceId::from_number(3)); }) == "unknown-device");
  CHECK(rule_of([&] { (void)fleet.history(DeviceId::from_number(3)); }) == "unknown-device");
  for (const std::size_t most : {std::size_t{0}, std::size_t{10'001}, SIZE_MAX}) {
    CHECK_THROWS_AS((void)fleet.devices({}, most), BadInput);
    CHECK_THROWS_AS((void)fleet.waiting("", most), BadInput);
    CHECK_THROWS_AS((void)fleet.due(now, {}, {}, most), BadInput);
    CHECK_THROWS_AS((void)fleet.upcoming(now, most, nullptr), BadInput);
  }
}

TEST_CASE("an operation and the keys that it is about") {
  World world;
  const auto id = world.add_device(1);
  const auto made = world.add_key(id, KeyRole::guek, KeyState::active, Delivery::confirmed);
  world.registry.put_operation(
      {.id = made.operation, .kind = "rotate", .device = id, .digest = {}});
  const std::vector<KeyRef> ended{{id, KeyRole::guek, 1}, {id, KeyRole::kek, 1}};
  world.registry.put_operation({.id = "end",
                                .kind = "key.destroy",
                                .device = {},
                                .digest = {},
                                .state = OperationState::failed},
                               ended);
  const auto fleet = world.fleet();
  const auto rotation = fleet.operation(made.operation);
  CHECK(rotation.kind == "rotate");
  CHECK(rotation.state == OperationState::open);
  CHECK(rotation.device == id);
  CHECK(rotation.keys == std::vector{KeyRef{id, KeyRole::guek, 1}, KeyRef{id, KeyRole::kek, 1}});
  const auto destruction = fleet.operation("end");
  CHECK(to_string(destruction.state) == "failed");
  CHECK_FALSE(destruction.device.has_value());
  CHECK(destruction.keys == ended);
  CHECK(rule_of([&] { (void)fleet.operation("none"); }) == "unknown-operation");
}

TEST_CASE("field case D5: a suite that there is not is damage, told by every reader") {
  World world;
  const auto id = world.add_device(1);
  world.add_device(2);
  const auto fleet = world.fleet();
  world.registry.database().execute("UPDATE device SET suite=4 WHERE id=1");
  const auto told_of = [&](auto work) {
    return contains(message_of<StorageError>(work), "4 as suite: it is damaged");
  };
  CHECK(told_of([&] { (void)fleet.device(id); }));
  CHECK(told_of([&] { (void)fleet.devices({}, 10); }));
  CHECK(told_of([&] { (void)fleet.histories({}, 10); }));
  CHECK(told_of([&] { (void)fleet.due(now, {}, {}, 10); }));
  CHECK(told_of([&] { (void)fleet.upcoming(now, 10, nullptr); }));
  CHECK_NOTHROW((void)fleet.device(DeviceId::from_number(2)));
}

TEST_CASE("a registry of no policy, and none at all") {
  World world;
  Config config;
  config.database = world.scratch.path("none.db");
  CHECK(contains(message_of<StorageError>([&] { (void)Fleet::open(config); }), "init"));
  config.database = world.scratch.path("registry.db");
  config.policy_site = world.scratch.write("site.toml", "version = 1\neditions = [\"x\"]\n");
  CHECK_THROWS_AS((void)Fleet::open(config), BadFile);
}

TEST_CASE("many readers beside a writer: each sees whole states, and may ask again meanwhile") {
  World world;
  const auto first = world.add_device(1);
  std::atomic<bool> stop = false;
  std::atomic<int> pages = 0;
  std::optional<Fleet> fleet;
  std::atomic<int> asked_meanwhile = 0;
  world.callbacks.progress = [&](const Progress& progress) {
    CHECK(progress.done <= 600);
    (void)fleet->device(first);  // no lock of the library is held
    ++asked_meanwhile;
  };
  fleet.emplace(world.fleet());
  const auto read = [&] {
    while (!stop) {
      std::size_t keys = 0;
      for (const auto& each : fleet->histories({}, 10'000)) {
        // A device comes with its keys, in one transaction.
        if (each.device.id != first && each.keys.size() != 2) return;
        keys += each.keys.size();
      }
      (void)fleet->waiting("", 100);
      (void)fleet->due(now, {}, {}, 100);
      (void)fleet->upcoming(now, 3, nullptr);
      if (fleet->summary().keys.empty()) return;
      ++pages;
    }
    ++pages;
  };
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) readers.emplace_back(read);
  for (std::uint64_t i = 2; i <= 600; ++i) {
    sqlite::Transaction transaction(world.registry.database());
    const auto id = world.add_device(i);
    world.add_key(id, KeyRole::gak, KeyState::pre_active, Delivery::released);
    transaction.commit();
  }
  while (pages < 8) std::this_thread::yield();
  stop = true;
  for (auto& each : readers) each.join();
  CHECK(pages >= 12);  // none of them gave up
  CHECK(fleet->waiting("", 1000).items.size() == 599);
  CHECK(asked_meanwhile > 0);
}

TEST_CASE("no reader keeps the write-ahead log from being emptied") {
  World world;
  const auto id = world.add_device(1);
  const auto key = world.add_key(id, KeyRole::guek, KeyState::deactivated, Delivery::confirmed);
  const auto fleet = world.fleet();
  const auto page = fleet.keys({}, 1);
  const auto waiting = fleet.waiting("", 1);
  (void)fleet.summary();
  try {  // a callback that throws in the middle of a list
    world.callbacks.progress = [](const Progress&) { throw std::runtime_error("the host's"); };
    const auto other = world.fleet();
    sqlite::Transaction transaction(world.registry.database());
    for (std::uint64_t i = 2; i <= 600; ++i) world.add_device(i);
    transaction.commit();
    (void)other.upcoming(now, 1, nullptr);
    CHECK(false);
  } catch (const std::runtime_error& error) {
    CHECK(std::string(error.what()) == "the host's");
  }
  world.registry.forget_wrapped(key);
  CHECK(world.registry.database().empty_log());
  CHECK(std::filesystem::file_size(world.scratch.path("registry.db-wal")) == 0);
  CHECK(fleet.keys({}, 10).size() == 10);
}
