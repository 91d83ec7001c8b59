// SPDX-License-Identifier: Apache-2.0
// Who can write the registry, and has neither a PIN nor the audit key: whatever he writes into a
// row, nothing is destroyed, nothing is marked, and nothing is released of a device whose rows
// contradict the log.
#include <algorithm>
#include <map>
#include <set>

#include "audit/hash.hpp"
#include "lifecycle/key_rules.hpp"
#include "registry/registry.hpp"
#include "support/test_token.hpp"
#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;
using audit::Field;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

namespace {

sqlite::Database database(const Service& service) {
  return {service.config().database, sqlite::Mode::read_write};
}
void sql(const Service& service, const std::string& text) {
  database(service).execute(text.c_str());
}
std::string number(DeviceId id) { return std::to_string(static_cast<std::int64_t>(id.number())); }

std::vector<std::string> column(const Service& service, const std::string& query) {
  std::vector<std::string> all;
  auto opened = database(service);
  for (auto row = opened.query(query.c_str()); row.step();)
    all.push_back(row.is_null(0) ? "" : row.text(0));
  return all;
}
std::string value(const Service& service, const std::string& query) {
  const auto all = column(service, query);
  return all.empty() ? "" : all.front();
}

/// Ids of every key object in the token.
std::multiset<Bytes> objects() {
  return Service::pool()->run([](Session& session) {
    std::multiset<Bytes> ids;
    for (const auto kind : {CKO_SECRET_KEY, CKO_PRIVATE_KEY, CKO_PUBLIC_KEY})
      for (const auto object :
           session.find_objects(Template().add(attr::object_class, kind).add(attr::token, true)))
        if (const auto id = session.get(object, attr::id))
          ids.insert(Bytes(id->begin(), id->end()));
    return ids;
  });
}
bool has_all(const std::multiset<Bytes>& now, const std::multiset<Bytes>& before) {
  return std::ranges::includes(now, before);
}

std::size_t compromised(const Service& service) {
  return std::stoul(value(service, "SELECT count(*) FROM key WHERE state IN (5,7)"));
}

void forge_operation(const Service& service, const std::string& id, const std::string& kind,
                     const std::string& detail, std::uint64_t intent,
                     const std::vector<KeyRef>& keys = {}) {
  registry::Registry::open(service.config().database, sqlite::Mode::read_write)
      .put_operation({.id = id, .kind = kind, .detail = detail, .intent = intent}, keys);
}
void forget_operation(const Service& service, const std::string& id) {
  sql(service, "DELETE FROM operation WHERE id='" + id +
                   "';DELETE FROM operation_key WHERE "
                   "operation='" +
                   id + "'");
}

/// Opens the service, and does what opens a token.
std::string message_of_opening(Service& service) {
  service.log.clear();
  return message_of<Error>([&] {
    service.open();
    (void)service.kms->fleet().summary();
    (void)service.kms->checkpoint();
  });
}

}  // namespace

