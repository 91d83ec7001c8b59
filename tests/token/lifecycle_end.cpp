// SPDX-License-Identifier: Apache-2.0
// The end of a key: retire, destroy, compromise.
#include <algorithm>

#include "registry/registry.hpp"
#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;
using audit::Field;

namespace {

KeyRef ref(const Meter& meter, KeyRole role, std::uint32_t generation) {
  return {.device = meter.id(), .role = role, .generation = generation};
}

void destroy(Service& service, std::vector<KeyRef> keys, const std::string& id = {}) {
  service.kms->destroy(keys, both, id);
}

std::string why_not_destroyed(Service& service, std::vector<KeyRef> keys) {
  return rule_of([&] { destroy(service, std::move(keys)); });
}

std::string why_not_retired(Service& service, const KeyRef& key) {
  return rule_of([&] { service.kms->retire(key, both); });
}

}  // namespace

TEST_CASE("a superseded key is destroyed: no object, no blob, the record kept") {
  Service service;
  auto meter = service.commission();
  const auto first = service.rotate_one(meter, KeyRole::guek);
  service.rotate_one(meter, KeyRole::guek);
  const auto key = service.key(meter.id(), KeyRole::guek, 1);
  CHECK(service.objects(key.id) == 1);
  CHECK(service.registry_holds(wrapped_in(first)));

  destroy(service, {ref(meter, KeyRole::guek, 1)}, meter.id().to_string() + ".destroy");
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "destroyed confirmed");
  CHECK(service.key(meter.id(), KeyRole::guek, 1).id == key.id);
  CHECK(service.objects(key.id) == 0);
  CHECK_FALSE(service.registry_holds(wrapped_in(first)));
  const auto trail = service.trail(meter.id());
  const auto &intent = trail[trail.size() - 2], &outcome = trail.back();
  CHECK(intent.text(Field::phase) == "intent");
  CHECK(outcome.text(Field::phase) == "outcome");
  CHECK(outcome.text(Field::detail) == "absence-checked");
  for (const auto* record : {&intent, &outcome}) {
    CHECK(record->text(Field::op) == "key.destroy");
    CHECK(record->text(Field::state_from) == "deactivated");
    CHECK(record->text(Field::state_to) == "destroyed");
    CHECK(record->text(Field::authorised_by) == both.authorised_by);
  }

  // Again under the same id: done. Under another: there is nothing to destroy. What needs the key
  // is refused.
  destroy(service, {ref(meter, KeyRole::guek, 1)}, meter.id().to_string() + ".destroy");
  CHECK(service.trail(meter.id()).size() == trail.size());
  CHECK(why_not_destroyed(service, {ref(meter, KeyRole::guek, 1)}) == "illegal-transition");
  CHECK(why_not_retired(service, ref(meter, KeyRole::guek, 1)) == "illegal-transition");
  CHECK(rule_of([&] { (void)service.kms->prove(ref(meter, KeyRole::guek, 1), Bytes(16)); }) ==
        "destroyed");
  CHECK(service.same_key(meter, KeyRole::guek, 2));
}

TEST_CASE("a reader keeps the write-ahead log: it is said, and emptied once he has ended") {
  Service service;
  auto meter = service.commission();
  for (int i = 0; i < 2; ++i) service.rotate_one(meter, KeyRole::guek);
  service.kms.reset();
  std::vector<std::string> said;
  auto callbacks = service.callbacks();
  callbacks.log = [&](const LogEvent& event) { said.push_back(event.text); };
  const auto database = service.config().database;
  auto reader = registry::Registry::open(database, sqlite::Mode::read_only);
  {
    auto kms = KeyManager::open(service.config(), callbacks);
    {
      const sqlite::ReadTransaction view(reader.database());
      (void)reader.keys(meter.id());
      const KeyRef old{meter.id(), KeyRole::guek, 1};
      kms.destroy(std::span(&old, 1), both);
    }
    REQUIRE(said.size() == 1);
    CHECK(contains(said.front(), "a reader keeps " + database.string() + "-wal open"));
    CHECK(std::filesystem::file_size(database.string() + "-wal") > 0);
  }
  CHECK(std::filesystem::file_size(database.string() + "-wal") ==
        0);  // the reader is still there, and so is the file
}

