// SPDX-License-Identifier: Apache-2.0
// Objects that are not what the registry says: another under our id, ours altered, ours gone.
#include <functional>

#include "token/lifecycle_support.hpp"
#include "vault/templates.hpp"

using namespace smets1kms;
using namespace test;
using audit::Field;
using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

namespace {

pkcs11::Bytes raw(const KeyId& id) { return {id.raw().begin(), id.raw().end()}; }

/// A token object made elsewhere, with whatever attributes; gone again at the end of the test.
class Planted {
 public:
  explicit Planted(const Template& attributes, bool generate = false)
      : handle_(pool_->run([&](Session& session) {
          return generate ? session.generate_key(Mechanism(CKM_AES_KEY_GEN), attributes)
                          : session.create_object(attributes);
        })) {}
  ~Planted() {
    try {
      pool_->run([&](Session& session) { session.destroy_object(handle_); });
    } catch (const pkcs11::Error&) {  // the key manager has destroyed it
    }
  }
  Planted(const Planted&) = delete;

 private:
  std::unique_ptr<pkcs11::Pool> pool_ = Service::pool();
  Handle handle_;
};

Template secret(const KeyId& id) {
  return Template()
      .add(attr::id, raw(id))
      .add(attr::object_class, CKO_SECRET_KEY)
      .add(attr::key_type, CKK_AES)
      .add(attr::token, true)
      .add(attr::private_, true);
}

void remove(const KeyId& id) {
  Service::pool()->run([&](Session& session) {
    for (const Handle object : session.find_objects(Template().add(attr::id, raw(id))))
      session.destroy_object(object);
  });
}

std::string code_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const RefusedByToken& error) {
    return error.code();
  }
  return {};
}

struct Known {
  DeviceId device = DeviceId::from_number(0);
  KeyId guek = KeyId::random(), gak = KeyId::random(), kek = KeyId::random();
  std::optional<Meter> meter;
  KeyRef ref(KeyRole role) const { return {.device = device, .role = role, .generation = 1}; }
};

/// A meter with a GUEK and a GAK; the key manager is closed again.
Known known() {
  Service service;
  Known result;
  result.meter = service.commission();
  for (const auto role : {KeyRole::guek, KeyRole::gak}) service.rotate_one(*result.meter, role);
  result.device = result.meter->id();
  result.guek = service.key(result.device, KeyRole::guek, 1).id;
  result.gak = service.key(result.device, KeyRole::gak, 1).id;
  result.kek = service.key(result.device, KeyRole::kek, 1).id;
  return result;
}

/// What of `attributes` can be asked for: that the token itself made a key it says of its own
/// accord.
Template askable(const KeyId& id, const Template& attributes) {
  Template result;
  result.add(attr::id, raw(id));
  for (const auto& entry : attributes.entries())
    if (entry.type != CKA_LOCAL && entry.type != CKA_ALWAYS_SENSITIVE &&
        entry.type != CKA_NEVER_EXTRACTABLE)
      result.add(entry.type, entry.value);
  return result;
}

/// The same for C_CreateObject of a value of the thief's choice.
Template substitute(const KeyId& id, const Template& attributes, const Bytes& value) {
  Template result;
  const auto asked = askable(id, attributes);
  for (const auto& entry : asked.entries())
    if (entry.type != CKA_VALUE_LEN) result.add(entry.type, entry.value);
  return result.add(attr::value, value);
}

}  // namespace

TEST_CASE("a second object under the id of a key: neither is used") {
  const auto meter = known();
  const Planted orphan(secret(meter.guek).add(attr::value, Bytes(16)).add(attr::encrypt, true));
  Service service;
  CHECK(code_of([&] { (void)service.kms->prove(meter.ref(KeyRole::guek), Bytes(16)); }) ==
        "CKR_KEY_NOT_NEEDED");
  CHECK(message_of<RefusedByToken>([&] {
          (void)service.kms->prove(meter.ref(KeyRole::guek), Bytes(16));
        }).find(meter.guek.to_string()) != std::string::npos);
  CHECK_NOTHROW((void)service.kms->prove(meter.ref(KeyRole::gak),
                                         Bytes(16)));  // another key is another matter
}

TEST_CASE(
    "a second object under the id of a KEK: it wraps nothing, and nothing is left of the attempt") {
  auto meter = known();
  const auto id = meter.device.to_string() + ".stray";
  {
    const Planted orphan(secret(meter.kek).add(attr::value, Bytes(16)).add(attr::wrap, true));
    Service service;
    CHECK(code_of([&] {
            (void)service.kms->rotate(request(*meter.meter, {KeyRole::guek, KeyRole::gak}, id));
          }) == "CKR_KEY_NOT_NEEDED");
    CHECK(service.count(meter.device, KeyRole::guek) == 1);
    CHECK(service.count(meter.device, KeyRole::gak) == 1);
    const auto last = service.trail(meter.device).back();
    CHECK(last.text(Field::phase) == "outcome");
    CHECK(last.text(Field::result) == "failed");
    CHECK(last.text(Field::ckr) == "C_FindObjects:CKR_KEY_NOT_NEEDED");
    CHECK(service.objects(KeyId::parse(last.text(Field::key_id))) == 0);
    CHECK(service.kms->fleet().summary().open_operations == 0);
  }
  Service service;  // it is gone: the same operation may be tried again
  const auto rotation =
      service.kms->rotate(request(*meter.meter, {KeyRole::guek, KeyRole::gak}, id));
  CHECK(meter.meter->receive(rotation.transfers().front().action_request()) == success);
  CHECK(service.same_key(*meter.meter, KeyRole::guek, 2));
}

