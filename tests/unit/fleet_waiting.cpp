// SPDX-License-Identifier: Apache-2.0
// What a person or the service has to see to.
#include <sqlite3.h>

#include <atomic>

#include "unit/fleet_world.hpp"

using namespace test;

namespace {

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
  if (item.kind == WaitingKind::no_usable_kek) text += " " + std::to_string(item.device->number());
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
  for (const std::uint64_t number : {5, 4})
    world.add_device(number, now - 5h, false, "lost & gone");
  // These wait for nobody.
  world.registry.set_status(world.add_device(6, now, false, "lost"), DeviceStatus::decommissioned,
                            1);
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
                                          "open-operation z",
                                          "no-usable-kek 4 ",
                                          "no-usable-kek 5 "};
  for (const std::size_t most : {1, 2, 3, 4, 9, 10, 11, 12, 10'000}) {
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
                           "",
                           "no usable KEK: lost & gone; the import of a fleet file",
                           "Enrolment::import_fleet"};
  for (std::size_t i = 0; i < items.size(); ++i) {
    CHECK(contains(items[i].ends_by, ends_by[i]));
    CHECK(items[i].operation_id.empty() == (items[i].kind == WaitingKind::no_usable_kek));
    CHECK(items[i].device.has_value() == (items[i].kind != WaitingKind::open_operation));
  }
  CHECK(items[0].transfer == 1);
  CHECK(items[0].since == now);
  CHECK(items[3].since == now + 1h);
  CHECK(items[8].since == std::nullopt);
  CHECK(items[9].since == now - 5h);
  CHECK(contains(items[4].ends_by, "suspected"));
  CHECK(items[4].key == suspected.ref());
  // A cursor is what a page gave; behind something that has ended it goes on.
  CHECK(fleet.waiting("unproven-kek/00-00-00-00-00-00-00-02/gak/7", 10).items.size() == 5);
  CHECK(fleet.waiting("open-operation/bb", 10).items.size() == 3);
  CHECK(fleet.waiting("open-operation/z", 10).items.size() == 2);
  CHECK(fleet.waiting("no-usable-kek/00-00-00-00-00-00-00-04", 10).items.size() == 1);
  CHECK(fleet.waiting("no-usable-kek/00-00-00-00-00-00-00-05", 10).items.empty());
  CHECK(fleet.waiting(a).size() == 4);
  CHECK(fleet.waiting(DeviceId::from_number(4)).size() == 1);
  CHECK(fleet.waiting(DeviceId::from_number(6)).empty());
  CHECK(fleet.waiting(DeviceId::from_number(7)).empty());
  for (const char* bad :
       {"x", "released", "released/", "released/1/guek/1", "in-doubt/z/guek/1",
        "released/00-00-00-00-00-00-00-02/guek/1/", "waits/1/2/3",
        "released/00-00-00-00-00-00-00-02/guek/x", "no-usable-kek/", "no-usable-kek/4"}) {
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
    world.add_device(5000, now, false, "lost");
    transaction.commit();
    const Steps counted;
    const auto fleet = world.fleet();
    (void)Steps::taken();
    CHECK(fleet.waiting("", 100).items.size() == 2);
    steps[is_large ? 1 : 0] = Steps::taken();
  }
  CHECK(steps[0] > 0);
  CHECK(steps[1] <= steps[0] + 10);
}