TEST_CASE("the wrapped blob of a key that still lives stays") {
  Service service;
  auto meter = service.commission();
  const auto first = service.rotate_one(meter, KeyRole::guek);
  const auto second = service.rotate_one(meter, KeyRole::guek);
  destroy(service, {ref(meter, KeyRole::guek, 1)});
  CHECK_FALSE(service.registry_holds(wrapped_in(first)));
  CHECK(service.registry_holds(wrapped_in(second)));
}

TEST_CASE("a result can't be handed out again once its keys are destroyed") {
  Service service;
  auto meter = service.commission();
  const auto wanted = request(meter, {KeyRole::guek}, meter.id().to_string() + ".gone");
  service.kms->record_reply(service.kms->rotate(wanted).transfers().front(), not_ok);
  service.kms->resolve(ref(meter, KeyRole::guek, 1), ProbeResult::old_key, "probe", both);
  destroy(service, {ref(meter, KeyRole::guek, 1)});
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "destroyed not-held");
  CHECK(rule_of([&] { (void)service.kms->rotate(wanted); }) == "destroyed");
}

TEST_CASE("a key that its device may use is neither retired nor destroyed") {
  Service service;
  auto meter = service.commission();
  const auto guek = ref(meter, KeyRole::guek, 1);
  const auto transfer = service.release_one(meter, KeyRole::guek);
  CHECK(why_not_destroyed(service, {guek}) == "in-use");  // released
  CHECK(why_not_retired(service, guek) == "in-use");
  service.kms->record_reply(transfer, std::nullopt);
  CHECK(why_not_destroyed(service, {guek}) == "in-use");  // in doubt
  CHECK(why_not_retired(service, guek) == "in-use");
  service.kms->record_reply(transfer, success);
  CHECK(why_not_destroyed(service, {guek}) == "in-use");  // active
  CHECK(why_not_retired(service, guek) == "in-use");
  const auto second = service.release_one(meter, KeyRole::guek);
  CHECK(why_not_destroyed(service, {guek}) == "in-use");  // its successor is not confirmed
  service.kms->record_reply(second, std::nullopt);
  CHECK(why_not_retired(service, guek) == "in-use");
  CHECK(why_not_destroyed(service, {ref(meter, KeyRole::kek, 1)}) == "in-use");
  CHECK(why_not_retired(service, ref(meter, KeyRole::kek, 1)) == "in-use");
  CHECK(service.trail(meter.id()).back().text(Field::detail) == "in-use");
  CHECK(service.trail(meter.id()).back().text(Field::op) == "key.retire");
  // A key that is deactivated by its successor's success can be destroyed, not retired again.
  service.kms->record_reply(second, success);
  CHECK(why_not_retired(service, guek) == "illegal-transition");
  CHECK_NOTHROW(destroy(service, {guek}));
}

TEST_CASE("a key that never reached its device is destroyed without having been used") {
  Service service;
  const auto meter = service.commission();
  service.kms->record_reply(service.release_one(meter, KeyRole::gak), not_ok);
  service.kms->resolve(ref(meter, KeyRole::gak, 1), ProbeResult::old_key, "probe", both);
  CHECK(why_not_retired(service, ref(meter, KeyRole::gak, 1)) ==
        "illegal-transition");  // pre-active
  const auto id = service.key(meter.id(), KeyRole::gak, 1).id;
  destroy(service, {ref(meter, KeyRole::gak, 1)});
  CHECK(service.standing(meter.id(), KeyRole::gak, 1) == "destroyed not-held");
  CHECK(service.objects(id) == 0);
}

