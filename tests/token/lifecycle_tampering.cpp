// SPDX-License-Identifier: Apache-2.0
// What a thief changes behind the key manager's back: rows of the registry, objects of the token.
#include "registry/registry.hpp"
#include "token/lifecycle_support.hpp"
#include "vault/enrolment.hpp"
#include "vault/templates.hpp"

using namespace smets1kms;
using namespace test;
using pkcs11::Handle;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

namespace {

std::string where(DeviceId device, KeyRole role, int generation) {
  return "device=" + std::to_string(static_cast<std::int64_t>(device.number())) +
         " AND role=" + std::to_string(static_cast<int>(role)) +
         " AND generation=" + std::to_string(generation);
}

/// Under the key manager that is open: its lock keeps out those who ask for it.
void sql(const Service& service, const std::string& text) {
  sqlite::Database(service.config().database, sqlite::Mode::read_write).execute(text.c_str());
}

void exchange(const Service& service, const std::string& column, const std::string& one,
              const std::string& other) {
  sql(service, "CREATE TEMP TABLE swap AS SELECT (SELECT " + column + " FROM key WHERE " + one +
                   ") AS a,(SELECT " + column + " FROM key WHERE " + other +
                   ") AS b;UPDATE key SET " + column + "=(SELECT b FROM swap) WHERE " + one +
                   ";UPDATE key SET " + column + "=(SELECT a FROM swap) WHERE " + other);
}

std::string last_refusal(const Service& service, DeviceId device) {
  const auto record = service.trail(device).back();
  return record.text(audit::Field::result) == "refused"
             ? std::string(record.text(audit::Field::detail))
             : "";
}

}  // namespace

TEST_CASE("a blob that is not the one recorded is not released again") {
  Service service;
  auto meters = service.commission_fleet({{}, {}});
  auto &meter = meters[0], &other = meters[1];
  service.rotate_one(meter, KeyRole::guek);
  service.rotate_one(other, KeyRole::guek);
  const auto operation = meter.id().to_string() + ".swap";
  const auto wanted = request(meter, {KeyRole::guek}, operation);
  const auto first = service.kms->rotate(wanted).transfers().front();
  const auto row = where(meter.id(), KeyRole::guek, 2);
  const auto again = [&] { return rule_of([&] { (void)service.kms->rotate(wanted); }); };
  CHECK(wrapped_in(service.kms->rotate(wanted).transfers().front()) == wrapped_in(first));

  const std::string blob = "(SELECT wrapped FROM key WHERE ",
                    changes[] = {blob + where(other.id(), KeyRole::guek, 1) + ")",
                                 blob + where(meter.id(), KeyRole::guek, 1) + ")", "x''", "NULL",
                                 "substr(wrapped,1,16)"};
  sql(service, "CREATE TABLE kept AS SELECT wrapped FROM key WHERE " + row);
  for (const auto& change : changes) {
    CAPTURE(change);
    sql(service, "UPDATE key SET wrapped=" + change + " WHERE " + row);
    CHECK(again() == "differs-from-trail");
    CHECK(last_refusal(service, meter.id()) == "differs-from-trail");
  }
  sql(service,
      "UPDATE key SET wrapped=(SELECT wrapped FROM kept) WHERE " + row + ";DROP TABLE kept");
  CHECK(again().empty());
  // An older key's row moved to the operation, its own blob with it: meters would use a key, and
  // its nonces, twice.
  sql(service,
      "UPDATE key SET operation='" + operation + "' WHERE " + where(meter.id(), KeyRole::guek, 1));
  CHECK(again() == "differs-from-trail");
}

TEST_CASE("KEK ids exchanged in the registry: no key of one device under the KEK of another") {
  for (const auto mode : {EnrolmentMode::plain, EnrolmentMode::officer}) {
    Service service(mode);
    auto meters = service.commission_fleet({{}, {}});
    const auto one = where(meters[0].id(), KeyRole::kek, 1),
               other = where(meters[1].id(), KeyRole::kek, 1);
    service.rotate_one(meters[0], KeyRole::guek);  // its KEK has been looked at once
    exchange(service, "id", one, other);
    for (const auto& meter : meters) {
      CHECK(rule_of([&] { (void)service.release_one(meter, KeyRole::gak); }) ==
            "differs-from-trail");
      CHECK(service.count(meter.id(), KeyRole::gak) == 0);
    }
    exchange(service, "id", one, other);
    for (auto& meter : meters) service.rotate_one(meter, KeyRole::gak);
    // GUEK and GAK of one device likewise.
    exchange(service, "id", where(meters[0].id(), KeyRole::guek, 1),
             where(meters[0].id(), KeyRole::gak, 1));
    CHECK(rule_of([&] { (void)service.same_key(meters[0], KeyRole::guek, 1); }) ==
          "differs-from-trail");
  }
}

