// SPDX-License-Identifier: Apache-2.0
#include "attacker.hpp"

/// The key under which new KEKs wait for the security officer, in the hands of the user.
namespace attack {
namespace {

constexpr auto key_wrap = CKM_AES_KEY_WRAP;

void waiting_readable(Attacker& a) {
  for (const auto& blob : a.target.waiting)
    for (const CK_KEY_TYPE type : {CKK_AES, CKK_GENERIC_SECRET})
      a.attempt([&] {
        a.loot.keys.push_back(a.s().need(a.s().unwrap_key(Mechanism(key_wrap), a.target.enrolment,
                                                          blob, Attacker::readable(type)),
                                         attr::value));
      });
}

/// With other uses; with no claim at all; with TRUSTED, which is the officer's to give.
void waiting_with_other_uses(Attacker& a) {
  const auto base = [] {
    return Template()
        .add(attr::object_class, CKO_SECRET_KEY)
        .add(attr::key_type, CKK_AES)
        .add(attr::token, false);
  };
  const Template templates[] = {
      base().add(attr::sensitive, true).add(attr::extractable, true), base(),
      base().add(attr::trusted, true).add(attr::sensitive, true).add(attr::extractable, true),
      base().add(attr::private_, false).add(attr::sensitive, true).add(attr::extractable, true)};
  for (const auto& blob : a.target.waiting)
    for (const auto& attributes : templates)
      if (const auto key = a.attempt([&] {
            return a.s().unwrap_key(Mechanism(key_wrap), a.target.enrolment, blob, attributes);
          }))
        if (const auto value = a.learn(*key)) a.loot.keys.push_back(*value);
}

void decrypt_waiting(Attacker& a) {
  for (const auto& blob : a.target.waiting) {
    a.attempt([&] {
      if (const auto value = unwrap(a.ecb(a.target.enrolment, false), blob))
        a.loot.keys.push_back(*value);
    });
    a.attempt([&] {
      a.loot.keys.push_back(a.s().decrypt(Mechanism(key_wrap), a.target.enrolment, blob));
    });
  }
}

/// A KEK of the thief's making under the enrolment key: the officer would admit it as a device's,
/// trusted. Known are the values of all these; which of them does the enrolment key wrap?
void plant_waiting(Attacker& a) {
  const Bytes value = random_bytes(16);
  const auto plant = [&](Handle key) {
    if (a.attempt([&] { return a.s().wrap_key(Mechanism(key_wrap), a.target.enrolment, key); }))
      a.loot.facts.push_back("a known KEK waits for the officer");
  };
  plant(a.create_known(value));
  plant(a.create_known(value, Template().add(attr::wrap_with_trusted, true)));
  const auto generated = a.generate_like_fresh();
  if (a.learn(generated)) plant(generated);
}

/// Learnt before WRAP_WITH_TRUSTED is raised: what a token must not let happen.
void plant_raised(Attacker& a) {
  const auto key = a.generate_like_fresh();
  if (!a.learn(key)) return;
  std::vector<Handle> raised;
  if (const auto copy = a.attempt([&] {
        return a.s().copy_object(
            key, Template().add(attr::token, false).add(attr::wrap_with_trusted, true));
      }))
    raised.push_back(*copy);
  if (a.attempt([&] { a.s().set(key, Template().add(attr::wrap_with_trusted, true)); }))
    raised.push_back(key);
  for (const auto each : raised)
    if (a.attempt([&] { return a.s().wrap_key(Mechanism(key_wrap), a.target.enrolment, each); }))
      a.loot.facts.push_back("a known KEK waits for the officer");
}

void enrolment_key_itself(Attacker& a) {
  if (const auto value = a.attempt([&] { return a.s().need(a.target.enrolment, attr::value); }))
    a.loot.facts.push_back("the enrolment key in clear");
  if (const auto value = a.learn(a.target.enrolment))
    a.loot.facts.push_back("the enrolment key in clear");
  for (const auto& change :
       {Template().add(attr::decrypt, true), Template().add(attr::wrap_template, Template()),
        Template().add(attr::unwrap_template, Template()),
        Template().add(attr::extractable, true)}) {
    if (a.attempt([&] { a.s().set(a.target.enrolment, change); }))
      a.loot.facts.push_back("the enrolment key's " +
                             pkcs11::attribute_name(change.entries().front().type) + " changed");
    if (a.attempt([&] {
          (void)a.s().copy_object(a.target.enrolment,
                                  Template().add(attr::token, false).append(change));
        }))
      a.loot.facts.push_back("a stray copy of the enrolment key");
  }
}

}  // namespace

std::vector<Attack> enrolment_attacks() {
  const char* const dks = "Delaune, Kremer, Steel 2008";
  return {
      {"enrolment: waiting KEK unwrapped readable", "re-import with other attributes",
       waiting_readable},
      {"enrolment: waiting KEK unwrapped extractable", "re-import with other attributes",
       waiting_with_other_uses},
      {"enrolment: waiting KEK decrypted", "Clulow 2003", decrypt_waiting},
      {"enrolment: known KEK planted for the officer", "known-key injection", plant_waiting},
      {"enrolment: known KEK planted, WRAP_WITH_TRUSTED raised", "trojan wrapping key",
       plant_raised, "SoftHSM fixes WRAP_WITH_TRUSTED at creation"},
      {"enrolment: the key read, wrapped, changed, copied", dks, enrolment_key_itself},
  };
}

}  // namespace attack