TEST_CASE("an object under our id with other attributes is not used") {
  struct {
    const char* what;
    std::function<void(Template&)> change;
  } const cases[] = {
      {"extractable", [](Template& t) { t.set(attr::extractable, true); }},
      {"readable", [](Template& t) { t.set(attr::sensitive, false); }},
      {"modifiable", [](Template& t) { t.set(attr::modifiable, true); }},
      {"it signs", [](Template& t) { t.set(attr::sign, true); }},
      {"it wraps", [](Template& t) { t.set(attr::wrap, true); }},
      {"it derives", [](Template& t) { t.set(attr::derive, true); }},
      {"public", [](Template& t) { t.set(attr::private_, false); }},
      {"of another length", [](Template& t) { t.set(attr::value_len, 32); }},
      {"more mechanisms",
       [](Template& t) {
         t.set(attr::allowed_mechanisms, {CKM_AES_GCM, CKM_AES_ECB});
       }},
      {"not copyable", [](Template& t) { t.set(attr::copyable, false); }},
  };
  const auto meter = known();
  remove(meter.guek);
  for (const auto& [what, change] : cases) {
    CAPTURE(std::string(what));
    auto attributes = vault::at_rest(KeyRole::guek, SecuritySuite::suite_0,
                                     token_profile(EnrolmentMode::plain), false);
    change(attributes);
    const Planted altered(askable(meter.guek, attributes), true);
    Service service;
    CHECK(code_of([&] { (void)service.kms->prove(meter.ref(KeyRole::guek), Bytes(16)); }) ==
          "CKR_TEMPLATE_INCONSISTENT");
  }
}

TEST_CASE("a KEK under our id with other attributes wraps nothing") {
  struct {
    const char* what;
    std::function<void(Template&)> change;
  } const cases[] = {
      {"it unwraps", [](Template& t) { t.set(attr::unwrap, true); }},
      {"it decrypts", [](Template& t) { t.set(attr::decrypt, true); }},
      {"any mechanism",
       [](Template& t) {
         t.set(attr::allowed_mechanisms, {CKM_AES_KEY_WRAP, CKM_AES_ECB});
       }},
      {"it wraps anything",
       [](Template& t) { t.set(attr::wrap_template, Template().add(attr::sensitive, true)); }},
      {"it unwraps into anything",
       [](Template& t) { t.set(attr::unwrap_template, Template().add(attr::sensitive, true)); }},
      {"extractable", [](Template& t) { t.set(attr::extractable, true); }},
  };
  const auto meter = known();
  remove(meter.kek);
  for (const auto& [what, change] : cases) {
    CAPTURE(std::string(what));
    auto attributes = vault::attributes(vault::ObjectPurpose::imported_kek, SecuritySuite::suite_0,
                                        token_profile(EnrolmentMode::plain));
    change(attributes);
    const Planted altered(substitute(meter.kek, attributes, Bytes(16, 0x41)));
    Service service;
    CHECK(code_of([&] { (void)service.release_one(*meter.meter, KeyRole::guek); }) ==
          "CKR_TEMPLATE_INCONSISTENT");
    CHECK(service.count(meter.device, KeyRole::guek) == 1);
  }
}

TEST_CASE("a key of the thief's choice in the place of one that the token made is not used") {
  // Every attribute of the table is right; only CKA_LOCAL and CKA_ALWAYS_SENSITIVE tell that the
  // token did not make it.
  auto meter = known();
  std::optional<KeyId> second_kek;
  {
    Service service;
    service.rotate_one(*meter.meter, KeyRole::kek);
    service.rotate_one(*meter.meter, KeyRole::gak);
    second_kek = service.key(meter.device, KeyRole::kek, 2).id;
  }
  remove(meter.guek);
  remove(*second_kek);
  const Planted guek(substitute(meter.guek,
                                vault::at_rest(KeyRole::guek, SecuritySuite::suite_0,
                                               token_profile(EnrolmentMode::plain), false),
                                Bytes(16, 0x41)));
  const Planted kek(substitute(*second_kek,
                               vault::at_rest(KeyRole::kek, SecuritySuite::suite_0,
                                              token_profile(EnrolmentMode::plain), false),
                               Bytes(16, 0x42)));
  Service service;
  CHECK(code_of([&] { (void)service.kms->prove(meter.ref(KeyRole::guek), Bytes(16)); }) ==
        "CKR_TEMPLATE_INCONSISTENT");
  CHECK(code_of([&] { (void)service.release_one(*meter.meter, KeyRole::gak); }) ==
        "CKR_TEMPLATE_INCONSISTENT");
}

TEST_CASE("a key that is gone from the token is named") {
  auto meter = known();
  remove(meter.guek);
  {
    Service service;
    CHECK(code_of([&] { (void)service.kms->prove(meter.ref(KeyRole::guek), Bytes(16)); }) ==
          "CKR_KEY_NEEDED");
  }
  remove(meter.kek);
  Service service;
  const auto message =
      message_of<RefusedByToken>([&] { (void)service.release_one(*meter.meter, KeyRole::guek); });
  CHECK(contains(message, meter.kek.to_string()));
  CHECK(contains(message, "is not in the token"));
  CHECK(service.count(meter.device, KeyRole::guek) == 1);
  CHECK(service.kms->fleet().summary().open_operations == 0);
}
