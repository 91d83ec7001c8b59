// SPDX-License-Identifier: Apache-2.0
// The signed trail under the key manager: what a verifier says of it, whatever the clock and the
// registry's owner did.
#include <fstream>

#include "audit/verify.hpp"
#include "registry/database_log.hpp"
#include "registry/registry.hpp"
#include "smets1kms/audit_log.hpp"
#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;

namespace {

audit::Report verdict(const Service& service) {
  registry::DatabaseLog log(service.config().database);
  auto report = audit::verify(
      log, {.keys = {audit::AuditKey::from_pem(audit_identity(service.config()).public_key)}});
  if (report.verdict != audit::Verdict::verified)
    MESSAGE(report.why, " (record ", report.index.value_or(0), ")");
  return report;
}

void sql(const Service& service, const std::string& text) {
  sqlite::Database(service.config().database, sqlite::Mode::read_write).execute(text.c_str());
}

/// A row alone, as another process would have put it that destroys these keys; none: it lists them
/// no more.
void list_for_destruction(const Service& service, const std::string& id,
                          const std::vector<KeyRef>& keys) {
  registry::Registry::open(service.config().database, sqlite::Mode::read_write)
      .put_operation({.id = id, .kind = "key.destroy", .device = {}, .digest = {}}, keys);
}

/// Records the intents of a destruction of these keys, and lists them with `others`.
void begin_destruction(lifecycle::Context& context, const std::string& id, std::vector<KeyRef> keys,
                       const std::vector<KeyRef>& others = {}) {
  const trail::AuditContext act{.name = "key.destroy", .operation_id = id, .authority = both};
  std::int64_t first = -1;
  for (const auto& ref : keys) {
    const auto key = context.key(ref);
    const auto index = context.append(
        context.trail.record(act, lifecycle::Phase::intent, key, key.state, KeyState::destroyed),
        ref.device, {});
    if (first < 0) first = index;
  }
  keys.insert(keys.end(), others.begin(), others.end());
  context.put_operation(act, first, {}, keys);
}

}  // namespace

TEST_CASE("a clock that is set back, even just before a checkpoint, is a finding and no failure") {
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::gak);
  service.kms->checkpoint();
  REQUIRE(verdict(service).verdict == audit::Verdict::verified);
  const auto steps = verdict(service).finding_counts["clock-step"];
  const auto now = Service::now;
  Service::now -= std::chrono::minutes(5);
  service.kms->checkpoint();
  Service::now -= std::chrono::milliseconds(1);
  service.rotate_one(meter, KeyRole::gak);
  Service::now = now;
  service.kms->checkpoint();
  auto report = verdict(service);
  CAPTURE(report.why);
  CHECK(report.verdict == audit::Verdict::verified);
  CHECK(report.finding_counts["clock-step"] == steps + 2);
}

TEST_CASE("nothing is done on a trail without its key, or with one that contradicts itself") {
  Service service;
  auto meter = service.commission();
  service.kms->checkpoint();
  service.kms.reset();
  const auto opens = [&] { return message_of<StorageError>([&] { service.open(); }); };
  sql(service,
      "CREATE TABLE kept AS SELECT * FROM setting WHERE name LIKE 'audit_key%'; DELETE FROM "
      "setting WHERE name LIKE 'audit_key%'");
  CHECK(contains(opens(), "has no key that signs it"));
  sql(service, "INSERT INTO setting SELECT * FROM kept; DROP TABLE kept");
  service.open();
  service.kms.reset();
  sql(service, "CREATE TABLE kept AS SELECT * FROM log_peaks; UPDATE log_peaks SET size=size-1");
  CHECK(contains(opens(), "contradicts itself"));
  sql(service, "DELETE FROM log_peaks; INSERT INTO log_peaks SELECT * FROM kept; DROP TABLE kept");
  service.open();
  CHECK(verdict(service).verdict == audit::Verdict::verified);
}