TEST_CASE("a forged row of an open operation destroys and marks nothing, of whatever kind") {
  Service service;
  auto meter = service.commission();
  for (const auto role : {KeyRole::guek, KeyRole::guek, KeyRole::gak})
    service.rotate_one(meter, role);
  const auto kek = service.key(meter.id(), KeyRole::kek, 1);
  const KeyRef guek{meter.id(), KeyRole::guek, 1};
  service.kms.reset();
  const auto audit_key = value(service, "SELECT value FROM setting WHERE name='audit_key'"),
             import_key = value(service, "SELECT value FROM setting WHERE name='import_key'");
  const auto before = objects();
  const auto marked = compromised(service);
  const std::string identities = "\ns1sp:x\ndco:y\nINC-1\nstolen";
  struct Forged {
    std::string kind, detail;
    std::vector<KeyRef> keys{};
  };
  const Forged all[] = {
      {"key.destroy", "", {guek}},
      {"key.destroy", "", {kek.ref()}},
      {"audit-key.destroy", audit_key},
      {"token-key.destroy", kek.id.to_string()},
      {"token-key", kek.id.to_string()},
      {"token-key", import_key},
      {"token.compromise", "0\n0" + identities},
      {"target.end", "head-end\nhead-end/1\n" + kek.id.to_string() + "\nforget\n\n0" + identities},
      {"target.end", "head-end\nhead-end/1\n\nforget\n\n0" + identities},
      {"rotate", ""},
      {"key.enrol", "", {kek.ref()}},
      {"nothing known", kek.id.to_string()}};
  const auto last = std::stoul(value(service, "SELECT max(idx) FROM record"));
  for (const auto& forged : all)
    for (const std::uint64_t intent : {std::uint64_t{0}, kek.made, std::uint64_t{last + 1000}}) {
      CAPTURE(forged.kind);
      CAPTURE(intent);
      forge_operation(service, "forged", forged.kind, forged.detail, intent, forged.keys);
      CHECK(message_of_opening(service) == "");
      CHECK(std::ranges::any_of(service.log, [](const std::string& line) {
        return contains(line, "nothing of it is done");
      }));
      CHECK_NOTHROW((void)service.same_key(meter, KeyRole::gak, 1));  // it serves everything else
      service.kms.reset();
      CHECK(has_all(objects(), before));
      CHECK(compromised(service) == marked);
      CHECK(value(service,
                  "SELECT count(*) FROM record WHERE bytes LIKE '%\"op_id\":\"forged\"%' AND "
                  "bytes LIKE '%differs-from-trail%'") != "0");
      forget_operation(service, "forged");
    }
}

TEST_CASE("an operation that has ended is not opened again by its row") {
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::guek);
  service.rotate_one(meter, KeyRole::guek);
  const std::vector<KeyRef> keys{{meter.id(), KeyRole::guek, 1}};
  const auto id = meter.id().to_string() + ".ended";
  service.kms->destroy(keys, both, id);
  service.kms.reset();
  sql(service, "UPDATE operation SET state=0 WHERE id='" + id + "'");
  // The row lists another key besides, whose object would go.
  sql(service, "INSERT INTO operation_key VALUES(" + number(meter.id()) + ",0,2,'" + id + "')");
  const auto before = objects();
  CHECK(message_of_opening(service) == "");
  service.kms.reset();
  CHECK(has_all(objects(), before));
  sql(service, "UPDATE operation SET state=1 WHERE id='" + id +
                   "';DELETE FROM operation_key WHERE operation='" + id + "' AND generation=2");
  service.open();
  CHECK(service.standing(meter.id(), KeyRole::guek, 2) == "active confirmed");
}

TEST_CASE("a record and its intent forged with leaf and head, but without the audit key") {
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::guek);
  service.rotate_one(meter, KeyRole::guek);
  service.kms->checkpoint();
  service.kms.reset();
  const auto key = registry::Registry::open(service.config().database, sqlite::Mode::read_only)
                       .keys(meter.id())
                       .front();
  // The device's last record becomes the intent to destroy; its leaf and the device's head with it.
  auto opened = registry::Registry::open(service.config().database, sqlite::Mode::read_write);
  const auto head = opened.head(meter.id());
  const auto entry = *opened.record(head.record);
  auto record = audit::Record::decode(entry.bytes);
  record.set(Field::op, "key.destroy")
      .set(Field::phase, "intent")
      .set(Field::op_id, "forged")
      .set(Field::key_id, key.id.to_string())
      .set(Field::role, to_string(key.role))
      .set(Field::generation, key.generation)
      .set(Field::requested_by, "s1sp:x")
      .set(Field::authorised_by, "dco:y")
      .set(Field::reference, "INC-1");
  const auto rewrite = [&](const std::string& bytes) {
    const auto leaf = audit::leaf_hash(bytes);
    opened.database()
        .query("UPDATE record SET bytes=?,leaf=? WHERE idx=?")
        .bind(bytes)
        .bind(std::span<const std::uint8_t>(leaf))
        .bind(head.record)
        .run();
    opened.set_head(meter.id(), {.sequence = head.sequence, .record = head.record, .leaf = leaf});
  };
  const auto before = objects();
  rewrite(record.encode());
  forge_operation(service, "forged", "key.destroy", "", entry.index,
                  {{meter.id(), key.role, key.generation}});
  CHECK(contains(message_of_opening(service), "not those that its last head was signed over"));
  service.kms.reset();
  CHECK(has_all(objects(), before));
  // The same behind the last head.
  rewrite(entry.bytes);
  const auto next = static_cast<std::int64_t>(opened.last_record()->index + 1);
  record.set(Field::device_seq, head.sequence + 1);
  opened.append_record(next, record.encode(), audit::leaf_hash(record.encode()), head.record);
  CHECK(contains(message_of_opening(service), "stands behind its last signed head"));
  CHECK(has_all(objects(), before));
  opened.database().query("DELETE FROM record WHERE idx=?").bind(next).run();
  forget_operation(service, "forged");
  CHECK(message_of_opening(service) == "");
}