TEST_CASE("a model that switches at the next association keeps its old key until that is seen") {
  Service service;
  auto meter = service.commission({.model = "LATER"});
  service.rotate_one(meter, KeyRole::guek);
  service.rotate_one(meter, KeyRole::guek);
  CHECK(service.standing(meter.id(), KeyRole::guek, 2) == "active confirmed");
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "active confirmed");
  CHECK(service.key(meter.id(), KeyRole::guek, 2).predecessor ==
        service.key(meter.id(), KeyRole::guek, 1).id);
  CHECK(why_not_destroyed(service, {ref(meter, KeyRole::guek, 1)}) ==
        "illegal-transition");  // active: retire first
  CHECK(why_not_retired(service, ref(meter, KeyRole::guek, 2)) == "in-use");
  service.kms->retire(ref(meter, KeyRole::guek, 1), both, meter.id().to_string() + ".retire");
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "deactivated confirmed");
  service.kms->retire(ref(meter, KeyRole::guek, 1), both,
                      meter.id().to_string() + ".retire");  // the same again
  CHECK(service.trail(meter.id()).back().text(Field::result) == "retired");
  destroy(service, {ref(meter, KeyRole::guek, 1)});
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "destroyed confirmed");
  CHECK(service.same_key(meter, KeyRole::guek, 2));
}

TEST_CASE("the keys of a decommissioned device are at their end, and no new ones are made") {
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::guek);
  service.kms->change_device(meter.id(), DeviceChange::decommissioned, Service::now, both);
  CHECK(service.kms->fleet().device(meter.id()).status == DeviceStatus::decommissioned);
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::guek); }) == "decommissioned");
  for (const auto role : {KeyRole::guek, KeyRole::kek}) {
    CHECK(why_not_destroyed(service, {ref(meter, role, 1)}) ==
          "illegal-transition");  // active: retire first
    service.kms->retire(ref(meter, role, 1), both);
    destroy(service, {ref(meter, role, 1)});
    CHECK(service.standing(meter.id(), role, 1) == "destroyed confirmed");
    CHECK(service.objects(service.key(meter.id(), role, 1).id) == 0);
  }
}

TEST_CASE("many keys are destroyed together, or none") {
  Service service;
  auto meters = service.commission_fleet({{}, {}});
  std::vector<KeyRef> old;
  std::vector<Bytes> blobs;
  for (auto& meter : meters)
    for (const auto role : {KeyRole::guek, KeyRole::gak}) {
      blobs.push_back(wrapped_in(service.rotate_one(meter, role)));
      service.rotate_one(meter, role);
      old.push_back(ref(meter, role, 1));
    }
  auto one_in_use = old;
  one_in_use.push_back(ref(meters[1], KeyRole::guek, 2));
  CHECK(why_not_destroyed(service, one_in_use) == "in-use");
  auto one_unknown = old;
  one_unknown.push_back(ref(meters[1], KeyRole::gbek, 1));
  CHECK(why_not_destroyed(service, one_unknown) == "unknown-key");
  for (const auto& key : old)
    CHECK(service.standing(key.device, key.role, 1) == "deactivated confirmed");

  destroy(service, old);
  for (const auto& key : old) {
    CHECK(service.standing(key.device, key.role, 1) == "destroyed confirmed");
    CHECK(service.objects(service.key(key.device, key.role, 1).id) == 0);
  }
  for (const auto& blob : blobs) CHECK_FALSE(service.registry_holds(blob));
  for (auto& meter : meters) CHECK(service.same_key(meter, KeyRole::guek, 2));
}

TEST_CASE("destroy: bad requests") {
  Service service;
  const auto meter = service.commission();
  CHECK_THROWS_AS(destroy(service, {}), BadInput);
  CHECK_THROWS_AS(destroy(service, {ref(meter, KeyRole::guek, 1)}, "bad id"), BadInput);
  CHECK(rule_of([&] {
          service.kms->destroy(std::vector{ref(meter, KeyRole::kek, 1)}, {"a", "a", "CHG-1"});
        }) == "dual-control");
  CHECK(why_not_destroyed(service, {ref(meter, KeyRole::guek, 1)}) == "unknown-key");
  CHECK(why_not_destroyed(
            service,
            {{.device = DeviceId::from_number(0xFFFB), .role = KeyRole::guek, .generation = 1}}) ==
        "unknown-device");
  CHECK(why_not_retired(service, ref(meter, KeyRole::guek, 1)) == "unknown-key");
}

