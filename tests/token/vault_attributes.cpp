// SPDX-License-Identifier: Apache-2.0
// The table of attributes (src/vault/templates.cpp): what SoftHSM grants, read back class by class.
#include "token/lifecycle_support.hpp"

using namespace smets1kms;
using namespace test;
using pkcs11::Handle;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

namespace {

Handle only(Session& session, const KeyId& id, CK_OBJECT_CLASS object_class = CKO_SECRET_KEY) {
  const auto found = session.find_objects(Template()
                                              .add(attr::id, {id.raw().begin(), id.raw().end()})
                                              .add(attr::object_class, object_class));
  REQUIRE(found.size() == 1);
  return found.front();
}

/// What no key of a device is or may, each by name.
Template never() {
  return Template()
      .add(attr::object_class, CKO_SECRET_KEY)
      .add(attr::key_type, CKK_AES)
      .add(attr::token, true)
      .add(attr::private_, true)
      .add(attr::sensitive, true)
      .add(attr::extractable, false)
      .add(attr::unwrap, false)
      .add(attr::derive, false)
      .add(attr::modifiable, false);
}

Template kek(CK_ULONG key_length, bool copyable, EnrolmentMode mode) {
  auto wrappable = Template()
                       .add(attr::local, true)
                       .add(attr::sensitive, true)
                       .add(attr::always_sensitive, true)
                       .add(attr::wrap, false)
                       .add(attr::unwrap, false)
                       .add(attr::derive, false)
                       .add(attr::value_len, key_length);
  if (mode == EnrolmentMode::officer) wrappable.add(attr::wrap_with_trusted, true);
  return never()
      .add(attr::wrap, true)
      .add(attr::encrypt, false)
      .add(attr::decrypt, false)
      .add(attr::sign, false)
      .add(attr::verify, false)
      .add(attr::copyable, copyable)
      .add(attr::allowed_mechanisms, {CKM_AES_KEY_WRAP})
      .add(attr::wrap_template, wrappable)
      .add(attr::trusted, mode == EnrolmentMode::officer);
}

Template encryption_key(CK_ULONG key_length) {
  return never()
      .add(attr::value_len, key_length)
      .add(attr::encrypt, true)
      .add(attr::decrypt, true)
      .add(attr::sign, false)
      .add(attr::verify, false)
      .add(attr::wrap, false)
      .add(attr::allowed_mechanisms, {CKM_AES_GCM})
      .add(attr::local, true)
      .add(attr::always_sensitive, true);
}

Template authentication_key(CK_ULONG key_length) {
  return never()
      .add(attr::value_len, key_length)
      .add(attr::encrypt, false)
      .add(attr::decrypt, false)
      .add(attr::sign, true)
      .add(attr::verify, true)
      .add(attr::wrap, false)
      .add(attr::allowed_mechanisms, {CKM_AES_CMAC})
      .add(attr::local, true)
      .add(attr::always_sensitive, true);
}

/// No differences, a check value that says nothing, and a value that can't be read.
void check(Session& session, Handle object, const Template& expected) {
  std::string all;
  for (const auto& difference : session.differences(object, expected)) all += difference + "\n";
  CHECK(all == "");
  CHECK(session.get(object, attr::check_value).value_or(Bytes{}).empty());
  CHECK_FALSE(session.get(object, attr::value).has_value());
}

}  // namespace

