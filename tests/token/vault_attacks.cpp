// SPDX-License-Identifier: Apache-2.0
// What somebody with the PIN, or a mistake, can't do with the keys in the token. (What he can do is
// M2's.)
#include <functional>

#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;
using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

namespace {

const Mechanism key_wrap(CKM_AES_KEY_WRAP), key_gen(CKM_AES_KEY_GEN);

/// The keys of a meter, as objects under the attacker's hands.
struct Thief {
  Service service;
  Meter meter;
  std::unique_ptr<pkcs11::Pool> pool = service.pool();
  pkcs11::Pool::Lease lease = pool->lease();
  Session& session = *lease;

  explicit Thief(const Order& order = {}) : meter(service.commission(order)) {
    for (const auto role : {KeyRole::guek, KeyRole::gak, KeyRole::kek, KeyRole::gak})
      service.rotate_one(meter, role);
  }
  Handle object(KeyRole role, std::uint32_t generation) {
    const auto id = service.key(meter.id(), role, generation).id;
    const auto found =
        session.find_objects(Template().add(attr::id, {id.raw().begin(), id.raw().end()}));
    REQUIRE(found.size() == 1);
    return found.front();
  }
  /// The answer of the token: "CKR_OK" or the code.
  static std::string answer(const std::function<void()>& attempt) {
    try {
      attempt();
    } catch (const pkcs11::Error& error) {
      return error.rv_name();
    }
    return "CKR_OK";
  }
};

/// A session key that a KEK is willing to wrap.
Template wrappable(CK_ULONG length) {
  return Template()
      .add(attr::object_class, CKO_SECRET_KEY)
      .add(attr::key_type, CKK_AES)
      .add(attr::value_len, length)
      .add(attr::token, false)
      .add(attr::private_, true)
      .add(attr::sensitive, true)
      .add(attr::extractable, true)
      .add(attr::wrap, false)
      .add(attr::unwrap, false)
      .add(attr::derive, false);
}

Template created(const Bytes& value) {
  return Template()
      .add(attr::object_class, CKO_SECRET_KEY)
      .add(attr::key_type, CKK_AES)
      .add(attr::value, value)
      .add(attr::token, false)
      .add(attr::private_, true)
      .add(attr::sensitive, true)
      .add(attr::extractable, true)
      .add(attr::wrap, false)
      .add(attr::unwrap, false)
      .add(attr::derive, false);
}

}  // namespace

