// SPDX-License-Identifier: Apache-2.0
// On opening: one writer, the right token, and what a process that died has left is settled by what
// the token shows.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "registry/registry.hpp"
#include "support/test_token.hpp"
#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;
using audit::Field;
using pkcs11::Session;
using pkcs11::Template;
using registry::Registry;
namespace attr = pkcs11::attr;

namespace {

/// Records the intents of a rotation.
void plan(lifecycle::Context& context, std::vector<Key> keys) {
  const trail::AuditContext act{.name = "key.generate",
                                .operation_id = keys.front().operation,
                                .authority = both,
                                .reason = "operational"};
  for (auto& key : keys) {
    key.kek = context.registry.keys(key.device).back().id;
    key.made = key.record = static_cast<std::uint64_t>(
        context.append(context.trail.record(act, lifecycle::Phase::intent, key, KeyState::none,
                                            KeyState::pre_active),
                       key.device, {{Field::mechanism, "CKM_AES_KEY_GEN,CKM_AES_KEY_WRAP"}}));
    context.registry.add_key(key);
  }
  context.put_operation(act, static_cast<std::int64_t>(keys.front().record),
                        {.kind = "rotate", .device = keys.front().device});
}

Key planned(const Meter& meter, KeyRole role, std::uint32_t generation,
            const std::string& operation) {
  return {.device = meter.id(),
          .role = role,
          .generation = generation,
          .id = KeyId::random(),
          .state = KeyState::none,
          .delivery = Delivery::planned,
          .predecessor = {},
          .kek = {},
          .transfer = generation,
          .operation = operation,
          .created_at = {}};
}

/// A resting key in the token under this id, as the vault leaves one.
void make_object(const KeyId& id) {
  Service::pool()->run([&](Session& session) {
    session.generate_key(pkcs11::Mechanism(CKM_AES_KEY_GEN),
                         Template()
                             .add(attr::object_class, CKO_SECRET_KEY)
                             .add(attr::key_type, CKK_AES)
                             .add(attr::value_len, 16)
                             .add(attr::token, true)
                             .add(attr::private_, true)
                             .add(attr::sensitive, true)
                             .add(attr::extractable, false)
                             .add(attr::id, {id.raw().begin(), id.raw().end()}));
  });
}

/// The record of the settlement of the newest operation of a device.
audit::Record settlement(const Service& service, DeviceId device) {
  const auto trail = service.trail(device);
  for (auto each = trail.rbegin(); each != trail.rend(); ++each)
    if (each->text(Field::op) == "operation.settle") return *each;
  return {};
}

}  // namespace

TEST_CASE("one writer; readers beside it") {
  Service service;
  const auto message = message_of<StorageError>([&] { (void)KeyManager::open(service.config()); });
  CHECK(contains(message, "process " + std::to_string(getpid())));
  CHECK(contains(message, "reading (list, show, status) is possible"));
  CHECK_NOTHROW((void)Fleet::open(service.config()).summary());
  CHECK_NOTHROW((void)service.release_one(service.commission(),
                                          KeyRole::guek));  // the first goes on undisturbed
}

TEST_CASE("what can't be opened says what to do, and leaves nothing behind") {
  Service service;
  service.kms.reset();
  const auto scratch = TestToken::current().directory + "/elsewhere";
  std::filesystem::create_directory(scratch);
  auto config = service.config();
  config.database = scratch + "/registry.db";
  CHECK(contains(message_of<StorageError>([&] { (void)KeyManager::open(config); }),
                 "smets1-kms init"));
  CHECK_FALSE(std::filesystem::exists(config.database));
  auto elsewhere = config;
  elsewhere.token.uri =
      TestToken::uri("no-such-token") + "?pin-source=file:" + TestToken::current().pin_file();
  CHECK(contains(
      message_of<TokenUnavailable>([&] { (void)Enrolment(elsewhere, both, {}).make_keys(); }),
      "no-such-token"));
  CHECK_FALSE(std::filesystem::exists(config.database));
  elsewhere.token.uri = "pkcs11:tokn=fleet";
  CHECK_THROWS_AS((void)Enrolment(elsewhere, both, {}).make_keys(), BadInput);
  CHECK_FALSE(std::filesystem::exists(config.database));
  elsewhere = service.config();
  elsewhere.token.uri = "pkcs11:tokn=fleet";
  CHECK_THROWS_AS((void)KeyManager::open(elsewhere), BadInput);
  CHECK_NOTHROW((void)KeyManager::open(service.config()));  // the module was given back
  std::ofstream(config.database)
      << "this is no database, and long enough to be seen as something else than one";
  CHECK_THROWS_AS((void)KeyManager::open(config), StorageError);
  std::filesystem::remove_all(scratch);
}