TEST_CASE("keys at rest have the attributes of the table, in each suite") {
  for (const auto mode : {EnrolmentMode::plain, EnrolmentMode::officer}) {
    const bool officer = mode == EnrolmentMode::officer;
    CAPTURE(officer);
    Service service(mode);
    const auto trusting = [&](Template expected) {
      return officer ? expected.add(attr::wrap_with_trusted, true).add(attr::trusted, false)
                     : expected;
    };
    for (const char* suite : {"0", "1", "2"}) {
      CAPTURE(std::string(suite));
      const CK_ULONG length = std::string(suite) == "2" ? 32 : 16;
      auto meter = service.commission({.suite = suite});
      for (const auto role : {KeyRole::guek, KeyRole::gbek, KeyRole::gak, KeyRole::kek})
        service.rotate_one(meter, role);
      if (officer) REQUIRE(service.admit_waiting() == 1);
      const auto pool = Service::pool(mode);
      auto lease = pool->lease();
      Session& session = *lease;
      const auto object = [&](KeyRole role, std::uint32_t generation) {
        return only(session, service.key(meter.id(), role, generation).id);
      };
      check(session, object(KeyRole::guek, 1), trusting(encryption_key(length)));
      check(session, object(KeyRole::gbek, 1), trusting(encryption_key(length)));
      check(session, object(KeyRole::gak, 1), trusting(authentication_key(length)));
      // What came by an unwrap is not LOCAL. A copy stays copyable, but being unmodifiable it
      // copies verbatim only.
      check(session, object(KeyRole::kek, 1), kek(length, officer, mode));
      const auto rotated = kek(length, true, mode);
      check(session, object(KeyRole::kek, 2),
            officer ? rotated
                    : Template(rotated)
                          .add(attr::local, true)
                          .add(attr::always_sensitive, true)
                          .add(attr::value_len, length));
      for (const std::uint32_t generation : {1U, 2U}) {
        // The unwrap template of a KEK is one that no key satisfies.
        const auto unsatisfiable =
            session.get(object(KeyRole::kek, generation), attr::unwrap_template);
        REQUIRE(unsatisfiable.has_value());
        CHECK(*unsatisfiable == Template().add(attr::object_class, CKO_DATA));
      }
      CHECK(session.get(object(KeyRole::guek, 1), attr::label) ==
            "smets1-kms/guek/" + meter.id().to_string() + "/1");
    }
  }
}

TEST_CASE("the import key has the attributes of the table") {
  Service service;
  const auto pool = service.pool();
  pool->run([](Session& session) {
    const auto pairs = session.find_objects(
        Template().add(attr::object_class, CKO_PRIVATE_KEY).add(attr::key_type, CKK_RSA));
    REQUIRE(pairs.size() == 1);
    const auto private_key = Template()
                                 .add(attr::token, true)
                                 .add(attr::private_, true)
                                 .add(attr::sensitive, true)
                                 .add(attr::extractable, false)
                                 .add(attr::decrypt, false)
                                 .add(attr::sign, false)
                                 .add(attr::unwrap, true)
                                 .add(attr::derive, false)
                                 .add(attr::modifiable, false)
                                 .add(attr::copyable, false)
                                 .add(attr::local, true)
                                 .add(attr::always_sensitive, true)
                                 .add(attr::never_extractable, true)
                                 .add(attr::allowed_mechanisms, {CKM_RSA_PKCS_OAEP});
    CHECK(session.differences(pairs.front(), private_key) == std::vector<std::string>{});
    const auto publics = session.find_objects(
        Template().add(attr::object_class, CKO_PUBLIC_KEY).add(attr::key_type, CKK_RSA));
    REQUIRE(publics.size() == 1);
    CHECK(session.differences(publics.front(), Template()
                                                   .add(attr::token, true)
                                                   .add(attr::modifiable, false)
                                                   .add(attr::modulus_bits, 3072)
                                                   .add(attr::wrap, false)
                                                   .add(attr::verify, false)) ==
          std::vector<std::string>{});
  });
}

TEST_CASE(
    "no key that rests in the token is extractable or modifiable, and no transport key is left") {
  Service service;
  auto meter = service.commission();
  service.rotate_one(meter, KeyRole::guek);
  service.rotate_one(meter, KeyRole::kek);
  const auto pool = service.pool();
  pool->run([](Session& session) {
    const auto all = session.find_objects(Template().add(attr::object_class, CKO_SECRET_KEY));
    CHECK(all.size() > 2);
    for (const Handle object : all) {
      CHECK(session.need(object, attr::token));
      CHECK_FALSE(session.need(object, attr::extractable));
      CHECK_FALSE(session.need(object, attr::modifiable));
      CHECK_FALSE(session.need(object, attr::unwrap));  // only a transport key unwraps
      CHECK(session.get(object, attr::check_value).value_or(Bytes{}).empty());
    }
  });
}