TEST_CASE("a key named twice is destroyed once") {
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::guek);
  service.rotate_one(meter, KeyRole::guek);
  const auto count = [&] {
    const auto trail = service.trail(meter.id());
    return std::ranges::count_if(trail, [](const auto& record) {
      return record.text(Field::op) == "key.destroy" && record.text(Field::phase) == "outcome";
    });
  };
  try {
    destroy(service, {ref(meter, KeyRole::guek, 1), ref(meter, KeyRole::guek, 1)});
    CHECK(count() == 1);
  } catch (const Error&) {  // refusing it is as good
    CHECK(count() == 0);
  }
}

TEST_CASE("keys that are selected end in groups; a key in use is left out and counted") {
  Service service;
  using Kind = Selection::Kind;
  auto meters = service.commission_fleet(std::vector<Order>(4, {.model = "LATER"}));
  std::vector<DeviceId> devices;
  for (auto& meter : meters) {
    devices.push_back(meter.id());
    service.rotate_one(meter, KeyRole::guek);
    service.rotate_one(meter, KeyRole::guek);  // the first stays active until the association
    service.kms->record_reply(service.release_one(meter, KeyRole::gak), not_ok);
    service.kms->resolve(ref(meter, KeyRole::gak, 1), ProbeResult::old_key, "probe", both);
  }
  const auto states = [&](KeyRole role, std::uint32_t generation) {
    std::string all;
    for (const auto& meter : meters) all += service.standing(meter.id(), role, generation) + ";";
    return all;
  };
  const auto four = [](const std::string& text) { return text + text + text + text; };
  const Selection these{.kind = Kind::devices, .devices = devices};

  // Refused as one: nothing of the group is done.
  const auto in_use = rule_of([&] {
    (void)service.kms->retire(
        {.kind = Kind::keys,
         .keys = {ref(meters[0], KeyRole::guek, 1), ref(meters[1], KeyRole::guek, 2)}},
        both);
  });
  CHECK(in_use == "in-use");
  CHECK(service.trail(meters[1].id()).back().text(Field::detail) == "in-use");
  CHECK(states(KeyRole::guek, 1) == four("active confirmed;"));
  CHECK(service.kms->retire({.kind = Kind::keys, .keys = {ref(meters[0], KeyRole::guek, 1)}}, both)
            .done == 1);
  const auto retired = service.kms->retire(these, both);
  CHECK(retired.done == 3);
  CHECK(retired.in_use == 0);
  CHECK_FALSE(retired.stopped);
  CHECK(states(KeyRole::guek, 1) == four("deactivated confirmed;"));
  CHECK(states(KeyRole::guek, 2) == four("active confirmed;"));
  CHECK(service.kms->retire(these, both).done == 0);
  const auto record = service.trail(meters[3].id()).back();
  CHECK(record.text(Field::op) == "key.retire");
  CHECK(record.text(Field::authorised_by) == both.authorised_by);
  // A key that was named and is in that state already is passed over.
  CHECK(service.kms->retire({.kind = Kind::keys, .keys = {ref(meters[0], KeyRole::guek, 1)}}, both)
            .done == 0);

  // A device that is in service again may use what was deactivated while it was not.
  const auto back = meters[1].id();
  service.kms->change_device(back, DeviceChange::decommissioned, Service::now, both);
  service.kms->retire(ref(meters[1], KeyRole::guek, 2), both);
  service.kms->change_device(back, DeviceChange::recommissioned, Service::now, both);
  CHECK(service.kms->destroy(these, both, [] { return true; }).stopped);
  CHECK(states(KeyRole::guek, 1) == four("deactivated confirmed;"));
  const auto destroyed = service.kms->destroy(these, both);
  CHECK(destroyed.done == 8);
  CHECK(destroyed.in_use == 1);
  CHECK(states(KeyRole::guek, 1) == four("destroyed confirmed;"));
  CHECK(states(KeyRole::gak, 1) == four("destroyed not-held;"));
  CHECK(service.standing(back, KeyRole::guek, 2) == "deactivated confirmed");
  for (const auto& meter : meters)
    CHECK(service.objects(service.key(meter.id(), KeyRole::guek, 1).id) == 0);
  CHECK(service.kms->destroy({.kind = Kind::keys, .keys = {ref(meters[0], KeyRole::guek, 1)}}, both)
            .done == 0);
  CHECK(rule_of([&] {
          (void)service.kms->destroy(
              {.kind = Kind::keys, .keys = {ref(meters[0], KeyRole::guek, 2)}}, both);
        }) == "in-use");

  // A device that nobody knows: nothing of the list is done, and that is recorded.
  const auto list = service.kms->fleet().last_record()->index;
  auto unknown = these;
  unknown.devices.push_back(DeviceId::from_number(0xFFFE));
  for (const bool retires : {true, false})
    CHECK(rule_of([&] {
            (void)(retires ? service.kms->retire(unknown, both)
                           : service.kms->destroy(unknown, both));
          }) == "unknown-device");
  CHECK(service.kms->fleet().last_record()->index == list + 2);

  // Keys of a destruction that is not at its end are left out, and the others go.
  const auto spent = [&](std::size_t i, std::uint32_t generation) {
    service.rotate_one(meters[i], KeyRole::guek);
    service.kms->retire(ref(meters[i], KeyRole::guek, generation), both);
    return ref(meters[i], KeyRole::guek, generation);
  };
  const auto stuck = spent(2, 2), free = spent(3, 2);
  const auto mark = [&](OperationState state) {
    auto registry = registry::Registry::open(service.config().database, sqlite::Mode::read_write);
    registry.put_operation({.id = "open-destruction",
                            .kind = "key.destroy",
                            .device = {},
                            .digest = {},
                            .state = state},
                           std::span(&stuck, 1));
  };
  mark(OperationState::open);
  const auto others = service.kms->destroy(these, both);
  CHECK(others.done == 1);
  CHECK(others.being_destroyed == 1);
  CHECK(service.standing(free.device, KeyRole::guek, 2) == "destroyed confirmed");
  mark(OperationState::failed);
  CHECK(service.kms->destroy(these, both).done == 1);

  // Of the whole fleet, and how far it has come. What other tests left in it does not matter.
  service.rotate_one(meters[0], KeyRole::guek);
  service.kms.reset();
  std::vector<Progress> seen;
  auto callbacks = service.callbacks();
  callbacks.progress = [&](const Progress& progress) { seen.push_back(progress); };
  service.kms.emplace(KeyManager::open(service.config(), callbacks));
  CHECK(service.kms->retire({.kind = Kind::superseded}, both).done >= 1);
  CHECK(service.standing(meters[0].id(), KeyRole::guek, 2) == "deactivated confirmed");
  REQUIRE_FALSE(seen.empty());
  CHECK(seen.back().done == service.kms->fleet().device_count());
  CHECK(seen.back().total == seen.back().done);
  CHECK(service.kms->destroy({.kind = Kind::deactivated}, both).done >= 1);
  CHECK(service.standing(meters[0].id(), KeyRole::guek, 2) == "destroyed confirmed");
  CHECK(service.kms->destroy({.kind = Kind::not_held}, both).in_use == 0);
}