TEST_CASE("init again gives the same key and changes nothing") {
  for (const auto mode : modes()) {
    Service service(mode);
    service.kms->checkpoint();  // or closing would make the map that is due
    const auto records = service.kms->fleet().summary().records;
    service.kms.reset();
    const auto pem = service.enrolment(both).make_keys();
    CHECK(service.enrolment(both).make_keys() == pem);
    CHECK(pem.starts_with("-----BEGIN PUBLIC KEY-----"));
    CHECK_THROWS_AS((void)service.enrolment({"a", "", "c"}).make_keys(), BadInput);
    CHECK(rule_of([&] { (void)service.enrolment({"a", "A", "c"}).make_keys(); }) == "dual-control");
    service.open();
    CHECK(service.kms->fleet().summary().records == records + 1);  // the refusal
  }
}

TEST_CASE("init goes on where one died that had only made the file") {
  // Registry::create makes the file, then its tables: a process may die between the two
  // (tests/fault has the places between).
  Service service;
  service.kms.reset();
  const auto scratch = TestToken::current().directory + "/begun";
  std::filesystem::create_directory(scratch);
  auto config = service.config();
  config.database = scratch + "/registry.db";
  std::ofstream(config.database).close();
  std::filesystem::permissions(
      config.database, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  CHECK(message_of<std::exception>([&] { (void)Enrolment(config, both, {}).make_keys(); }) == "");
  // What this made in the token is not the fleet's: it goes again.
  std::optional<std::string> id;
  try {
    id = Registry::open(config.database, sqlite::Mode::read_only).setting("import_key");
  } catch (const StorageError&) {
  }
  if (id)
    Service::pool()->run([&](Session& session) {
      const auto raw = KeyId::parse(*id).raw();
      for (const auto object :
           session.find_objects(Template().add(attr::id, {raw.begin(), raw.end()})))
        session.destroy_object(object);
    });
  std::filesystem::remove_all(scratch);
}

TEST_CASE("a rotation that died before the token had made its key") {
  Service service;
  const auto meter = service.commission();
  const auto op = meter.id().to_string() + ".died";
  as_one_that_died(service,
                   [&](auto& context) { plan(context, {planned(meter, KeyRole::guek, 1, op)}); });
  service.open();
  CHECK(service.count(meter.id(), KeyRole::guek) == 0);
  CHECK(settlement(service, meter.id()).text(Field::result) == "not-executed");
  CHECK(settlement(service, meter.id()).text(Field::op_id) == op);
  CHECK(settlement(service, meter.id()).text(Field::phase) == "outcome");
  CHECK(service.log.size() == 1);
  CHECK(service.kms->fleet().summary().open_operations == 0);
  CHECK_NOTHROW((void)service.kms->rotate(
      request(meter, {KeyRole::guek}, op)));  // the same id again: it never came to be
}

TEST_CASE("a rotation that died after the token had made one of its keys") {
  Service service;
  const auto meter = service.commission();
  const auto wanted =
      request(meter, {KeyRole::guek, KeyRole::gak}, meter.id().to_string() + ".died");
  const auto made = planned(meter, KeyRole::guek, 1, wanted.operation_id),
             unmade = planned(meter, KeyRole::gak, 1, wanted.operation_id);
  as_one_that_died(service, [&](auto& context) { plan(context, {made, unmade}); });
  make_object(made.id);
  service.open();
  CHECK(service.objects(made.id) == 0);
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) ==
        "destroyed not-held");  // it was there: its record is kept
  CHECK(service.count(meter.id(), KeyRole::gak) == 0);
  const auto trail = service.trail(meter.id());
  CHECK(trail[trail.size() - 2].text(Field::result) == "recovered-executed");
  CHECK(trail[trail.size() - 1].text(Field::result) == "not-executed");

  // Run again under its id it is done, and once done it is the same again.
  const auto first = service.kms->rotate(wanted);
  CHECK(first.transfers().front().keys().front().generation == 2);
  std::optional<Rotation> again;
  CHECK(rule_of([&] { again = service.kms->rotate(wanted); }) == "");
  if (again) {
    REQUIRE(again->transfers().size() == first.transfers().size());
    for (std::size_t i = 0; i < first.transfers().size(); ++i)
      CHECK(again->transfers()[i].action_request() == first.transfers()[i].action_request());
  }
}

