// SPDX-License-Identifier: Apache-2.0
#include "attacker.hpp"

/// The sealed vault in the hands of a thief of the PIN and of the registry: storage keys, and every
/// blob under them.
namespace attack {
namespace {

constexpr auto key_wrap = CKM_AES_KEY_WRAP;

template <class Work>
void each_sealed(Attacker& a, Work work) {
  for (const auto* all : {&a.target.keks, &a.target.keys})
    for (const auto& victim : *all)
      if (!victim.sealed.empty()) work(victim, a.target.storage[store_of(victim.role)]);
}

std::optional<Handle> open(Attacker& a, Handle storage, const Victim& victim,
                           const Template& attributes) {
  return a.attempt(
      [&] { return a.s().unwrap_key(Mechanism(key_wrap), storage, victim.sealed, attributes); });
}

void readable(Attacker& a) {
  each_sealed(a, [&](const Victim& victim, Handle storage) {
    for (const CK_KEY_TYPE type : {CKK_AES, CKK_GENERIC_SECRET})
      if (const auto key = open(a, storage, victim, Attacker::readable(type)))
        if (const auto value = a.s().get(*key, attr::value)) a.loot.keys.push_back(*value);
  });
}

/// Every form from the service's own to none at all, extractable, then learnt under a key of the
/// thief's.
void extractable(Attacker& a) {
  each_sealed(a, [&](const Victim& victim, Handle storage) {
    const auto base = Template()
                          .add(attr::object_class, CKO_SECRET_KEY)
                          .add(attr::key_type, CKK_AES)
                          .add(attr::token, false);
    const auto own = opened_form(victim.role).set(attr::extractable, true);
    const Template forms[] = {
        base,
        Template(base).add(attr::sensitive, true).add(attr::extractable, true),
        own,
        without(own, {CKA_WRAP_WITH_TRUSTED}),
        Template(own).set(attr::wrap_with_trusted, false),
        Template(own).set(attr::modifiable, true).set(attr::copyable, true)};
    for (const auto& form : forms) {
      const auto key = open(a, storage, victim, form);
      if (!key) continue;
      if (const auto value = a.learn(*key)) a.loot.keys.push_back(*value);
      a.attempt([&] { a.s().set(*key, Template().add(attr::wrap_with_trusted, false)); });
      if (const auto value = a.learn(*key)) a.loot.keys.push_back(*value);
      if (const auto copy = a.attempt([&] {
            return a.s().copy_object(
                *key, Template().add(attr::token, false).add(attr::wrap_with_trusted, false));
          }))
        if (const auto value = a.learn(*copy)) a.loot.keys.push_back(*value);
    }
  });
}

void decrypt_blobs(Attacker& a) {
  each_sealed(a, [&](const Victim& victim, Handle storage) {
    a.attempt([&] {
      if (const auto value = unwrap(a.ecb(storage, false), victim.sealed))
        a.loot.keys.push_back(*value);
    });
    a.attempt(
        [&] { a.loot.keys.push_back(a.s().decrypt(Mechanism(key_wrap), storage, victim.sealed)); });
  });
}

/// SoftHSM takes no template within a template: a storage key can't ask a KEK for its
/// WRAP_TEMPLATE.
void kek_without_template(Attacker& a) {
  const Bytes value = random_bytes(16);
  const auto known = a.create_known(value);
  for (const auto& kek : a.target.keks)
    if (const auto key =
            open(a, a.target.storage[0], kek, without(opened_form("kek"), {CKA_WRAP_TEMPLATE})))
      if (const auto blob =
              a.attempt([&] { return a.s().wrap_key(Mechanism(key_wrap), *key, known); }))
        a.loot.injections.push_back({kek.device, *blob, value});
}

/// A key with the uses of two classes: a KEK that decrypts opens what it wrapped.
void other_class(Attacker& a) {
  each_sealed(a, [&](const Victim& victim, Handle storage) {
    const auto leaving =
        open(a, storage, victim, opened_form(victim.role).set(attr::extractable, true));
    for (const std::string role : {"kek", "guek", "gak"}) {
      const auto other = a.target.storage[store_of(role)];
      if (other == storage) continue;
      if (open(a, other, victim, opened_form(role)))
        a.loot.facts.push_back("a " + victim.role +
                               "'s blob opened under another class's storage key");
      if (open(a, storage, victim, opened_form(role)))
        a.loot.facts.push_back("a " + victim.role + " opened with the uses of a " + role);
      if (!leaving) continue;
      const auto blob =
          a.attempt([&] { return a.s().wrap_key(Mechanism(key_wrap), other, *leaving); });
      if (blob && a.attempt([&] {
            return a.s().unwrap_key(Mechanism(key_wrap), other, *blob, opened_form(role));
          }))
        a.loot.facts.push_back("a " + victim.role + " brought over to the uses of a " + role);
    }
  });
}

void encrypt_by_ecb(Attacker& a) {
  const Bytes zero(16);
  each_sealed(a, [&](const Victim& victim, Handle storage) {
    const auto form = opened_form(victim.role);
    for (const auto& each : {without(form, {CKA_ALLOWED_MECHANISMS}),
                             Template(form).set(attr::allowed_mechanisms, {CKM_AES_ECB}), form})
      if (const auto key = open(a, storage, victim, each))
        if (const auto value = a.attempt([&] { return a.ecb(*key, true)(zero); }))
          a.loot.oracles.push_back({Loot::Oracle::Kind::ecb, victim.id, zero, *value});
  });
}

void keys_themselves(Attacker& a) {
  std::vector<Handle> all(a.target.storage.begin(), a.target.storage.end());
  all.push_back(a.target.mac);
  for (const auto key : all) {
    if (a.attempt([&] { return a.s().need(key, attr::value); }))
      a.loot.facts.push_back("a key of the sealed vault in clear");
    if (a.learn(key)) a.loot.facts.push_back("a key of the sealed vault in clear");
    for (const auto& change :
         {Template().add(attr::decrypt, true), Template().add(attr::wrap, true),
          Template().add(attr::wrap_template, Template()),
          Template().add(attr::unwrap_template, Template()),
          Template().add(attr::extractable, true)}) {
      if (a.s().get(key, attr::wrap).value_or(false) && change.find(attr::wrap) != nullptr)
        continue;
      const auto what = pkcs11::attribute_name(change.entries().front().type);
      if (a.attempt([&] { a.s().set(key, change); }))
        a.loot.facts.push_back("a key of the sealed vault: its " + what + " changed");
      if (a.attempt([&] {
            (void)a.s().copy_object(key, Template().add(attr::token, false).append(change));
          }))
        a.loot.facts.push_back("a changed copy of a key of the sealed vault");
    }
  }
}

void mac_key_misused(Attacker& a) {
  const auto known = a.create_known(random_bytes(16));
  if (a.attempt([&] { return a.s().wrap_key(Mechanism(key_wrap), a.target.mac, known); }))
    a.loot.facts.push_back("the MAC key wraps");
  if (a.attempt([&] { return a.ecb(a.target.mac, true)(Bytes(16)); }))
    a.loot.facts.push_back("the MAC key encrypts");
  for (const auto storage : a.target.storage)
    if (a.attempt([&] { return a.s().sign(Mechanism(CKM_AES_CMAC), storage, Bytes(16)); }))
      a.loot.facts.push_back("a storage key makes MACs");
}

}  // namespace

std::vector<Attack> sealed_attacks() {
  const char* const reimport = "re-import with other attributes";
  const char* const dks = "Delaune, Kremer, Steel 2008";
  const char* const no_nesting =
      "SoftHSM nests no template in CKA_UNWRAP_TEMPLATE: a KEK opens without its own. No key that "
      "is there is lost";
  return {
      {"sealed: blob unwrapped readable", reimport, readable},
      {"sealed: blob unwrapped extractable, then learnt", reimport, extractable},
      {"sealed: blob decrypted by its storage key", "Clulow 2003", decrypt_blobs},
      {"sealed: KEK opened without its WRAP_TEMPLATE, known key wrapped", "known-key injection",
       kek_without_template, nullptr, nullptr, nullptr, no_nesting},
      {"sealed: blob brought over to another class", dks, other_class},
      {"sealed: key opened for AES-ECB", "encryption oracle", encrypt_by_ecb},
      {"sealed: storage keys and MAC key read, wrapped, changed, copied", dks, keys_themselves},
      {"sealed: MAC key wraps or encrypts, storage key makes MACs", "key separation",
       mac_key_misused},
  };
}

}  // namespace attack
