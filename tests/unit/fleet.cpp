// SPDX-License-Identifier: Apache-2.0
// The readers of the registry: pages, what waits, what is due, beside a writer.
#include "smets1kms/fleet.hpp"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <unordered_set>

#include "audit/record.hpp"
#include "registry/registry.hpp"
#include "smets1kms/errors.hpp"
#include "support/expect.hpp"
#include "trail/record_writer.hpp"
#include "unit/scratch.hpp"

using namespace smets1kms;
using registry::Registry;
using test::contains;
using test::message_of;
using test::rule_of;
using namespace std::chrono_literals;

namespace {

const Time now = parse_time("2026-11-22T12:00:00.000Z");

/// A registry, what writes to it, and how its readers are opened.
struct World {
  test::Scratch scratch;
  Registry registry = Registry::create(scratch.path("registry.db"));
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
  DeviceId add_device(std::uint64_t number, Time commissioned = now, bool with_kek = true) {
    const auto id = DeviceId::from_number(number);
    registry.add_device({.id = id,
                         .kind = DeviceKind::esme,
                         .model = "NOW",
                         .system_title = {1, 2, 3, 4, 5, 6, 7, 8},
                         .suite = SecuritySuite::suite_0,
                         .supports = {KeyRole::guek, KeyRole::gak, KeyRole::kek},
                         .commissioned_at = commissioned,
                         .status = DeviceStatus::commissioned});
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
      trail.append(record, device);
    }
    trail.end();
  }
};

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

std::vector<WaitingItem> all_waiting(const Fleet& fleet, std::size_t most) {
  std::vector<WaitingItem> all;
  std::string after;
  do {
    auto page = fleet.waiting(after, most);
    CHECK(page.items.size() <= most);
    CHECK((page.next.empty() || page.items.size() == most));
    all.insert(all.end(), page.items.begin(), page.items.end());
    after = page.next;
  } while (!after.empty());
  return all;
}

std::string told(const WaitingItem& item) {
  std::string text(to_string(item.kind));
  if (item.key)
    text += " " + std::to_string(item.key->device.number()) + "/" +
            std::string(to_string(item.key->role)) + "/" + std::to_string(item.key->generation);
  return text + (item.key ? "" : " " + item.operation_id);
}

/// Counts the steps that SQLite's virtual machine takes on connections that are opened meanwhile.
class Steps {
 public:
  Steps() { sqlite3_auto_extension(reinterpret_cast<void (*)()>(attach)); }
  ~Steps() { sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(attach)); }
  [[nodiscard]] static long taken() { return taken_.exchange(0); }

 private:
  static int attach(sqlite3* handle, char**, const void*) {
    return sqlite3_trace_v2(handle, SQLITE_TRACE_PROFILE, ended, nullptr);
  }
  static int ended(unsigned, void*, void* statement, void*) {
    taken_ +=
        sqlite3_stmt_status(static_cast<sqlite3_stmt*>(statement), SQLITE_STMTSTATUS_VM_STEP, 1);
    return 0;
  }
  static inline std::atomic<long> taken_ = 0;
};

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
    CHECK(trail.back().index == 8);
    const auto records = all_of<TrailEntry>(
        most, [&](auto after, auto count) { return fleet.records(after ? *after + 1 : 0, count); },
        [](const TrailEntry& each) { return each.index; });
    CHECK(records.size() == 9);
  }
  CHECK(fleet.devices(DeviceId::from_number(last), 5).empty());
  CHECK(fleet.keys(KeyRef{DeviceId::from_number(last), KeyRole::kek, 1}, 5).empty());
  CHECK(fleet.trail(DeviceId::from_number(3), {}, 5).empty());
  CHECK(fleet.trail(one, ~std::uint64_t{0}, 5).empty());
  CHECK(fleet.records(~std::uint64_t{0}, 5).empty());
  CHECK(fleet.last_record()->index == 8);
  CHECK(fleet.keys_in_token() == 14);
  const auto summary = fleet.summary();
  CHECK(summary.records == 9);
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