TEST_CASE("two objects under one planned id: a conflict, touched by nobody") {
  Service service;
  const auto meter = service.commission();
  const auto op = meter.id().to_string() + ".conflict";
  const auto key = planned(meter, KeyRole::guek, 1, op);
  as_one_that_died(service, [&](auto& context) { plan(context, {key}); });
  make_object(key.id);
  make_object(key.id);
  service.open();
  CHECK(settlement(service, meter.id()).text(Field::result) == "conflict");
  CHECK(service.objects(key.id) == 2);
  CHECK(service.kms->fleet().summary().open_operations == 1);
  CHECK(contains(service.log.at(0), "CONFLICT"));
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::guek); }) == "in-doubt");
  CHECK_NOTHROW((void)service.release_one(meter, KeyRole::gak));
  // Looked into by a person, who takes one away.
  service.kms.reset();
  Service::pool()->run([&](Session& session) {
    session.destroy_object(
        session.find_objects(Template().add(attr::id, {key.id.raw().begin(), key.id.raw().end()}))
            .at(0));
  });
  service.open();
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "destroyed not-held");
  CHECK(service.objects(key.id) == 0);
  CHECK(service.kms->fleet().summary().open_operations == 0);
}

TEST_CASE("a destruction that died half-way") {
  Service service;
  auto meter = service.commission();
  std::vector<Bytes> blobs;
  for (const auto role : {KeyRole::guek, KeyRole::gak}) {
    blobs.push_back(wrapped_in(service.rotate_one(meter, role)));
    service.rotate_one(meter, role);
  }
  const auto gone = service.key(meter.id(), KeyRole::guek, 1);
  const auto op = meter.id().to_string() + ".destroy";
  as_one_that_died(service, [&](auto& context) {
    const trail::AuditContext act{.name = "key.destroy", .operation_id = op, .authority = both};
    const std::vector<KeyRef> keys{{meter.id(), KeyRole::guek, 1}, {meter.id(), KeyRole::gak, 1}};
    std::int64_t intent = 0;
    for (const auto& ref : keys)
      intent = context.append(context.trail.record(act, lifecycle::Phase::intent, context.key(ref),
                                                   KeyState::deactivated, KeyState::destroyed),
                              ref.device, {});
    context.put_operation(act, intent - 1, {}, keys);
  });
  Service::pool()->run([&](Session& session) {
    session.destroy_object(
        session.find_objects(Template().add(attr::id, {gone.id.raw().begin(), gone.id.raw().end()}))
            .at(0));
  });
  service.open();
  CHECK(service.standing(meter.id(), KeyRole::guek, 1) == "destroyed confirmed");
  CHECK(service.standing(meter.id(), KeyRole::gak, 1) == "deactivated confirmed");
  const auto trail = service.trail(meter.id());
  CHECK(trail[trail.size() - 2].text(Field::result) == "recovered-executed");
  CHECK(trail[trail.size() - 1].text(Field::result) == "not-executed");
  CHECK_FALSE(service.registry_holds(blobs[0]));
  CHECK(service.registry_holds(blobs[1]));
  CHECK(service.same_key(meter, KeyRole::guek, 2));
  // The rest, under the same id.
  CHECK_NOTHROW(service.kms->destroy(
      std::vector{KeyRef{.device = meter.id(), .role = KeyRole::gak, .generation = 1}}, both, op));
  CHECK_FALSE(service.registry_holds(blobs[1]));
}

TEST_CASE("a device whose model the configuration no longer has") {
  Service service;
  auto meter = service.commission({.model = "LATER"});
  auto asked = request(meter, {KeyRole::guek});
  asked.operation_id = meter.id().to_string() + ".later";
  const auto transfer = service.kms->rotate(asked).transfers().front();
  service.kms.reset();
  auto config = service.config();
  config.models.erase("LATER");
  auto other = KeyManager::open(config, service.callbacks());
  CHECK(rule_of([&] { (void)other.rotate(request(meter, {KeyRole::gak})); }) == "unknown-model");
  CHECK(rule_of([&] { (void)other.rotate(asked); }) ==
        "unknown-model");  // nor can what was released be handed out again
  CHECK(other.record_reply(transfer, success).delivery ==
        Delivery::confirmed);  // an answer is never lost
}