TEST_CASE("every proof that is asked for is recorded, without its challenge") {
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::gak);
  REQUIRE(service.same_key(meter, KeyRole::gak, 1));
  const auto record = service.trail(meter.id()).back();
  CHECK(record.text(audit_field::op) == "key.prove");
  CHECK(contains(std::string(record.text(audit_field::detail)), "challenge sha256 "));
  service.kms->checkpoint();
  CHECK(verdict(service).verdict == audit::Verdict::verified);
}

TEST_CASE(
    "opening writes a sign of life where one is due, and closing the devices' map: neither "
    "oftener") {
  Service service;
  (void)service.commission();
  const auto count = [&](const std::string& operation) {
    sqlite::Database database(service.config().database, sqlite::Mode::read_only);
    auto row = database.query("SELECT count(*) FROM record WHERE instr(bytes,?)");
    row.bind("\"op\":\"" + operation + "\"");
    row.step();
    return row.integer(0);
  };
  const auto reopen = [&] {
    service.kms.reset();
    service.open();
  };
  service.kms->checkpoint();
  const auto beats = count("audit.heartbeat"), maps = count("audit.device-map");
  reopen();
  reopen();
  CHECK(count("audit.heartbeat") == beats);
  CHECK(count("audit.device-map") == maps);
  const auto now = Service::now;
  service.kms.reset();
  Service::now += service.config().audit.heartbeat;
  service.open();
  CHECK(count("audit.heartbeat") == beats + 1);
  CHECK(count("audit.device-map") == maps);
  reopen();
  CHECK(count("audit.heartbeat") == beats + 1);
  CHECK(count("audit.device-map") == maps + 1);
  CHECK(verdict(service).verdict == audit::Verdict::verified);
  Service::now = now;
  service.kms->checkpoint();
}

TEST_CASE(
    "a head that can't be kept: nothing is released, and it is tried again before anything else") {
  Service service;
  auto meter = service.commission();
  const auto file = service.config().database.string() + ".heads", away = file + ".away";
  std::filesystem::rename(file, away);
  std::filesystem::create_directory(file);
  CHECK(contains(message_of<StorageError>([&] { (void)service.release_one(meter, KeyRole::gak); }),
                 "can't be kept in " + file));
  std::filesystem::remove(file);
  std::filesystem::rename(away, file);
  service.kms->checkpoint();
  service.kms.reset();
  service.open();
  CHECK(verdict(service).verdict == audit::Verdict::verified);
}

TEST_CASE(
    "a token compromise whose head can't be kept is recorded all the same, and nothing is wrapped "
    "until it has ended") {
  Service service;
  auto meter = service.commission();
  const auto file = service.config().database.string() + ".heads", away = file + ".away";
  std::filesystem::rename(file, away);
  std::filesystem::create_directory(file);
  CHECK_THROWS_AS((void)service.kms->compromise_token("an image was found", both,
                                                      meter.id().to_string() + ".token"),
                  StorageError);
  std::filesystem::remove(file);
  std::filesystem::rename(away, file);
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::gak); }) == "token-suspected");
  service.kms.reset();
  service.open();
  CHECK(service.standing(meter.id(), KeyRole::kek, 1) == "compromised confirmed");
  CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::gak); }) == "no-usable-kek");
  CHECK(verdict(service).verdict == audit::Verdict::verified);
}

// From here on the tests write into the registry what no story has: its trail is not verified any
// more.
TEST_CASE(
    "a destruction that was settled, repeated and interrupted again leaves the registry usable") {
  Service service;
  auto meter = service.commission();
  for (int i = 0; i < 3; ++i) service.rotate_one(meter, KeyRole::gak);
  const KeyRef first{meter.id(), KeyRole::gak, 1}, second{meter.id(), KeyRole::gak, 2};
  const auto op = meter.id().to_string() + ".1";
  as_one_that_died(service, [&](auto& context) {
    begin_destruction(context, op, {first, second});
  });
  service.open();
  service.kms->destroy(std::span(&first, 1), both);
  // Begun again, and naming a key that another operation has destroyed meanwhile.
  as_one_that_died(service,
                   [&](auto& context) { begin_destruction(context, op, {second}, {first}); });
  service.open();
  CHECK(service.standing(meter.id(), KeyRole::gak, 1) == "destroyed confirmed");
  service.kms->destroy(std::span(&second, 1), both);
  CHECK(service.standing(meter.id(), KeyRole::gak, 2) == "destroyed confirmed");
  service.kms.reset();
  service.open();
}