TEST_CASE("a KEK wraps what the token made as it must be, and nothing else") {
  for (const char* suite : {"0", "2"}) {
    CAPTURE(std::string(suite));
    Thief thief({.suite = suite});
    auto& session = thief.session;
    const CK_ULONG length = std::string(suite) == "2" ? 32 : 16, other = 48 - length;
    const auto generated = [&](const Template& changes) {
      auto attributes = wrappable(length);
      for (const auto& entry : changes.entries()) {
        if (const auto* flag = std::get_if<bool>(&entry.value))
          attributes.set(pkcs11::Attribute<bool>{entry.type}, *flag);
        if (const auto* number = std::get_if<CK_ULONG>(&entry.value))
          attributes.set(pkcs11::Attribute<CK_ULONG>{entry.type}, *number);
      }
      return session.generate_key(key_gen, attributes);
    };
    struct {
      const char* what;
      Handle key;
      const char* answer;
    } const cases[] = {
        {"made by the token, sensitive, of the suite's length", generated({}), "CKR_OK"},
        {"of the thief's choice", session.create_object(created(Bytes(length, 0x41))),
         "CKR_KEY_NOT_WRAPPABLE"},
        {"of the thief's choice, readable",
         session.create_object(created(Bytes(length, 0x41)).set(attr::sensitive, false)),
         "CKR_KEY_NOT_WRAPPABLE"},
        {"of the other length", generated(Template().add(attr::value_len, other)),
         "CKR_KEY_NOT_WRAPPABLE"},
        {"24 bytes", generated(Template().add(attr::value_len, 24)), "CKR_KEY_NOT_WRAPPABLE"},
        {"readable", generated(Template().add(attr::sensitive, false)), "CKR_KEY_NOT_WRAPPABLE"},
        {"one that wraps", generated(Template().add(attr::wrap, true)), "CKR_KEY_NOT_WRAPPABLE"},
        {"one that unwraps", generated(Template().add(attr::unwrap, true)),
         "CKR_KEY_NOT_WRAPPABLE"},
        {"one that derives", generated(Template().add(attr::derive, true)),
         "CKR_KEY_NOT_WRAPPABLE"},
        {"not extractable", generated(Template().add(attr::extractable, false)),
         "CKR_KEY_UNEXTRACTABLE"},
    };
    for (const std::uint32_t generation :
         {1U, 2U}) {  // as it came from the manufacturer; as it was rotated
      CAPTURE(generation);
      const Handle kek = thief.object(KeyRole::kek, generation);
      for (const auto& [what, key, answer] : cases) {
        CAPTURE(std::string(what));
        CHECK(Thief::answer([&] { (void)session.wrap_key(key_wrap, kek, key); }) == answer);
      }
      // Made readable and made sensitive afterwards: ALWAYS_SENSITIVE remembers.
      const Handle late = generated(Template().add(attr::sensitive, false));
      session.set(late, Template().add(attr::sensitive, true));
      CHECK(Thief::answer([&] { (void)session.wrap_key(key_wrap, kek, late); }) ==
            "CKR_KEY_NOT_WRAPPABLE");
      // By another mechanism: not allowed.
      CHECK(Thief::answer([&] {
              (void)session.wrap_key(Mechanism(CKM_AES_ECB), kek, cases[0].key);
            }) != "CKR_OK");
    }
  }
}

TEST_CASE("a KEK opens nothing, in no way") {
  Thief thief;
  auto& session = thief.session;
  for (const std::uint32_t generation : {1U, 2U}) {
    CAPTURE(generation);
    const Handle kek = thief.object(KeyRole::kek, generation);
    const auto wrapped =
        session.wrap_key(key_wrap, kek, session.generate_key(key_gen, wrappable(16)));
    const auto readable = wrappable(16).set(attr::sensitive, false);
    Template target;
    for (const auto& entry : readable.entries())
      if (entry.type != CKA_VALUE_LEN) target.add(entry.type, entry.value);
    for (const auto& attempt : std::vector<std::pair<const char*, std::function<void()>>>{
             {"unwrap", [&] { (void)session.unwrap_key(key_wrap, kek, wrapped, target); }},
             {"encrypt ECB",
              [&] { (void)session.encrypt(Mechanism(CKM_AES_ECB), kek, Bytes(16)); }},
             {"decrypt ECB",
              [&] { (void)session.decrypt(Mechanism(CKM_AES_ECB), kek, Bytes(16)); }},
             {"decrypt key wrap", [&] { (void)session.decrypt(key_wrap, kek, wrapped); }},
             {"sign", [&] { (void)session.sign(Mechanism(CKM_AES_CMAC), kek, Bytes(16)); }},
             {"raise UNWRAP", [&] { session.set(kek, Template().add(attr::unwrap, true)); }},
             {"raise DECRYPT", [&] { session.set(kek, Template().add(attr::decrypt, true)); }},
             {"raise EXTRACTABLE",
              [&] { session.set(kek, Template().add(attr::extractable, true)); }},
             {"lower SENSITIVE", [&] { session.set(kek, Template().add(attr::sensitive, false)); }},
             {"drop WRAP_TEMPLATE",
              [&] { session.set(kek, Template().add(attr::wrap_template, Template())); }},
             {"copy with UNWRAP",
              [&] {
                (void)session.copy_object(
                    kek, Template().add(attr::token, false).add(attr::unwrap, true));
              }},
             {"copy with DECRYPT",
              [&] {
                (void)session.copy_object(
                    kek, Template().add(attr::token, false).add(attr::decrypt, true));
              }},
             {"copy with other mechanisms",
              [&] {
                (void)session.copy_object(kek, Template()
                                                   .add(attr::token, false)
                                                   .add(attr::allowed_mechanisms, {CKM_AES_ECB}));
              }},
             {"copy without WRAP_TEMPLATE",
              [&] {
                (void)session.copy_object(
                    kek, Template().add(attr::token, false).add(attr::wrap_template, Template()));
              }},
             {"copy, modifiable",
              [&] {
                (void)session.copy_object(
                    kek, Template().add(attr::token, false).add(attr::modifiable, true));
              }},
             {"derive",
              [&] { (void)session.derive_key(Mechanism(CKM_AES_ECB_ENCRYPT_DATA), kek, target); }},
             {"read", [&] { (void)session.need(kek, attr::value); }},
         }) {
      CAPTURE(std::string(attempt.first));
      CHECK(Thief::answer(attempt.second) != "CKR_OK");
    }
  }
}

