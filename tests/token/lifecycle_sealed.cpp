// SPDX-License-Identifier: Apache-2.0
// The sealed vault: keys rest in the registry, wrapped and bound; what was changed there is refused
// before it is unwrapped.
#include <algorithm>
#include <thread>

#include "lifecycle/token_keys.hpp"
#include "registry/registry.hpp"
#include "token/lifecycle_support.hpp"
#include "vault/vault.hpp"

using namespace smets1kms;
using namespace test;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

namespace {

std::string where(DeviceId device, KeyRole role, int generation) {
  return "device=" + std::to_string(static_cast<std::int64_t>(device.number())) +
         " AND role=" + std::to_string(static_cast<int>(role)) +
         " AND generation=" + std::to_string(generation);
}

void sql(const Service& service, const std::string& text) {
  sqlite::Database(service.config().database, sqlite::Mode::read_write).execute(text.c_str());
}

registry::Registry registry_of(const Service& service) {
  return registry::Registry::open(service.config().database, sqlite::Mode::read_only);
}

SealedKey sealed(const Service& service, DeviceId device, KeyRole role, std::uint32_t generation) {
  return registry_of(service).sealed(service.key(device, role, generation))->key;
}

std::size_t secret_keys(const Service& service, bool in_token) {
  return Service::pool(service.mode, VaultKind::sealed)->run([&](Session& session) {
    return session
        .find_objects(Template().add(attr::object_class, CKO_SECRET_KEY).add(attr::token, in_token))
        .size();
  });
}

audit::Record last_outcome(const Service& service, DeviceId device, std::string_view operation) {
  audit::Record found;
  for (const auto& record : service.trail(device))
    if (record.text(audit_field::op) == operation && record.text(audit_field::phase) != "intent")
      found = record;
  return found;
}

std::string digest(const Bytes& bytes) {
  return audit::to_hex(audit::sha256({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

/// The columns that a row rests by.
constexpr const char* at_rest = "sealed_under,sealed,mac,sealed_record";

std::vector<vault::StorageKey> storage_keys_of(const Service& service) {
  auto settings = registry_of(service);
  std::vector<vault::StorageKey> keys;
  for (const auto& key : lifecycle::storage_keys)
    keys.push_back({key.which, KeyId::parse(settings.setting(key.setting).value())});
  return keys;
}

}  // namespace

TEST_CASE("sealed: a device's whole life, with nothing of it in the token") {
  for (const auto mode : {EnrolmentMode::plain, EnrolmentMode::officer}) {
    CAPTURE(mode == EnrolmentMode::officer);
    Service service(mode, VaultKind::sealed);
    const auto in_token = secret_keys(service, true);
    auto meters = service.commission_fleet({{}, {.suite = "2"}, {.suite = "1"}});
    for (auto& meter : meters) {
      CHECK(service.key(meter.id(), KeyRole::kek, 1).is_sealed);
      for (const auto role : {KeyRole::guek, KeyRole::gbek, KeyRole::gak}) {
        service.rotate_one(meter, role);
        CHECK(service.same_key(meter, role, 1));
      }
      const auto blob = sealed(service, meter.id(), KeyRole::gak, 1).blob;
      CHECK(last_outcome(service, meter.id(), "key.generate").text(audit_field::sealed_sha256) ==
            digest(blob));
      CHECK(last_outcome(service, meter.id(), "key.generate").text(audit_field::attributes) ==
            "local,sensitive,always_sensitive,extractable");
      CHECK(last_outcome(service, meter.id(), "key.import").text(audit_field::sealed_sha256) ==
            digest(sealed(service, meter.id(), KeyRole::kek, 1).blob));

      // A new KEK waits for nobody: it is sealed at once, and proved by the next GAK.
      service.rotate_one(meter, KeyRole::kek);
      CHECK_FALSE(service.key(meter.id(), KeyRole::kek, 2).awaits_enrolment);
      CHECK(service.key(meter.id(), KeyRole::kek, 2).is_sealed);
      service.rotate_one(meter, KeyRole::gak);
      CHECK(service.same_key(meter, KeyRole::gak, 2));
      CHECK(service.standing(meter.id(), KeyRole::kek, 2) == "active confirmed");

      const KeyRef old{.device = meter.id(), .role = KeyRole::gak, .generation = 1};
      service.kms->destroy(std::span(&old, 1), both);
      CHECK_FALSE(service.registry_holds(blob));
      CHECK(last_outcome(service, meter.id(), "key.destroy").text(audit_field::result) ==
            "blobs-deleted");
      CHECK(rule_of([&] { (void)service.kms->prove(old, random_bytes(16)); }) == "destroyed");
    }
    CHECK(secret_keys(service, true) == in_token);
    CHECK(secret_keys(service, false) == 0);
  }
}

TEST_CASE("sealed: a registry may be mixed; a key is used where it rests") {
  for (const auto mode : {EnrolmentMode::plain, EnrolmentMode::officer}) {
    CAPTURE(mode == EnrolmentMode::officer);
    Service service(mode, VaultKind::sealed);
    service.keep_in(VaultKind::token);
    auto in_token = service.commission();
    service.keep_in(VaultKind::sealed);
    auto in_registry = service.commission();
    CHECK_FALSE(service.key(in_token.id(), KeyRole::kek, 1).is_sealed);
    // A KEK in the token, its new keys sealed: trusted wrapping keys take them under the officer's
    // enrolment.
    for (const auto role : {KeyRole::guek, KeyRole::gak}) {
      service.rotate_one(in_token, role);
      CHECK(service.key(in_token.id(), role, 1).is_sealed);
      CHECK(service.same_key(in_token, role, 1));
    }
    const bool trusts = contains(
        std::string(
            last_outcome(service, in_token.id(), "key.generate").text(audit_field::attributes)),
        "wrap_with_trusted");
    CHECK(trusts == (mode == EnrolmentMode::officer));
    if (mode == EnrolmentMode::officer) {
      // Opened so that it could be wrapped anew, a key leaves under no KEK: a trusted one in the
      // token takes LOCAL keys only.
      const auto blob = sealed(service, in_token.id(), KeyRole::guek, 1);
      const auto kek = service.key(in_token.id(), KeyRole::kek, 1).id;
      Service::pool(mode, VaultKind::sealed)->run([&](Session& session) {
        const auto by_id = [&](const KeyId& id) {
          return session
              .find_objects(Template()
                                .add(attr::token, true)
                                .add(attr::id, {id.raw().begin(), id.raw().end()}))
              .at(0);
        };
        const pkcs11::Mechanism key_wrap(CKM_AES_KEY_WRAP);
        const auto leaving =
            vault::opened(KeyRole::guek, SecuritySuite::suite_0, token_profile(mode))
                .set(attr::extractable, true);
        const auto opened = session.unwrap_key(key_wrap, by_id(blob.under), blob.blob, leaving);
        CHECK(contains(message_of<pkcs11::Error>(
                           [&] { (void)session.wrap_key(key_wrap, by_id(kek), opened); }),
                       "CKR_KEY_NOT_WRAPPABLE"));
        session.destroy_object(opened);
      });
    }
    // A sealed KEK, its new keys in the token.
    service.keep_in(VaultKind::token);
    for (const auto role : {KeyRole::guek, KeyRole::gak}) {
      service.rotate_one(in_registry, role);
      CHECK_FALSE(service.key(in_registry.id(), role, 1).is_sealed);
      service.kms.reset();
      service.open();
      CHECK(service.same_key(in_registry, role, 1));
      CHECK(service.objects(service.key(in_registry.id(), role, 1).id) == 1);
    }
    service.rotate_one(in_registry,
                       KeyRole::kek);  // one that the officer would have to trust stays sealed
    CHECK(service.key(in_registry.id(), KeyRole::kek, 2).is_sealed ==
          (mode == EnrolmentMode::officer));
    service.rotate_one(in_registry, KeyRole::gak);
    CHECK(service.same_key(in_registry, KeyRole::gak, 2));
    service.keep_in(VaultKind::sealed);
    service.rotate_one(in_token, KeyRole::kek);
    CHECK(service.key(in_token.id(), KeyRole::kek, 2).is_sealed);
    service.rotate_one(in_token, KeyRole::gak);
    CHECK(service.same_key(in_token, KeyRole::gak, 2));
  }
}

TEST_CASE(
    "sealed: rows exchanged, altered or put back are refused by the device's name; the rest of the "
    "batch goes on") {
  Service service(EnrolmentMode::officer, VaultKind::sealed);
  auto meters = service.commission_fleet({{}, {}, {}});
  for (auto& meter : meters) {
    service.rotate_one(meter, KeyRole::kek);
    service.rotate_one(meter, KeyRole::gak);
  }
  const auto bad = meters[1].id(), other = meters[0].id();
  const auto row = where(bad, KeyRole::kek, 2);
  sql(service, "CREATE TABLE kept AS SELECT * FROM key WHERE " + row);
  struct Change {
    const char* what;
    std::string set;
    const char* refusal;  ///< a rule, or what the token answered
  };
  const auto from = [](const std::string& columns, const std::string& source) {
    return "(" + columns + ")=(SELECT " + columns + " FROM key WHERE " + source + ")";
  };
  const auto old = where(bad, KeyRole::kek, 1), others = where(other, KeyRole::kek, 2),
             gak = where(bad, KeyRole::gak, 1);
  const std::string zeros = "zeroblob(16)";
  const Change changes[] = {
      {"blob of another device", from("sealed", others), "differs-from-trail"},
      {"all of another device's", from(at_rest, others), "differs-from-trail"},
      {"all of another role's", from(at_rest, gak), "differs-from-trail"},
      {"an older generation's, from a backup", from(at_rest, old), "differs-from-trail"},
      {"an older generation's with its id", from(std::string(at_rest) + ",id", old),
       "differs-from-trail"},
      {"blob altered", "sealed=substr(sealed,1,23)||iif(substr(sealed,24)=x'00',x'01',x'00')",
       "differs-from-trail"},
      {"blob emptied", "sealed=x''", "differs-from-trail"},
      {"record of nothing", "sealed_record=-1", "differs-from-trail"},
      {"MAC altered", "mac=" + zeros, "C_Verify"},
      {"MAC cut", "mac=substr(mac,1,8)", "C_Verify"},
      {"MAC of the older", from("mac", old), "C_Verify"},
      {"another class's storage key", from("sealed_under", gak), "C_FindObjects"},
      {"no storage key", "sealed_under=" + zeros, "C_FindObjects"},
      {"no storage key's id", "sealed_under=x'00'", "C_FindObjects"},
  };
  for (const auto& change : changes) {
    CAPTURE(std::string(change.what));
    sql(service, "UPDATE key SET " + change.set + " WHERE " + row);
    BatchRequest batch{.roles = {KeyRole::gak}, .reason = Reason::operational, .authority = both};
    for (const auto& meter : meters) batch.selection.devices.push_back(meter.id());
    std::map<std::string, std::string> said;
    (void)service.kms->rotate(batch, [&](RotationResult result) {
      const auto name = result.device.to_string();
      if (!result.failure) {
        const auto& transfer = result.rotation->transfers().front();
        auto& meter = *std::ranges::find(meters, result.device, &Meter::id);
        const auto answer = meter.receive(transfer.action_request());
        service.kms->record_reply(transfer, answer);
        return;
      }
      try {
        std::rethrow_exception(result.failure);
      } catch (const Refused& refusal) {
        said[name] = std::string(refusal.reason()) + ": " + refusal.what();
      } catch (const Error& error) {
        said[name] = error.what();
      }
    });
    REQUIRE(said.size() == 1);
    CHECK(contains(said[bad.to_string()], change.refusal));
    CHECK(contains(said[bad.to_string()], bad.to_string()));
    const auto record = service.trail(bad).back();
    CHECK((record.text(audit_field::result) == "refused" ||
           record.text(audit_field::result) == "failed"));
    sql(service, "UPDATE key SET (id," + std::string(at_rest) + ")=(SELECT id," + at_rest +
                     " FROM kept) WHERE " + row);
  }
  sql(service, "DROP TABLE kept");
  for (auto& meter : meters) {
    service.rotate_one(meter, KeyRole::gak);
    const auto newest = static_cast<std::uint32_t>(service.count(meter.id(), KeyRole::gak));
    CHECK(service.same_key(meter, KeyRole::gak, newest));
  }
}

TEST_CASE("sealed: the MAC binds a key to all that it is") {
  Service service(EnrolmentMode::plain, VaultKind::sealed);
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::guek);
  service.rotate_one(meter, KeyRole::gak);
  const auto key = service.key(meter.id(), KeyRole::guek, 1);
  const auto right = sealed(service, meter.id(), KeyRole::guek, 1);
  const auto pool = Service::pool(EnrolmentMode::plain, VaultKind::sealed);
  vault::Vault vault(*pool, token_profile(EnrolmentMode::plain));
  vault.sealing().use(storage_keys_of(service));
  const vault::KeyName name{.id = key.id,
                            .device = key.device,
                            .role = key.role,
                            .generation = 1,
                            .suite = SecuritySuite::suite_0};
  const Bytes challenge = random_bytes(16);
  CHECK(vault.prove({.name = name, .sealed = right}, challenge) ==
        meter.prove(KeyRole::guek, challenge));

  const auto refused = [&](vault::KeyName as, SealedKey with) {
    const auto before = secret_keys(service, false);
    const auto message = message_of<pkcs11::Error>(
        [&] { (void)vault.prove({.name = as, .sealed = with}, challenge); });
    CHECK(secret_keys(service, false) == before);
    return contains(message, "C_Verify: CKR_SIGNATURE_INVALID") &&
           contains(message, as.device.to_string());
  };
  auto as = name;
  as.id = KeyId::random();
  CHECK(refused(as, right));
  as = name;
  as.device = DeviceId::from_number(key.device.number() + 1);
  CHECK(refused(as, right));
  as = name;
  as.role = KeyRole::gbek;  // of the same class
  CHECK(refused(as, right));
  as = name;
  as.generation = 2;
  CHECK(refused(as, right));
  as = name;
  as.suite = SecuritySuite::suite_2;
  CHECK(refused(as, right));
  for (std::size_t i = 0; i < right.blob.size(); ++i) {
    auto with = right;
    with.blob[i] ^= 1;
    CHECK(refused(name, with));
  }
  for (std::size_t i = 0; i < right.mac.size(); ++i) {
    auto with = right;
    with.mac[i] ^= 0x80;
    CHECK(refused(name, with));
  }
}

TEST_CASE(
    "sealed: a storage key that is missing, not as it was made, or not the trail's is refused") {
  for (const auto mode : {EnrolmentMode::plain, EnrolmentMode::officer}) {
    CAPTURE(mode == EnrolmentMode::officer);
    Service service(mode, VaultKind::sealed);
    const auto pool = Service::pool(mode, VaultKind::sealed);
    vault::Vault vault(*pool, token_profile(mode));
    const auto keys = storage_keys_of(service);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const std::string called(vault::purpose_of(keys[i].which));
      CAPTURE(called);
      const auto another = KeyId::random();
      const std::string setting(lifecycle::storage_keys[i].setting);
      const auto name_in_registry = [&](const KeyId& id) {
        service.kms.reset();
        sql(service,
            "UPDATE setting SET value='" + id.to_string() + "' WHERE name='" + setting + "'");
      };
      name_in_registry(another);
      CHECK(contains(message_of<StorageError>([&] { service.open(); }),
                     "does not say that it was made as that (storage-key.generate)"));
      name_in_registry(keys[i].id);
      CHECK_NOTHROW(service.open());

      auto with_another = keys;
      with_another[i].id = another;
      const auto refusal = [&] {
        return message_of<pkcs11::TokenUnavailable>([&] { vault.sealing().use(with_another); });
      };
      CHECK(contains(refusal(), called));
      CHECK(contains(refusal(), "0 objects"));
      // One that anybody with the PIN can make, in its place.
      pool->run([&](Session& session) {
        const auto own =
            session.generate_key(pkcs11::Mechanism(CKM_AES_KEY_GEN),
                                 Template()
                                     .add(attr::object_class, CKO_SECRET_KEY)
                                     .add(attr::key_type, CKK_AES)
                                     .add(attr::id, {another.raw().begin(), another.raw().end()})
                                     .add(attr::value_len, 32)
                                     .add(attr::token, true)
                                     .add(attr::wrap, true)
                                     .add(attr::unwrap, true));
        CHECK(contains(refusal(), called));
        CHECK(contains(refusal(), "CKA_"));
        session.destroy_object(own);
      });
    }
    service.kms.reset();
    sql(service, "UPDATE setting SET name='hidden' WHERE name='storage_key.kek'");
    CHECK(contains(message_of<StorageError>([&] { service.open(); }), "no storage keys yet"));
    sql(service, "UPDATE setting SET name='storage_key.kek' WHERE name='hidden'");
  }
}

TEST_CASE("sealed: many threads make keys at once, each with a session of its own") {
  Service service(EnrolmentMode::officer, VaultKind::sealed);
  auto meters = service.commission_fleet({{}, {}, {}, {}, {}, {}});
  std::vector<std::thread> threads;
  std::vector<std::vector<KeyTransfer>> released(meters.size());
  for (std::size_t i = 0; i < meters.size(); ++i)
    threads.emplace_back([&, i] {
      for (const auto role : {KeyRole::guek, KeyRole::gak}) {
        const auto rotation = service.kms->rotate(request(meters[i], {role}));
        released[i].push_back(rotation.transfers().front());
      }
    });
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < meters.size(); ++i) {
    for (const auto& transfer : released[i])
      service.kms->record_reply(transfer, meters[i].receive(transfer.action_request()));
    for (const auto role : {KeyRole::guek, KeyRole::gak})
      CHECK(service.same_key(meters[i], role, 1));
  }
  CHECK(secret_keys(service, false) == 0);
}
