// SPDX-License-Identifier: Apache-2.0
// Rows of the registry: the keys of operations, and what no row can hold.
#include <span>

#include "audit/hash.hpp"
#include "registry/handover_tables.hpp"
#include "unit/fleet_world.hpp"

using namespace test;

TEST_CASE("operations are found by their id; a failed one gives its id free") {
  World world;
  auto& made = world.registry;
  const auto digest = audit::sha256("request");
  CHECK_FALSE(made.operation("op").has_value());
  made.put_operation({.id = "op",
                      .kind = "rotate",
                      .device = DeviceId::from_number(~std::uint64_t{0}),
                      .digest = digest,
                      .state = OperationState::open,
                      .detail = "d"});
  made.put_operation({.id = "fleet",
                      .kind = "import",
                      .device = {},
                      .digest = digest,
                      .state = OperationState::done});
  const auto back = made.operation("op");
  REQUIRE(back.has_value());
  CHECK(back->kind == "rotate");
  CHECK(back->device == DeviceId::from_number(~std::uint64_t{0}));
  CHECK(back->digest == digest);
  CHECK(back->detail == "d");
  CHECK_FALSE(made.operation("fleet")->device.has_value());
  CHECK(made.open_operations().size() == 1);
  made.end_operation("op", OperationState::failed, 7);
  CHECK(made.open_operations().empty());
  CHECK(made.operation("op")->state == OperationState::failed);
  CHECK(made.operation("op")->outcome == 7);
  made.put_operation({.id = "op", .kind = "key.destroy", .device = {}, .digest = digest});
  CHECK(made.operation("op")->kind == "key.destroy");
  CHECK(made.open_operations().size() == 1);
}

TEST_CASE("an operation lists the keys that it is about, and a key finds the open one") {
  World world;
  auto& made = world.registry;
  const auto id = DeviceId::from_number(~std::uint64_t{0});
  std::vector<KeyRef> refs;
  for (const auto role : {KeyRole::guek, KeyRole::gak, KeyRole::kek}) {
    refs.push_back(world.add_key(id, role, KeyState::active, Delivery::confirmed).ref());
  }
  const registry::Operation operation{
      .id = "op", .kind = "key.destroy", .device = {}, .digest = {}};
  made.put_operation(operation, std::span(refs).first(2));
  REQUIRE(made.listed_keys("op").size() == 2);
  CHECK(made.listed_keys("op")[1].ref() == refs[1]);
  CHECK(made.listed_keys("other").empty());
  CHECK(made.is_listed_by_open("key.destroy", refs[0]));
  CHECK_FALSE(made.is_listed_by_open("key.enrol", refs[0]));
  CHECK_FALSE(made.is_listed_by_open("key.destroy", refs[2]));
  made.end_operation("op", OperationState::failed, 7);
  CHECK_FALSE(made.is_listed_by_open("key.destroy", refs[0]));
  CHECK(made.listed_keys("op").size() == 2);
  made.put_operation(operation, std::span(refs).last(1));  // in its place, with other keys
  REQUIRE(made.listed_keys("op").size() == 1);
  CHECK(made.is_listed_by_open("key.destroy", refs[2]));
  CHECK_FALSE(made.is_listed_by_open("key.destroy", refs[0]));
  CHECK_FALSE(made.operation("op")->before_gap);
  made.mark_open_operations_before_gap();
  CHECK(made.operation("op")->before_gap);
  made.put_operation(operation);  // begun anew: nothing of it is older than the gap
  CHECK_FALSE(made.operation("op")->before_gap);
}

TEST_CASE("a row that no registry of ours can hold is damage, not an undefined value") {
  World world;
  auto& made = world.registry;
  const auto id = world.add_device(1, now, false);
  world.add_key(id, KeyRole::guek, KeyState::active, Delivery::confirmed);
  registry::HandoverTables targets(made.database());
  targets.add_target({.info = {.name = "headend",
                               .generation = 1,
                               .id = KeyId::random(),
                               .roles = {KeyRole::guek},
                               .before_transfer = false,
                               .hash = "SHA-1",
                               .fingerprint = {},
                               .status = TargetStatus::admitted,
                               .admitted_at = now},
                      .certificate = {1},
                      .record = 0});
  targets.add({.key = {id, KeyRole::guek, 1},
               .target = "headend",
               .target_generation = 1,
               .wrapped = {1, 2},
               .received_at = {}});
  made.put_operation({.id = "op", .kind = "rotate", .device = id, .digest = {}});
  const struct {
    const char *change, *undo, *what;
  } cases[] = {
      {"UPDATE device SET suite=4", "UPDATE device SET suite=2", "4 as suite"},
      {"UPDATE device SET kind=-1", "UPDATE device SET kind=0", "-1 as kind"},
      {"UPDATE device SET status=4", "UPDATE device SET status=0", "4 as status"},
      {"UPDATE device SET supports=16", "UPDATE device SET supports=9", "roles"},
      {"UPDATE device_event SET change=5", "UPDATE device_event SET change=0", "5 as change"},
      {"UPDATE key SET role=4", "UPDATE key SET role=0", "4 as role"},
      {"UPDATE key SET state=8", "UPDATE key SET state=0", "8 as state"},
      {"UPDATE key SET delivery=7", "UPDATE key SET delivery=0", "7 as delivery"},
      {"UPDATE key SET generation=4294967296", "UPDATE key SET generation=1", "as generation"},
      {"UPDATE key SET transfer=-1", "UPDATE key SET transfer=1", "as transfer"},
      {"UPDATE key SET kek=x'00'", "UPDATE key SET kek=NULL", "a key id of 1 bytes"},
      {"UPDATE target SET status=4", "UPDATE target SET status=0", "4 as status"},
      {"UPDATE target SET roles=256", "UPDATE target SET roles=1", "256 as roles"},
      {"UPDATE target SET keep=2", "UPDATE target SET keep=0", "2 as keep"},
      {"UPDATE target SET id=x'00'", "UPDATE target SET id=zeroblob(16)", "a key id of 1 bytes"},
      {"UPDATE handover SET role=4", "UPDATE handover SET role=0", "4 as role"},
      {"UPDATE handover SET target_generation=-1", "UPDATE handover SET target_generation=1",
       "-1 as target_generation"},
      {"UPDATE operation SET state=3", "UPDATE operation SET state=0", "3 as state"},
      {"UPDATE operation SET digest=x''", "UPDATE operation SET digest=zeroblob(32)",
       "a hash of 0 bytes"},
  };
  const auto read_all = [&] {
    (void)made.device(id);
    (void)made.events(id);
    (void)made.keys(id);
    (void)made.operation("op");
    (void)registry::HandoverTables(made.database()).targets();
    (void)registry::HandoverTables(made.database()).stored({}, {}, 10);
  };
  for (const auto& [change, undo, what] : cases) {
    CAPTURE(change);
    made.database().execute(change);
    const auto message = message_of<StorageError>(read_all);
    CHECK(contains(message, what));
    CHECK(contains(message, "damaged"));
    made.database().execute(undo);
    CHECK_NOTHROW(read_all());
  }
  for (const char* change : {"UPDATE device SET status=9", "UPDATE key SET state=9"}) {
    made.database().execute(change);
    CHECK(contains(message_of<StorageError>([&] { (void)made.summary(); }), "damaged"));
    made.database().execute("UPDATE device SET status=0");
  }
}