TEST_CASE("selections that are none, and who may select") {
  Service service;
  using Kind = Selection::Kind;
  auto meter = service.commission({.model = "LATER"});
  service.rotate_one(meter, KeyRole::guek);
  service.rotate_one(meter, KeyRole::guek);
  const std::vector<DeviceId> devices{meter.id()};
  const auto key = ref(meter, KeyRole::guek, 1);
  const Selection none[] = {
      {.kind = Kind::all},
      {.kind = Kind::due},
      {.kind = Kind::devices},
      {.kind = Kind::keys},
      {.kind = Kind::keys, .devices = devices, .keys = {key}},
      {.kind = Kind::devices, .devices = devices, .within = std::chrono::milliseconds(1)}};
  for (const auto& selection : none) {
    CHECK_THROWS_AS((void)service.kms->retire(selection, both), BadInput);
    CHECK_THROWS_AS((void)service.kms->destroy(selection, both), BadInput);
  }
  CHECK_THROWS_AS((void)service.kms->retire({.kind = Kind::deactivated}, both), BadInput);
  CHECK_THROWS_AS((void)service.kms->destroy({.kind = Kind::superseded}, both), BadInput);
  auto alone = both;
  alone.authorised_by = alone.requested_by;
  const Selection mine{.kind = Kind::devices, .devices = devices};
  CHECK(rule_of([&] { (void)service.kms->retire(mine, alone); }) == "dual-control");
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "active confirmed");
  service.kms->retire(key, both);
  CHECK(rule_of([&] { (void)service.kms->destroy(mine, alone); }) == "dual-control");
  const Selection unknown{.kind = Kind::devices, .devices = {DeviceId::from_number(0xFFFE)}};
  CHECK(rule_of([&] { (void)service.kms->retire(unknown, both); }) == "unknown-device");
  CHECK(rule_of([&] {
          (void)service.kms->destroy({.kind = Kind::keys, .keys = {ref(meter, KeyRole::guek, 9)}},
                                     both);
        }) == "unknown-key");
}