TEST_CASE("what waits: of each kind, with what ends it, by pages of any size") {
  World world;
  const auto a = world.add_device(1), b = world.add_device(~std::uint64_t{0});
  world.add_key(a, KeyRole::guek, KeyState::pre_active, Delivery::released);
  world.add_key(b, KeyRole::gak, KeyState::pre_active, Delivery::released);
  world.add_key(b, KeyRole::guek, KeyState::pre_active, Delivery::in_doubt);
  world.add_key(a, KeyRole::kek, KeyState::pre_active, Delivery::unproven);
  const auto suspected = world.add_key(b, KeyRole::kek, KeyState::compromised, Delivery::unproven);
  const auto admits = world.add_key(a, KeyRole::kek, KeyState::pre_active, Delivery::released);
  const auto not_his = world.add_key(a, KeyRole::kek, KeyState::compromised, Delivery::not_held);
  for (const auto& key : {admits, not_his}) world.registry.set_awaiting(key, Bytes(24, 9));
  // These wait for nobody.
  world.add_key(a, KeyRole::gak, KeyState::destroyed, Delivery::released);
  world.add_key(a, KeyRole::gak, KeyState::none, Delivery::planned);
  for (const auto& [id, state] : {std::pair("z", OperationState::open),
                                  {"b", OperationState::open},
                                  {"c", OperationState::done},
                                  {"d", OperationState::failed}})
    world.registry.put_operation(
        {.id = id, .kind = "rotate", .device = {}, .digest = {}, .state = state});
  const auto fleet = world.fleet();
  const std::vector<std::string> expected{"released 18446744073709551615/gak/1",
                                          "released 1/guek/1",
                                          "released 1/kek/3",
                                          "in-doubt 18446744073709551615/guek/1",
                                          "unproven-kek 18446744073709551615/kek/2",
                                          "unproven-kek 1/kek/2",
                                          "awaits-enrolment 1/kek/3",
                                          "open-operation b",
                                          "open-operation z"};
  for (const std::size_t most : {1, 2, 3, 4, 9, 10, 10'000}) {
    CAPTURE(most);
    std::vector<std::string> found;
    for (const auto& item : all_waiting(fleet, most)) found.push_back(told(item));
    CHECK(found == expected);
  }
  const auto items = fleet.waiting("", 100).items;
  REQUIRE(items.size() == expected.size());
  const char* ends_by[] = {"KeyManager::record_reply",
                           "",
                           "",
                           "KeyManager::resolve",
                           "--under-proven-kek",
                           "rotate the GAK",
                           "smets1-kms enrol",
                           "KeyManager::open",
                           ""};
  for (std::size_t i = 0; i < items.size(); ++i) {
    CHECK(contains(items[i].ends_by, ends_by[i]));
    CHECK_FALSE(items[i].operation_id.empty());
  }
  CHECK(items[0].transfer == 1);
  CHECK(items[0].since == now);
  CHECK(items[3].since == now + 1h);
  CHECK(items[8].since == std::nullopt);
  CHECK(contains(items[4].ends_by, "suspected"));
  CHECK(items[4].key == suspected.ref());
  // A cursor is what a page gave; behind something that has ended it goes on.
  CHECK(fleet.waiting("unproven-kek/00-00-00-00-00-00-00-02/gak/7", 10).items.size() == 3);
  CHECK(fleet.waiting("open-operation/bb", 10).items.size() == 1);
  CHECK(fleet.waiting("open-operation/z", 10).items.empty());
  for (const char* bad : {"x", "released", "released/", "released/1/guek/1", "in-doubt/z/guek/1",
                          "released/00-00-00-00-00-00-00-02/guek/1/", "waits/1/2/3",
                          "released/00-00-00-00-00-00-00-02/guek/x"}) {
    CAPTURE(bad);
    CHECK(
        contains(message_of<BadInput>([&] { (void)fleet.waiting(bad, 1); }), "WaitingPage::next"));
  }
}

TEST_CASE("finding what waits costs what waits, not what there is") {
  long steps[2];
  for (const bool is_large : {false, true}) {
    World world;
    sqlite::Transaction transaction(world.registry.database());
    for (std::uint64_t i = 1; i <= (is_large ? 3000 : 3); ++i) {
      const auto id = world.add_device(i, now, false);
      world.add_key(id, KeyRole::kek, KeyState::active, Delivery::confirmed);
      world.registry.put_operation({.id = "op-" + std::to_string(i),
                                    .kind = "rotate",
                                    .device = id,
                                    .digest = {},
                                    .state = OperationState::done});
    }
    world.add_key(DeviceId::from_number(2), KeyRole::gak, KeyState::pre_active, Delivery::in_doubt);
    transaction.commit();
    const Steps counted;
    const auto fleet = world.fleet();
    (void)Steps::taken();
    CHECK(fleet.waiting("", 100).items.size() == 1);
    steps[is_large ? 1 : 0] = Steps::taken();
  }
  CHECK(steps[0] > 0);
  CHECK(steps[1] <= steps[0] + 10);
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

TEST_CASE("what is due: within, by status, in pages of devices; what comes by itself, in order") {
  World world;
  const auto overdue = world.add_device(1, now - 20 * 24h);
  const auto pending = world.add_device(2, now - 24h);
  const auto met = world.add_device(3, now - 24h);
  for (const auto role : {KeyRole::guek, KeyRole::gak})
    world.add_key(met, role, KeyState::active, Delivery::confirmed, now - 12h);
  const auto contradictory = world.add_device(4);
  world.registry.add_event(contradictory,
                           {DeviceChange::suspended, {.at = now - 30 * 24h, .record = 0}});
  const auto soon = world.add_device(5, now - 6 * 24h);
  const auto no_kek = world.add_device(6, now - 2 * 24h, false);
  const auto fleet = world.fleet();
  CHECK(fleet.now() == now);

  const auto found = [](const DutyPage& page) {
    std::vector<std::uint64_t> devices;
    for (const auto& duty : page.duties) devices.push_back(duty.device.number());
    return devices;
  };
  using Devices = std::vector<std::uint64_t>;
  const auto all = fleet.due(now, {}, {}, 100);
  CHECK(found(all) == Devices{1, 2, 5, 6});
  CHECK(all.devices == 6);
  CHECK_FALSE(all.next.has_value());
  REQUIRE(all.not_judged.size() == 1);
  CHECK(all.not_judged[0].device == contradictory);
  CHECK(contains(all.not_judged[0].why, "order"));
  CHECK(all.counts.at(DutyStatus::overdue) == 1);
  CHECK(all.counts.at(DutyStatus::met) == 1);
  CHECK(all.counts.at(DutyStatus::due_soon) == 1);
  CHECK(all.counts.at(DutyStatus::pending) == 2);
  CHECK(found(fleet.due(now, 0ms, {}, 100)) == Devices{1});
  CHECK(found(fleet.due(now, 24h, {}, 100)) == Devices{1, 5});
  CHECK(found(fleet.due(now, 24h - 1ms, {}, 100)) == Devices{1});
  CHECK(found(fleet.due(now, std::chrono::milliseconds::max(), {}, 100)) == Devices{1, 2, 5, 6});
  CHECK(found(fleet.due(now, DutyStatus::met, {}, {}, 100)) == Devices{3});
  CHECK(found(fleet.due(now, DutyStatus::pending, {}, {}, 100)) == Devices{2, 6});
  CHECK(found(fleet.due(now, DutyStatus::pending, 5 * 24h, {}, 100)) == Devices{6});
  CHECK(found(fleet.due(now, DutyStatus::not_applicable, 24h, {}, 100)).empty());
  CHECK(found(fleet.due(now - 365 * 24h, {}, {}, 100)).empty());  // none was commissioned then

  Devices in_pages;
  std::optional<DeviceId> after;
  std::size_t pages = 0;
  for (;; ++pages) {
    const auto page = fleet.due(now, {}, after, 1);
    for (const auto each : found(page)) in_pages.push_back(each);
    if (!(after = page.next)) break;
  }
  CHECK(in_pages == Devices{1, 2, 5, 6});
  CHECK(pages <= 4);

  const auto& late = all.duties[0];
  CHECK(late.device == overdue);
  CHECK(to_string(late.rule) == "P1");
  CHECK(late.edition == "sec-appendix-at");
  CHECK(late.origin == RuleOrigin::regulator);
  CHECK(late.source == "SEC Appendix AT");
  CHECK(late.deadline == now - 13 * 24h);
  CHECK(late.after_hours == late.deadline);
  CHECK(late.due_soon_from == now - 15 * 24h);
  CHECK(late.margin == -13 * 24h);
  CHECK(contains(late.deadline_text, "168 h"));
  CHECK(late.breach);
  CHECK(late.wanted);
  CHECK(late.waits_for == "guek: a rotation; gak: a rotation");
  REQUIRE(late.facts.size() == 1);
  CHECK(late.facts[0].what == "commissioned");
  CHECK(late.roles[0].progress == RoleProgress::none);
  CHECK(all.duties[3].device == no_kek);
  CHECK(contains(all.duties[3].waits_for, "from its manufacturer"));

  const auto of_met = fleet.duties(met, now);
  CHECK(std::ranges::count(of_met, DutyStatus::met, &Duty::status) == 1);
  CHECK(of_met.size() == 3);  // P1 for what it supports and what not, no P2
  CHECK(rule_of([&] { (void)fleet.duties(DeviceId::from_number(9), now); }) == "unknown-device");
  CHECK_THROWS_AS((void)fleet.duties(contradictory, now), BadInput);

  std::vector<NotJudged> not_judged;
  const auto upcoming = fleet.upcoming(now, 100, &not_judged);
  std::vector<std::string> changes;
  for (const auto& each : upcoming)
    changes.push_back(std::to_string(each.duty.device.number()) + " " +
                      std::string(to_string(each.becomes)));
  CHECK(changes == std::vector<std::string>{"5 overdue", "6 due-soon", "2 due-soon", "6 overdue",
                                            "2 overdue"});
  CHECK(upcoming[0].at == now + 24h);
  CHECK(std::ranges::is_sorted(upcoming, {}, &UpcomingChange::at));
  CHECK(not_judged.size() == 1);
  CHECK(upcoming[0].duty.device == soon);
  const auto two = fleet.upcoming(now, 2, nullptr);
  REQUIRE(two.size() == 2);
  CHECK(two[1].at == upcoming[1].at);
  CHECK(fleet.upcoming(now + 10 * 24h, 5, nullptr).empty());
  CHECK(pending.number() == 2);
}

TEST_CASE("a clock that was set back is behind the last record") {
  World world;
  CHECK_FALSE(world.fleet().clock_behind(now).has_value());  // no record yet
  world.add_records(std::nullopt, 1);
  const auto fleet = world.fleet();
  CHECK_FALSE(fleet.clock_behind(now).has_value());
  CHECK(fleet.clock_behind(now - 1ms) == now);
  world.registry.database().execute("UPDATE record SET bytes='nonsense'");
  CHECK(contains(message_of<StorageError>([&] { (void)fleet.clock_behind(now); }), "damaged"));
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
  CHECK(all_waiting(*fleet, 100).size() == 599);
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
