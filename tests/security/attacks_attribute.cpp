// SPDX-License-Identifier: Apache-2.0
#include "attacker.hpp"

/// Reading what should not be read, and changing what should not change: by set and by copy.
namespace attack {
namespace {

std::vector<Victim> everything(const Target& target) {
  auto all = target.keks;
  all.insert(all.end(), target.keys.begin(), target.keys.end());
  return all;
}

void read_values(Attacker& a, bool wanted_extractable) {
  for (const auto& key : everything(a.target)) {
    if (a.s().get(key.handle, attr::extractable).value_or(false) != wanted_extractable) continue;
    if (const auto value = a.attempt([&] { return a.s().need(key.handle, attr::value); }))
      a.loot.keys.push_back(*value);
  }
}

void a3_read_sensitive(Attacker& a) {
  read_values(a, true);
  read_values(a, false);
}

/// On the naive token: after EXTRACTABLE has been lowered, which everybody may.
void a4_read_unextractable(Attacker& a) {
  for (const auto& key : everything(a.target))
    a.attempt([&] { a.s().set(key.handle, Template().add(attr::extractable, false)); });
  read_values(a, false);
}

void a5_lower_sensitive(Attacker& a) {
  for (const auto& key : everything(a.target))
    a.attempt([&] {
      a.s().set(key.handle, Template().add(attr::sensitive, false));
      a.loot.keys.push_back(a.s().need(key.handle, attr::value));
    });
}

void a5_lower_sensitive_copy(Attacker& a) {
  for (const auto& key : everything(a.target))
    a.attempt([&] {
      const auto copy = a.s().copy_object(
          key.handle, Template().add(attr::token, false).add(attr::sensitive, false));
      a.loot.keys.push_back(a.s().need(copy, attr::value));
    });
}

/// F first where it is not, so that the naive token shows the same step.
void a5_raise_extractable(Attacker& a) {
  for (const auto& key : everything(a.target)) {
    a.attempt([&] { a.s().set(key.handle, Template().add(attr::extractable, false)); });
    if (!a.attempt([&] { a.s().set(key.handle, Template().add(attr::extractable, true)); }))
      continue;
    if (const auto value = a.learn(key.handle)) a.loot.keys.push_back(*value);
  }
}

void a5_raise_extractable_copy(Attacker& a) {
  for (const auto& key : everything(a.target)) {
    a.attempt([&] { a.s().set(key.handle, Template().add(attr::extractable, false)); });
    const auto copy = a.attempt([&] {
      return a.s().copy_object(key.handle,
                               Template().add(attr::token, false).add(attr::extractable, true));
    });
    if (!copy) continue;
    if (const auto value = a.learn(*copy)) a.loot.keys.push_back(*value);
  }
}

/// A second handle with other uses: stray copies of KEKs, by every change that would help.
void copy_with_uses(Attacker& a) {
  for (std::size_t i = 0; i < a.target.keks.size(); ++i)
    for (const auto& use : {attr::decrypt, attr::unwrap, attr::encrypt, attr::derive, attr::sign}) {
      const auto copy = a.attempt([&] {
        return a.s().copy_object(a.target.keks[i].handle,
                                 Template().add(attr::token, false).add(use, true));
      });
      if (copy) a.attempt([&] { a.open_released(i, a.ecb(*copy, false)); });
    }
}

void stray_copy(Attacker& a) {
  const Template changes[] = {Template().add(attr::label, "stray"),
                              Template().add(attr::id, random_bytes(16)),
                              Template().add(attr::token, false),
                              Template()
                                  .add(attr::token, false)
                                  .add(attr::label, "stray")
                                  .add(attr::copyable, true)
                                  .add(attr::modifiable, true)};
  for (const auto& key : everything(a.target))
    for (const auto& change : changes)
      if (const auto copy = a.attempt([&] { return a.s().copy_object(key.handle, change); }))
        if (const auto value = a.learn(*copy)) a.loot.keys.push_back(*value);
}

/// A second object that changes nothing: does it let more be done than the first?
void verbatim(Attacker& a) {
  for (const auto& key : everything(a.target))
    if (const auto copy = a.attempt([&] { return a.verbatim_copy(key.handle); })) {
      if (const auto value = a.learn(*copy)) a.loot.keys.push_back(*value);
      if (a.attempt([&] { a.s().set(*copy, Template().add(attr::decrypt, true)); }))
        a.loot.facts.push_back("a copy that can be changed");
      a.attempt([&] { a.s().destroy_object(*copy); });
    }
}

void to_public(Attacker& a) {
  for (const auto& key : everything(a.target)) {
    if (const auto copy = a.attempt([&] {
          return a.s().copy_object(key.handle,
                                   Template().add(attr::token, false).add(attr::private_, false));
        }))
      if (!a.s().get(*copy, attr::private_).value_or(true))
        a.loot.facts.push_back("a copy with PRIVATE=F");
    if (a.attempt([&] { a.s().set(key.handle, Template().add(attr::private_, false)); }))
      a.loot.facts.push_back("PRIVATE lowered");
  }
}

/// The KEK's own fences: WRAP_TEMPLATE, UNWRAP_TEMPLATE, ALLOWED_MECHANISMS, WRAP_WITH_TRUSTED,
/// TRUSTED.
void replace_fences(Attacker& a, bool by_copy) {
  const Bytes value = random_bytes(16);
  const auto known = a.create_known(value);
  const Template changes[] = {
      Template().add(attr::wrap_template, Template()),
      Template().add(attr::unwrap_template, Template()),
      Template().add(attr::wrap_template, Template().add(attr::object_class, CKO_SECRET_KEY)),
      Template().add(attr::allowed_mechanisms, {}),
      Template().add(attr::allowed_mechanisms, {CKM_AES_KEY_WRAP, CKM_AES_ECB})};
  for (std::size_t i = 0; i < a.target.keks.size(); ++i)
    for (const auto& change : changes) {
      auto kek = std::optional(a.target.keks[i].handle);
      if (by_copy)
        kek = a.attempt([&] {
          return a.s().copy_object(*kek, Template().add(attr::token, false).append(change));
        });
      else if (!a.attempt([&] { a.s().set(*kek, change); }))
        continue;
      if (!kek) continue;
      if (const auto blob =
              a.attempt([&] { return a.s().wrap_key(Mechanism(CKM_AES_KEY_WRAP), *kek, known); }))
        a.loot.injections.push_back({a.target.keks[i].device, *blob, value});
      a.attempt([&] { a.open_released(i, a.ecb(*kek, false)); });
    }
}
void replace_fences_set(Attacker& a) { replace_fences(a, false); }
void replace_fences_copy(Attacker& a) { replace_fences(a, true); }

/// Id, label, dates: what would make one key be taken for another.
void rename(Attacker& a) {
  for (const auto& key : everything(a.target)) {
    if (a.attempt(
            [&] { a.s().set(key.handle, Template().add(attr::label, "smets1-kms/renamed")); }))
      a.loot.facts.push_back("CKA_LABEL of " + key.role + " changed");
    if (a.attempt([&] { a.s().set(key.handle, Template().add(attr::id, random_bytes(16))); }))
      a.loot.facts.push_back("CKA_ID of " + key.role + " changed");
  }
}

/// The key's own value replaced by a known one, at rest.
void overwrite_value(Attacker& a) {
  const Bytes value = random_bytes(16);
  for (const auto& kek : a.target.keks) {
    if (a.attempt([&] { a.s().set(kek.handle, Template().add(attr::value, value)); }))
      a.loot.facts.push_back("CKA_VALUE of a KEK was set");
    if (a.attempt([&] {
          (void)a.s().copy_object(kek.handle,
                                  Template().add(attr::token, false).add(attr::value, value));
        }))
      a.loot.facts.push_back("a KEK was copied with another CKA_VALUE");
  }
}

/// A wrapping key of the user's own making that claims TRUSTED, by every call that makes or changes
/// one.
void self_made_trusted(Attacker& a) {
  const Bytes value = random_bytes(16);
  const auto own = a.create_wrapping_key(random_bytes(16));
  const Bytes blob = a.s().wrap_key(Mechanism(CKM_AES_KEY_WRAP), own, a.create_known(value));
  for (const bool is_private : {true, false}) {
    const auto trusted = [&] {
      return Template()
          .add(attr::token, false)
          .add(attr::private_, is_private)
          .add(attr::wrap, true)
          .add(attr::trusted, true);
    };
    const auto secret = [&] {
      return Template().add(attr::object_class, CKO_SECRET_KEY).add(attr::key_type, CKK_AES);
    };
    std::vector<std::optional<Handle>> made;
    made.push_back(a.attempt(
        [&] { return a.s().create_object(secret().add(attr::value, value).append(trusted())); }));
    made.push_back(a.attempt([&] {
      return a.s().generate_key(Mechanism(CKM_AES_KEY_GEN),
                                Template().add(attr::value_len, 16).append(trusted()));
    }));
    made.push_back(a.attempt([&] {
      return a.s().unwrap_key(Mechanism(CKM_AES_KEY_WRAP), own, blob, secret().append(trusted()));
    }));
    made.push_back(a.attempt([&] {
      return a.s().copy_object(a.create_known(value, Template().add(attr::wrap, true)),
                               Template().add(attr::token, false).add(attr::trusted, true));
    }));
    made.push_back(a.attempt([&] {
      const auto base = a.create_known(value, Template().add(attr::derive, true));
      return a.s().derive_key(Mechanism(CKM_AES_ECB_ENCRYPT_DATA, Bytes(16)), base,
                              secret().add(attr::value_len, 16).append(trusted()));
    }));
    made.push_back(a.attempt([&] {
      const auto key = a.create_known(value, Template().add(attr::wrap, true));
      a.s().set(key, Template().add(attr::trusted, true));
      return key;
    }));
    made.push_back(a.attempt([&] {
      return a.s().create_object(Template()
                                     .add(attr::object_class, CKO_PUBLIC_KEY)
                                     .add(attr::key_type, CKK_RSA)
                                     .add(attr::modulus, a.target.import_modulus)
                                     .add(attr::public_exponent, {1, 0, 1})
                                     .append(trusted()));
    }));
    for (const auto& handle : made)
      if (handle && a.s().get(*handle, attr::trusted).value_or(false))
        a.loot.facts.push_back("a wrapping key with TRUSTED=T, made by the user");
  }
}

}  // namespace

std::vector<Attack> attribute_attacks() {
  const char* const bcfs = "Bortolozzo et al. 2010";
  const char* const dks = "Delaune, Kremer, Steel 2008";
  const char* const sticky =
      "SoftHSM lets SENSITIVE only rise and EXTRACTABLE only fall, by set and by copy";
  const char* const fixed = "SoftHSM fixes templates and mechanisms at creation";
  return {
      {"a3: read CKA_VALUE of a sensitive key", bcfs, a3_read_sensitive,
       "SoftHSM shows no CKA_VALUE while SENSITIVE"},
      {"a4: read CKA_VALUE of an unextractable key", bcfs, a4_read_unextractable,
       "SoftHSM shows no CKA_VALUE without EXTRACTABLE"},
      {"a5: SENSITIVE lowered, then read", bcfs, a5_lower_sensitive, sticky},
      {"a5: copy with SENSITIVE=F, then read", bcfs, a5_lower_sensitive_copy, sticky},
      {"a5: EXTRACTABLE raised, then wrapped", bcfs, a5_raise_extractable, sticky},
      {"a5: copy with EXTRACTABLE=T, then wrapped", bcfs, a5_raise_extractable_copy, sticky},
      {"second handle: copy of the KEK with other uses", dks, copy_with_uses},
      {"stray copy: other label, other id, session object", dks, stray_copy},
      {"stray copy: verbatim", dks, verbatim},
      {"copy or set with PRIVATE=F", "attribute policy", to_public,
       "SoftHSM makes nothing private public"},
      {"KEK's templates and mechanisms replaced by set", dks, replace_fences_set, fixed},
      {"KEK's templates and mechanisms replaced by copy", dks, replace_fences_copy, fixed},
      {"id or label of a key changed", "attribute policy", rename},
      {"CKA_VALUE of a KEK replaced by set or copy", "attribute policy", overwrite_value,
       "SoftHSM sets CKA_VALUE at creation only"},
      {"self-made TRUSTED wrapping key", dks, self_made_trusted,
       "SoftHSM lets the SO alone set TRUSTED"},
  };
}

}  // namespace attack