TEST_CASE("a destruction does not follow a row to another device's key, whatever was rewritten") {
  Service service;
  auto meters = service.commission_fleet({{}, {}});
  for (auto& meter : meters)
    for (int i = 0; i < 2; ++i) service.rotate_one(meter, KeyRole::guek);
  const auto victim = service.key(meters[1].id(), KeyRole::guek, 2);
  const auto row = service.key(meters[0].id(), KeyRole::guek, 1);
  const auto where = "device=" + number(row.device) + " AND role=0 AND generation=1";
  const auto before = objects();
  const auto destroy = [&] {
    return rule_of([&] { service.kms->destroy(std::vector{row.ref()}, both); });
  };
  sql(service, "CREATE TABLE kept AS SELECT * FROM key WHERE " + where);
  sql(service, "UPDATE key SET id=x'" + victim.id.to_string() + "' WHERE " + where);
  CHECK(destroy() == "differs-from-trail");
  // The records that the row names say the same, each with its leaf.
  auto opened = registry::Registry::open(service.config().database, sqlite::Mode::read_write);
  std::map<std::uint64_t, std::string> kept;
  for (const auto index : {row.made, row.record}) {
    const auto entry = *opened.record(static_cast<std::int64_t>(index));
    kept[index] = entry.bytes;
    auto record = audit::Record::decode(entry.bytes);
    record.set(Field::key_id, victim.id.to_string());
    const auto leaf = audit::leaf_hash(record.encode());
    opened.database()
        .query("UPDATE record SET bytes=?,leaf=? WHERE idx=?")
        .bind(record.encode())
        .bind(std::span<const std::uint8_t>(leaf))
        .bind(static_cast<std::int64_t>(index))
        .run();
  }
  CHECK(destroy() == "differs-from-trail");
  CHECK(has_all(objects(), before));
  for (const auto& [index, bytes] : kept) {
    const auto leaf = audit::leaf_hash(bytes);
    opened.database()
        .query("UPDATE record SET bytes=?,leaf=? WHERE idx=?")
        .bind(bytes)
        .bind(std::span<const std::uint8_t>(leaf))
        .bind(static_cast<std::int64_t>(index))
        .run();
  }
  sql(service, "UPDATE key SET id=(SELECT id FROM kept) WHERE " + where + ";DROP TABLE kept");
  CHECK(destroy() == "");
}

