// SPDX-License-Identifier: Apache-2.0
// The ways in which a fresh key is put to rest, each on the test token: what is left there, and
// what is not.
#include "token/lifecycle_support.hpp"
#include "vault/vault.hpp"

using namespace smets1kms;
using namespace test;
using namespace smets1kms::vault;
using pkcs11::Handle;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

namespace {

/// A meter's KEK in the token, and terms under which a vault uses it.
struct Ground {
  Service service;
  Meter meter = service.commission();
  std::unique_ptr<pkcs11::Pool> pool = service.pool();
  TokenProfile by_copy = token_profile(EnrolmentMode::plain), by_restore = by_copy;

  Ground() {
    by_restore.profile.persist_by = PersistBy::restore;
    by_restore.profile.keeps_local = false;
  }
  [[nodiscard]] KeyName name(KeyRole role, std::uint32_t generation) const {
    return {.id = KeyId::random(),
            .device = meter.id(),
            .role = role,
            .generation = generation,
            .suite = SecuritySuite::suite_0};
  }
  [[nodiscard]] KeyName kek() const {
    auto result = name(KeyRole::kek, 1);
    result.id = service.key(meter.id(), KeyRole::kek, 1).id;
    return result;
  }
  /// Objects that the token holds, and those of this process's sessions.
  [[nodiscard]] std::size_t count(bool in_token) const {
    return pool->run([&](Session& session) {
      return session.find_objects(Template().add(attr::token, in_token)).size();
    });
  }
};

MadeKey make_one(Vault& vault, const KeyName& key, const KeyName& kek) {
  return vault.make(std::span(&key, 1), {.name = kek}).front();
}

}  // namespace

TEST_CASE("each way to rest leaves one key, that does its work and can't leave, and nothing else") {
  Ground ground;
  for (const TokenProfile* token_profile : {&ground.by_copy, &ground.by_restore}) {
    const bool restored = token_profile->profile.persist_by == PersistBy::restore;
    CAPTURE(restored);
    Vault vault(*ground.pool, *token_profile);
    for (const auto role : {KeyRole::guek, KeyRole::gbek, KeyRole::gak, KeyRole::kek}) {
      CAPTURE(std::string(to_string(role)));
      const auto in_token = ground.count(true), in_sessions = ground.count(false);
      const auto key = ground.name(role, 2);
      const auto made = make_one(vault, key, ground.kek());
      CHECK(ground.count(true) == in_token + 1);
      CHECK(ground.count(false) == in_sessions);
      CHECK(vault.count(key.id) == 1);

      // What was wrapped for the meter is what rests.
      const auto clear = rfc3394_unwrap(ground.meter.key(KeyRole::kek), made.wrapped);
      REQUIRE(clear.has_value());
      const Bytes challenge = random_bytes(32);
      if (role != KeyRole::kek)
        CHECK(
            vault.prove({.name = key}, challenge) ==
            (role == KeyRole::gak ? cmac_proof(*clear, challenge) : gcm_proof(*clear, challenge)));
      if (role == KeyRole::kek) {  // it wraps, as the KEK that it now is
        const auto gak = ground.name(KeyRole::gak, 3);
        CHECK(rfc3394_unwrap(*clear, make_one(vault, gak, key).wrapped).has_value());
        CHECK(vault.destroy(std::span(&gak.id, 1)) == 0);
      }
      ground.pool->run([&](Session& session) {
        const auto found = session.find_objects(
            Template().add(attr::id, {key.id.raw().begin(), key.id.raw().end()}));
        REQUIRE(found.size() == 1);
        CHECK(session.differences(found.front(), Template()
                                                     .add(attr::token, true)
                                                     .add(attr::private_, true)
                                                     .add(attr::sensitive, true)
                                                     .add(attr::extractable, false)
                                                     .add(attr::unwrap, false)
                                                     .add(attr::derive, false)
                                                     .add(attr::copyable, !restored)
                                                     .add(attr::local, !restored)
                                                     .add(attr::wrap, role == KeyRole::kek)
                                                     .add(attr::modifiable, false)) ==
              std::vector<std::string>{});
        CHECK(session.get(found.front(), attr::label) == key.label());
        if (restored)
          CHECK_THROWS_AS(
              (void)session.copy_object(found.front(), Template().add(attr::token, false)),
              pkcs11::Error);
      });
      CHECK(vault.destroy(std::span(&key.id, 1)) == 0);
    }
  }
}

TEST_CASE(
    "a profile that promises what the token does not keep: the key is destroyed, the call "
    "refused") {
  Ground ground;
  ground.by_restore.profile.keeps_local = true;
  Vault vault(*ground.pool, ground.by_restore);
  const auto in_token = ground.count(true), in_sessions = ground.count(false);
  const auto message = message_of<pkcs11::Error>(
      [&] { (void)make_one(vault, ground.name(KeyRole::gak, 2), ground.kek()); });
  CHECK(contains(message, "C_UnwrapKey: CKR_TEMPLATE_INCONSISTENT"));
  CHECK(contains(message, "the token granted something else: CKA_LOCAL: expected true, is false"));
  CHECK(ground.count(true) == in_token);
  CHECK(ground.count(false) == in_sessions);
}

TEST_CASE("a key-wrap number that the token does not have is named") {
  Ground ground;
  ground.by_copy.profile.key_wrap = 0x80000170;
  CHECK(contains(message_of<pkcs11::TokenUnavailable>(
                     [&] { const Vault vault(*ground.pool, ground.by_copy); }),
                 "80000170"));
}