TEST_CASE("a compromised key is used no more, and replaced") {
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::guek);
  const auto guek = ref(meter, KeyRole::guek, 1);
  const auto id = meter.id().to_string() + ".compromise";
  const auto result = service.kms->compromise(guek, "laptop lost", both, id);
  REQUIRE(result.compromised.size() == 1);
  CHECK(result.compromised.front().generation == 1);
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "compromised confirmed");
  const auto last = service.trail(meter.id()).back();
  CHECK(last.text(Field::detail) == "laptop lost");
  CHECK(last.text(Field::reason) == "suspected-compromise");
  CHECK(last.text(Field::requested_by) == both.requested_by);
  CHECK(service.kms->compromise(guek, "laptop lost", both, id).compromised.size() ==
        1);  // the same again
  CHECK(rule_of([&] { service.kms->compromise(guek, "laptop lost", both); }) ==
        "illegal-transition");
  CHECK(why_not_retired(service, guek) == "in-use");
  CHECK(why_not_destroyed(service, {guek}) == "in-use");  // the device still holds it

  auto wanted = request(meter, {KeyRole::guek});
  wanted.reason = Reason::suspected_compromise;
  const auto transfer = service.kms->rotate(wanted).transfers().front();
  (void)meter.receive(transfer.action_request());
  service.kms->record_reply(transfer, success);
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "compromised confirmed");
  destroy(service, {guek});
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "destroyed-compromised confirmed");
  CHECK(service.same_key(meter, KeyRole::guek, 2));
}

TEST_CASE("a key found compromised after its destruction") {
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::guek);
  service.rotate_one(meter, KeyRole::guek);
  destroy(service, {ref(meter, KeyRole::guek, 1)});
  CHECK(service.kms->compromise(ref(meter, KeyRole::guek, 1), "found on a tape", both)
            .compromised.size() == 1);
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "destroyed-compromised confirmed");
  CHECK(service.standing(meter.id(), KeyRole::guek, 2) == "active confirmed");
}

TEST_CASE("a compromise while the key is on its way stays one whatever the device answers") {
  Service service;
  auto meter = service.commission();
  const auto transfer = service.release_one(meter, KeyRole::guek);
  service.kms->compromise(ref(meter, KeyRole::guek, 1), "seen on the wire", both);
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "compromised released");
  (void)meter.receive(transfer.action_request());
  service.kms->record_reply(transfer, success);
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "compromised confirmed");
  CHECK_NOTHROW((void)service.release_one(meter, KeyRole::guek));
}