TEST_CASE("a key at rest does its own work only, and does not leave") {
  Thief thief;
  auto& session = thief.session;
  const auto own =
      session.generate_key(key_gen, wrappable(16).set(attr::wrap, true).set(attr::unwrap, true));
  const auto gcm = [] { return Mechanism::aes_gcm(Bytes(12), {}); };
  for (const auto role : {KeyRole::guek, KeyRole::gak}) {
    const Handle key = thief.object(role, 1);
    const bool is_gak = role == KeyRole::gak;
    CHECK(Thief::answer([&] { (void)session.encrypt(gcm(), key, Bytes(16)); }) ==
          (is_gak ? "CKR_KEY_FUNCTION_NOT_PERMITTED" : "CKR_OK"));
    CHECK((Thief::answer([&] { (void)session.sign(Mechanism(CKM_AES_CMAC), key, Bytes(16)); }) ==
           "CKR_OK") == is_gak);
    for (const auto& attempt : std::vector<std::pair<const char*, std::function<void()>>>{
             {"wrap under the KEK",
              [&] { (void)session.wrap_key(key_wrap, thief.object(KeyRole::kek, 2), key); }},
             {"wrap under a key of the thief's",
              [&] { (void)session.wrap_key(key_wrap, own, key); }},
             {"wrap with it",
              [&] {
                (void)session.wrap_key(key_wrap, key, session.generate_key(key_gen, wrappable(16)));
              }},
             {"unwrap with it",
              [&] { (void)session.unwrap_key(key_wrap, key, Bytes(24), wrappable(16)); }},
             {"ECB", [&] { (void)session.encrypt(Mechanism(CKM_AES_ECB), key, Bytes(16)); }},
             {"CBC",
              [&] { (void)session.encrypt(Mechanism(CKM_AES_CBC, Bytes(16)), key, Bytes(16)); }},
             {"the GHASH key",
              [&] { (void)session.decrypt(Mechanism(CKM_AES_ECB), key, Bytes(16)); }},
             {"HMAC", [&] { (void)session.sign(Mechanism(CKM_SHA256_HMAC), key, Bytes(16)); }},
             {"derive",
              [&] {
                (void)session.derive_key(Mechanism(CKM_AES_ECB_ENCRYPT_DATA), key, wrappable(16));
              }},
             {"read", [&] { (void)session.need(key, attr::value); }},
             {"raise EXTRACTABLE",
              [&] { session.set(key, Template().add(attr::extractable, true)); }},
             {"copy, extractable",
              [&] {
                (void)session.copy_object(
                    key, Template().add(attr::token, false).add(attr::extractable, true));
              }},
             {"copy, modifiable",
              [&] {
                (void)session.copy_object(
                    key, Template().add(attr::token, false).add(attr::modifiable, true));
              }},
             {"another id", [&] { session.set(key, Template().add(attr::id, Bytes(16))); }},
         }) {
      CAPTURE(std::string(attempt.first));
      CHECK(Thief::answer(attempt.second) != "CKR_OK");
    }
  }
}