TEST_CASE("each column of each table written falsely: nothing goes, and nothing is released") {
  Service service;
  auto meter = service.commission();
  for (const auto role : {KeyRole::guek, KeyRole::guek, KeyRole::gak, KeyRole::kek})
    service.rotate_one(meter, role);
  service.rotate_one(meter, KeyRole::gak);  // proves the KEK
  service.kms.reset();
  // Columns of a device's own rows that no rotation of it is refused for.
  const std::map<std::string, std::string> irrelevant = {
      {"device.system_title", "no record has it; it is compared among devices on import"},
      {"device.no_kek_reason", "why there was no KEK, and there is one now"},
      {"key.created_at", "shown only: the policy judges by the times of the log's records"},
      {"key.in_doubt_at", "a time shown and judged by reports, never an operation's"},
      {"key.confirmed_at", "likewise"},
      {"key.not_held_at", "likewise"},
      {"key.compromised_at", "likewise"},
      {"key.wrapped", "compared with the log where it is released"},
      {"key.awaiting", "compared with the log where the officer admits it"},
      {"key.sealed_under", "sealed vault: compared by its MAC and the log"},
      {"key.sealed", "likewise"},
      {"key.mac", "likewise"},
      {"key.sealed_record", "likewise"}};
  const auto own = [&](const std::string& table) -> std::string {
    if (table == "device") return "id=" + number(meter.id());
    if (table == "key") return "device=" + number(meter.id()) + " AND role=3 AND generation=2";
    return "";
  };
  for (const auto& table :
       column(service,
              "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE "
              "'sqlite_%' ORDER BY name"))
    for (const auto& name :
         column(service, "SELECT name FROM pragma_table_info('" + table + "')")) {
      const auto keys = column(
          service, "SELECT name FROM pragma_table_info('" + table + "') WHERE pk>0 ORDER BY pk");
      std::string picks;
      for (const auto& key : keys)
        picks += (picks.empty() ? "" : "||' AND '||") + ("'" + key + "='||quote(" + key + ")");
      const auto chosen = own(table);
      auto row = value(service, "SELECT " + picks + " FROM " + table +
                                    (chosen.empty() ? " ORDER BY 1 DESC" : " WHERE " + chosen) +
                                    " LIMIT 1");
      if (row.empty()) continue;  // no row
      CAPTURE(table);
      CAPTURE(name);
      CAPTURE(row);
      const auto was = value(service, "SELECT quote(" + name + ") FROM " + table + " WHERE " + row);
      const auto before = objects();
      const auto marked = compromised(service);
      const bool is_key = std::ranges::find(keys, name) != keys.end();
      try {
        sql(service, "UPDATE " + table + " SET " + name + "=CASE typeof(" + name +
                         ") WHEN 'integer' THEN " + name + "+" + (is_key ? "100000" : "1") +
                         " WHEN 'text' THEN " + name + "||'x' WHEN 'blob' THEN zeroblob(length(" +
                         name + ")) ELSE 1 END WHERE " + row);
      } catch (const StorageError&) {  // a constraint of the schema forbids it
        continue;
      }
      if (is_key) {  // the row is found by its new name
        const auto old = name + "=" + was;
        row.replace(
            row.find(old), old.size(),
            name + "=" +
                (was.front() == '\''  ? was.substr(0, was.size() - 1) + "x'"
                 : was.front() == 'X' ? "zeroblob(" + std::to_string((was.size() - 3) / 2) + ")"
                                      : std::to_string(std::stoll(was) + 100000)));
      }
      const auto opening = message_of_opening(service);
      std::string rotation = "not opened";
      if (service.kms)
        rotation =
            message_of<Error>([&] { (void)service.kms->rotate(request(meter, {KeyRole::gbek})); });
      service.kms.reset();
      CAPTURE(opening);
      CAPTURE(rotation);
      CHECK(has_all(objects(), before));
      CHECK(compromised(service) == marked);
      if (!chosen.empty() && !irrelevant.contains(table + "." + name)) CHECK(rotation != "");
      sql(service, "UPDATE " + table + " SET " + name + "=" + was + " WHERE " + row);
      if (rotation.empty()) {  // so that the next one is not in doubt
        service.open();
        for (const auto& key : service.kms->fleet().keys(meter.id()))
          if (key.role == KeyRole::gbek && key.delivery == Delivery::released)
            (void)service.kms->record_reply(meter.id(), key.transfer, success);
        service.kms.reset();
      }
    }
  CHECK(message_of_opening(service) == "");
}

TEST_CASE("the registry of another store beside this token is refused by name") {
  if (TestToken::is_softokn) return;  // both kinds of vault are in one token there
  Service service;
  Service other(EnrolmentMode::plain, VaultKind::sealed);
  other.kms.reset();
  service.kms.reset();
  auto config = service.config();
  config.database = other.config().database;
  const auto message = message_of<StorageError>([&] { (void)KeyManager::open(config); });
  CHECK(contains(message, "do not belong together"));
  const auto store = value(service, "SELECT value FROM setting WHERE name='store'");
  CHECK(contains(message, store));
  service.open();
}