TEST_CASE("labels can't be changed, by set or by copy") {
  for (const auto mode : {EnrolmentMode::plain, EnrolmentMode::officer}) {
    Service service(mode);
    auto meter = service.commission();
    for (const auto role : {KeyRole::guek, KeyRole::gak}) service.rotate_one(meter, role);
    service.pool(mode)->run([&](Session& session) {
      for (const auto role : {KeyRole::kek, KeyRole::guek, KeyRole::gak}) {
        const auto id = service.key(meter.id(), role, 1).id;
        const auto found =
            session.find_objects(Template().add(attr::id, {id.raw().begin(), id.raw().end()}));
        REQUIRE(found.size() == 1);
        CHECK_THROWS_AS(session.set(found.front(), Template().add(attr::label, "another")),
                        pkcs11::Error);
        CHECK_THROWS_AS(
            (void)session.copy_object(found.front(), Template().add(attr::label, "another")),
            pkcs11::Error);
        CHECK(session.need(found.front(), attr::label) ==
              "smets1-kms/" + std::string(to_string(role)) + "/" + meter.id().to_string() + "/1");
      }
    });
  }
}

TEST_CASE("what waits for the officer is what the rotation sealed") {
  Service service(EnrolmentMode::officer);
  auto meters = service.commission_fleet({{}, {}, {}});
  for (auto& meter : meters) {
    service.rotate_one(meter, KeyRole::gak);
    service.rotate_one(meter, KeyRole::kek);
  }
  const auto one = where(meters[0].id(), KeyRole::kek, 2),
             other = where(meters[1].id(), KeyRole::kek, 2);
  exchange(service, "awaiting", one, other);
  service.kms.reset();
  const auto result = service.enrolment(both).admit_waiting();
  CHECK(result.admitted == 1);  // the third
  REQUIRE(result.failures.size() == 2);
  for (const auto& failure : result.failures)
    CHECK(contains(failure, "not the one that the trail recorded"));
  service.open();
  for (int i : {0, 1}) {
    CHECK(last_refusal(service, meters[static_cast<std::size_t>(i)].id()) == "differs-from-trail");
    CHECK(rule_of([&] {
            (void)service.release_one(meters[static_cast<std::size_t>(i)], KeyRole::gak);
          }) == "kek-not-enrolled");
  }
  exchange(service, "awaiting", one, other);
  CHECK(service.admit_waiting() == 2);
  for (auto& meter : meters) service.rotate_one(meter, KeyRole::gak);
}

namespace {

const pkcs11::Attribute<pkcs11::Bytes> private_exponent{CKA_PRIVATE_EXPONENT}, prime_1{CKA_PRIME_1},
    prime_2{CKA_PRIME_2};

/// A closed service, and a thief who logs in when the officer is not there. What he makes goes
/// again with this.
struct ImportKey {
  Service service;
  const std::string pem, id;
  const KeyId his = KeyId::random();

  explicit ImportKey(EnrolmentMode mode)
      : service(mode), pem(exported()), id(*registry().setting("import_key")) {}
  ~ImportKey() {
    registry().set_setting("import_key", id);
    remove_his();
  }
  registry::Registry registry() const {
    return registry::Registry::open(service.config().database, sqlite::Mode::read_write);
  }
  std::string exported() {
    service.kms.reset();
    return service.enrolment(both).make_keys();
  }
  std::string refused() {
    return rule_of([&] { (void)exported(); });
  }
  template <class Work>
  auto as_thief(Work work) const {
    return service.pool(service.mode)->run(work);
  }
  void remove_his() const {
    as_thief([&](Session& session) {
      for (const auto object : with_id(session, his)) session.destroy_object(object);
    });
  }
  static std::vector<Handle> with_id(Session& session, const KeyId& which) {
    return session.find_objects(
        Template().add(attr::token, true).add(attr::id, {which.raw().begin(), which.raw().end()}));
  }
  std::string last_record() const { return registry().last_record()->bytes; }
};

}  // namespace