TEST_CASE("a GAK that would prove a KEK which is being destroyed is not taken as accepted yet") {
  Service service;
  auto meter = service.commission();
  (void)service.kms->record_reply(service.release_one(meter, KeyRole::kek), success);
  const auto gak = service.release_one(meter, KeyRole::gak);
  list_for_destruction(service, "elsewhere", {{meter.id(), KeyRole::kek, 2}});
  CHECK(rule_of([&] { (void)service.kms->record_reply(gak, success); }) == "operation-open");
  CHECK(service.standing(meter.id(), KeyRole::kek, 2) == "pre-active unproven");
  sql(service, "DELETE FROM operation WHERE id='elsewhere'");
  CHECK(service.kms->record_reply(gak, success).delivery == Delivery::confirmed);
  // What nobody can bring to its end is told, and stops no opening: no log has this decision.
  const auto id = service.key(meter.id(), KeyRole::gak, 1).id;
  service.kms.reset();
  list_for_destruction(service, "elsewhere-2", {{meter.id(), KeyRole::gak, 1}});
  service.log.clear();
  service.open();
  CHECK(service.objects(id) == 1);
  CHECK(service.standing(meter.id(), KeyRole::gak, 1) == "active confirmed");
  REQUIRE(service.log.size() == 1);
  CHECK(contains(service.log.front(), "elsewhere-2"));
  const auto last = audit::Record::decode(service.records().back().bytes);
  CHECK(last.text(audit::Field::result) == "refused");
  CHECK(last.text(audit::Field::detail) == "differs-from-trail");
  sql(service, "DELETE FROM operation WHERE id='elsewhere-2'");
  service.kms.reset();
  service.open();
}

TEST_CASE("a key that is being destroyed is not destroyed by a second operation") {
  Service service;
  auto meter = service.commission();
  for (int i = 0; i < 2; ++i) service.rotate_one(meter, KeyRole::gak);
  const KeyRef first{meter.id(), KeyRole::gak, 1};
  list_for_destruction(service, "elsewhere", {first});
  CHECK(rule_of([&] { service.kms->destroy(std::span(&first, 1), both); }) == "operation-open");
  // Nor does an answer that comes late change what is being destroyed: no opening could settle it
  // then.
  const auto transfer = service.release_one(meter, KeyRole::gak);
  list_for_destruction(service, "elsewhere", {{meter.id(), KeyRole::gak, 3}});
  CHECK(rule_of([&] { (void)service.kms->record_reply(transfer, success); }) == "operation-open");
  CHECK(rule_of([&] { (void)service.kms->record_reply(transfer, std::nullopt); }) ==
        "operation-open");
  CHECK(service.standing(meter.id(), KeyRole::gak, 3) == "pre-active released");
  list_for_destruction(service, "elsewhere", {});
  (void)service.kms->record_reply(transfer, std::nullopt);
  list_for_destruction(service, "elsewhere", {{meter.id(), KeyRole::gak, 3}});
  CHECK(rule_of([&] {
          service.kms->resolve({meter.id(), KeyRole::gak, 3}, ProbeResult::new_key, "seen", both);
        }) == "operation-open");
  sql(service, "DELETE FROM operation WHERE id='elsewhere'");
  CHECK_NOTHROW(service.kms->destroy(std::span(&first, 1), both));
}

TEST_CASE("what a compromise came before is not handed out again") {
  Service service;
  auto meter = service.commission();
  const auto wanted = request(meter, {KeyRole::gak}, meter.id().to_string() + ".again");
  (void)service.kms->rotate(wanted);
  (void)service.kms->compromise({meter.id(), KeyRole::gak, 1}, "lost laptop", both);
  CHECK(rule_of([&] { (void)service.kms->rotate(wanted); }) == "compromised");
}