TEST_CASE("a compromised KEK wraps nothing, and marks what it ever wrapped") {
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::guek);
  service.rotate_one(meter, KeyRole::guek);
  service.rotate_one(meter, KeyRole::gak);
  destroy(service, {ref(meter, KeyRole::guek, 1)});
  const auto pending = service.release_one(meter, KeyRole::gbek);
  const auto result = service.kms->compromise(ref(meter, KeyRole::kek, 1),
                                              "the manufacturer was broken into", both);
  CHECK(result.compromised.size() == 5);
  CHECK(service.standing(meter.id(), KeyRole::kek, 1) == "compromised confirmed");
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "destroyed-compromised confirmed");
  CHECK(service.standing(meter.id(), KeyRole::guek, 2) == "compromised confirmed");
  CHECK(service.standing(meter.id(), KeyRole::gak, 1) == "compromised confirmed");
  CHECK(service.standing(meter.id(), KeyRole::gbek, 1) == "compromised released");
  const auto trail = service.trail(meter.id());
  CHECK(std::ranges::count_if(trail, [](const auto& record) {
          return record.text(Field::result) == "compromised-through-kek";
        }) == 4);
  for (const auto role : {KeyRole::guek, KeyRole::gak, KeyRole::kek}) {
    const auto rule = rule_of([&] { (void)service.release_one(meter, role); });
    CHECK((rule == "no-usable-kek" || (role == KeyRole::kek && rule == "in-doubt")));
  }
  service.kms->record_reply(pending, success);
  CHECK(service.standing(meter.id(), KeyRole::gbek, 1) == "compromised confirmed");
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::kek); }) == "no-usable-kek");
}

TEST_CASE("a new KEK found compromised: the old one goes on") {
  Service service;
  auto meter = service.commission();
  const auto kek = service.release_one(meter, KeyRole::kek);
  service.kms->record_reply(kek, success);
  CHECK(service.kms->compromise(ref(meter, KeyRole::kek, 2), "seen", both).compromised.size() == 1);
  CHECK(service.standing(meter.id(), KeyRole::kek, 1) == "active confirmed");
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::gak); }) == "no-usable-kek");
  auto wanted = request(meter, {KeyRole::gak});
  wanted.wrap_under = WrapUnder::proven;
  CHECK(service.kms->rotate(wanted).transfers().front().kek() ==
        service.key(meter.id(), KeyRole::kek, 1).id);
}

TEST_CASE("who listened to a KEK's successor knows what that wrapped as well") {
  // key_manager.hpp: "of a KEK and with it of every key ever wrapped under it". KEK 2 went to the
  // device under KEK 1, so whoever has KEK 1 has KEK 2, and the GUEK that went under that.
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::kek);
  service.rotate_one(meter, KeyRole::gak);
  service.rotate_one(meter, KeyRole::guek);
  service.kms->compromise(ref(meter, KeyRole::kek, 1), "the manufacturer was broken into", both);
  CHECK(service.standing(meter.id(), KeyRole::kek, 2) == "compromised confirmed");
  CHECK(service.standing(meter.id(), KeyRole::gak, 1) == "compromised confirmed");
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "compromised confirmed");
}

TEST_CASE("compromise: bad requests") {
  Service service;
  const auto meter = service.commission();
  for (const std::string& suspicion :
       {std::string(), std::string(201, 'x'), std::string("a\"b"), std::string("a\nb")})
    CHECK_THROWS_AS(service.kms->compromise(ref(meter, KeyRole::kek, 1), suspicion, both),
                    BadInput);
  CHECK(rule_of([&] {
          service.kms->compromise(ref(meter, KeyRole::kek, 1), "x", {"a", "a", "CHG-1"});
        }) == "dual-control");
  CHECK(rule_of([&] { service.kms->compromise(ref(meter, KeyRole::guek, 1), "x", both); }) ==
        "unknown-key");
  CHECK(service.standing(meter.id(), KeyRole::kek, 1) == "active confirmed");
}