TEST_CASE("the import key that is given out is the private half's own") {
  ImportKey key(EnrolmentMode::plain);
  Template original;
  const auto replace = [&](const Template& by) {
    key.as_thief([&](Session& session) {
      for (const auto object : ImportKey::with_id(session, KeyId::parse(key.id))) {
        if (session.need(object, attr::object_class) != CKO_PUBLIC_KEY) continue;
        original = vault::attributes(vault::ObjectPurpose::import_public_key, {},
                                     token_profile(EnrolmentMode::plain))
                       .add(attr::object_class, CKO_PUBLIC_KEY)
                       .add(attr::key_type, CKK_RSA)
                       .add(attr::id, session.need(object, attr::id))
                       .add(attr::label, session.need(object, attr::label))
                       .add(attr::public_exponent, session.need(object, attr::public_exponent))
                       .add(attr::modulus, session.need(object, attr::modulus));
        session.destroy_object(object);
      }
      if (!by.empty()) session.create_object(by);
    });
  };
  replace({});
  CHECK(key.exported() == key.pem);
  const auto ours = original;
  auto modulus = *ours.find(attr::modulus);
  modulus[1] ^= 1;  // nobody can tell a modulus by its looks
  replace(Template(ours).set(attr::modulus, modulus));
  CHECK(key.exported() == key.pem);
  replace(ours);
  CHECK(key.exported() == key.pem);
}

TEST_CASE("an import key that was not made here is neither given out nor used") {
  for (const auto mode : {EnrolmentMode::plain, EnrolmentMode::officer}) {
    ImportKey key(mode);
    key.registry().set_setting("import_key", key.his.to_string());
    CHECK(key.refused() == "import-key-replaced");  // none at all
    // Made in the token by a thief, as ours is: only the trail tells.
    key.as_thief([&](Session& session) {
      (void)vault::make_import_key(session, key.his, token_profile(mode));
    });
    CHECK(key.refused() == "import-key-replaced");
    CHECK(contains(key.last_record(), "import-key-replaced"));
    key.remove_his();
    // Brought along, so that he knows it: the token says that it was not born there.
    auto known =
        vault::attributes(vault::ObjectPurpose::import_private_key, {}, token_profile(mode));
    known.add(attr::object_class, CKO_PRIVATE_KEY)
        .add(attr::key_type, CKK_RSA)
        .add(attr::id, {key.his.raw().begin(), key.his.raw().end()})
        .add(attr::label, "smets1-kms/import")
        .add(attr::modulus, random_bytes(384))
        .add(attr::public_exponent, {1, 0, 1})
        .add(private_exponent, random_bytes(384))
        .add(prime_1, random_bytes(192))
        .add(prime_2, random_bytes(192));
    key.as_thief([&](Session& session) { session.create_object(known); });
    const auto message = message_of<Refused>([&] { (void)key.exported(); });
    CHECK(contains(message, "CKA_LOCAL"));
    key.registry().set_setting("import_key", key.id);
    CHECK(key.exported() == key.pem);
  }
}

TEST_CASE(
    "a template within a template: what plain enrolment would need, and SoftHSM does not take") {
  // The day this fails the import key can ask a transport key for its UNWRAP_TEMPLATE without the
  // officer's TRUSTED, and the rows of tests/security that are open in plain mode close.
  const Service service;
  service.pool()->run([](Session& session) {
    auto private_key = vault::attributes(vault::ObjectPurpose::import_private_key, {},
                                         token_profile(EnrolmentMode::plain));
    auto nested = *private_key.find(attr::unwrap_template);
    nested.add(attr::unwrap_template,
               Template().add(attr::sensitive, true).add(attr::extractable, false));
    private_key.set(attr::token, false).set(attr::unwrap_template, nested);
    auto public_key = vault::attributes(vault::ObjectPurpose::import_public_key, {},
                                        token_profile(EnrolmentMode::plain));
    public_key.set(attr::token, false)
        .set(attr::modulus_bits, 2048)
        .set(attr::public_exponent, {1, 0, 1});
    CHECK_THROWS_AS((void)session.generate_key_pair(pkcs11::Mechanism(CKM_RSA_PKCS_KEY_PAIR_GEN),
                                                    public_key, private_key),
                    pkcs11::Error);
  });
}
