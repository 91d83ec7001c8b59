// SPDX-License-Identifier: Apache-2.0
#include "derivation.hpp"

/// Known-key injection into a meter: a key whose value the attacker knows, wrapped under a device's
/// KEK.
namespace attack {
namespace {

void created(Attacker& a) {
  const Bytes value = random_bytes(16);
  a.inject(a.create_known(value), value);
}

void created_token_object(Attacker& a) {
  const Bytes value = random_bytes(16);
  a.inject(a.create_known(value, {}, true), value);
}

void unwrapped(Attacker& a) {
  const Bytes own = random_bytes(16), value = random_bytes(16);
  const auto like_fresh = Template()
                              .add(attr::object_class, CKO_SECRET_KEY)
                              .add(attr::key_type, CKK_AES)
                              .add(attr::token, false)
                              .add(attr::private_, true)
                              .add(attr::sensitive, true)
                              .add(attr::extractable, true);
  a.inject(a.s().unwrap_key(Mechanism(CKM_AES_KEY_WRAP), a.create_wrapping_key(own),
                            wrap(aes_encrypt(own), value), like_fresh),
           value);
}

void unwrapped_generic(Attacker& a) {
  const Bytes own = random_bytes(16), value = random_bytes(16);
  a.inject(a.s().unwrap_key(Mechanism(CKM_AES_KEY_WRAP), a.create_wrapping_key(own),
                            wrap(aes_encrypt(own), value), Attacker::readable(CKK_GENERIC_SECRET)),
           value);
}

/// AES of a known base over chosen data: the attacker computes what the token derives.
void derived(Attacker& a) {
  const Bytes base = random_bytes(16);
  Bytes data = random_bytes(16);
  const auto handle = a.create_known(base, Template().add(attr::derive, true));
  const auto made = a.s().derive_key(with_data(CKM_AES_ECB_ENCRYPT_DATA, data), handle,
                                     Template()
                                         .add(attr::object_class, CKO_SECRET_KEY)
                                         .add(attr::key_type, CKK_AES)
                                         .add(attr::value_len, 16)
                                         .add(attr::token, false)
                                         .add(attr::sensitive, true)
                                         .add(attr::extractable, true));
  a.inject(made, aes_encrypt(base)(data));
}

/// What the token lets nobody set: LOCAL, ALWAYS_SENSITIVE.
void forged_evidence(Attacker& a) {
  const Bytes value = random_bytes(16), own = random_bytes(16);
  const Template claims[] = {Template().add(attr::local, true),
                             Template().add(attr::always_sensitive, true),
                             Template().add(attr::local, true).add(attr::always_sensitive, true),
                             Template().add(attr::key_gen_mechanism, CKM_AES_KEY_GEN)};
  for (const auto& claim : claims) {
    std::vector<std::optional<Handle>> made;
    made.push_back(a.attempt([&] { return a.create_known(value, claim); }));
    made.push_back(a.attempt([&] {
      return a.s().copy_object(a.create_known(value),
                               Template().add(attr::token, false).append(claim));
    }));
    made.push_back(a.attempt([&] {
      const auto template_ = Template()
                                 .add(attr::object_class, CKO_SECRET_KEY)
                                 .add(attr::key_type, CKK_AES)
                                 .add(attr::token, false)
                                 .add(attr::sensitive, true)
                                 .add(attr::extractable, true);
      return a.s().unwrap_key(Mechanism(CKM_AES_KEY_WRAP), a.create_wrapping_key(own),
                              wrap(aes_encrypt(own), value), Template(template_).append(claim));
    }));
    made.push_back(a.attempt([&] {
      const auto key = a.create_known(value);
      a.s().set(key, claim);
      return key;
    }));
    for (const auto& key : made)
      if (key && a.s().get(*key, attr::local).value_or(false)) a.inject(*key, value);
  }
}

/// A key that the token generates, with a value of the attacker's: in the template, set later,
/// copied.
void generated_of_chosen_value(Attacker& a) {
  const Bytes value = random_bytes(16);
  if (const auto key = a.attempt([&] {
        return a.s().generate_key(Mechanism(CKM_AES_KEY_GEN), Template()
                                                                  .add(attr::value_len, 16)
                                                                  .add(attr::value, value)
                                                                  .add(attr::token, false)
                                                                  .add(attr::sensitive, true)
                                                                  .add(attr::extractable, true));
      }))
    a.inject(*key, value);
  const auto key = a.generate_like_fresh();
  if (a.attempt([&] { a.s().set(key, Template().add(attr::value, value)); })) a.inject(key, value);
  if (const auto copy = a.attempt([&] {
        return a.s().copy_object(key, Template().add(attr::token, false).add(attr::value, value));
      }))
    a.inject(*copy, value);
}

void learn_and_inject(Attacker& a, Handle key) {
  if (const auto value = a.learn(key)) a.inject(key, *value);
}

/// The one that templates alone can't stop.
void generated_learnt(Attacker& a) { learn_and_inject(a, a.generate_like_fresh()); }

/// Learnt without WRAP_WITH_TRUSTED, which is raised before the wrap for the meter.
void wwt_raised(Attacker& a) {
  const auto key = a.generate_like_fresh();
  const auto value = a.learn(key);
  if (!value || !a.attempt([&] { a.s().set(key, Template().add(attr::wrap_with_trusted, true)); }))
    return;
  a.inject(key, *value);
}
void wwt_raised_by_copy(Attacker& a) {
  const auto key = a.generate_like_fresh();
  const auto value = a.learn(key);
  if (!value) return;
  if (const auto copy = a.attempt([&] {
        return a.s().copy_object(
            key, Template().add(attr::token, false).add(attr::wrap_with_trusted, true));
      }))
    a.inject(*copy, *value);
}
void wwt_raised_by_unwrap(Attacker& a) {
  const Bytes own = random_bytes(16);
  const auto key = a.generate_like_fresh();
  const auto wrapping = a.create_wrapping_key(own);
  const Bytes blob = a.s().wrap_key(Mechanism(CKM_AES_KEY_WRAP), wrapping, key);
  const auto like_fresh = Template()
                              .add(attr::object_class, CKO_SECRET_KEY)
                              .add(attr::key_type, CKK_AES)
                              .add(attr::token, false)
                              .add(attr::sensitive, true)
                              .add(attr::extractable, true)
                              .add(attr::wrap_with_trusted, true);
  if (const auto again = a.attempt([&] {
        return a.s().unwrap_key(Mechanism(CKM_AES_KEY_WRAP), wrapping, blob, like_fresh);
      }))
    a.inject(*again, *unwrap(aes_decrypt(own), blob));
}
/// Made with WRAP_WITH_TRUSTED, and learnt after it has been lowered.
void wwt_lowered(Attacker& a) {
  const auto key = a.generate_like_fresh(Template().add(attr::wrap_with_trusted, true));
  const auto copy = a.attempt([&] {
    return a.s().copy_object(
        key, Template().add(attr::token, false).add(attr::wrap_with_trusted, false));
  });
  auto value = copy ? a.learn(*copy) : std::nullopt;
  if (!value) {
    a.attempt([&] { a.s().set(key, Template().add(attr::wrap_with_trusted, false)); });
    value = a.learn(key);
  }
  if (value) a.inject(key, *value);
}

/// A generated key of a small space that is searched: one byte.
void generated_small(Attacker& a) {
  const auto small = a.attempt([&] {
    return a.s().generate_key(Mechanism(CKM_GENERIC_SECRET_KEY_GEN),
                              Template()
                                  .add(attr::object_class, CKO_SECRET_KEY)
                                  .add(attr::key_type, CKK_GENERIC_SECRET)
                                  .add(attr::value_len, 1)
                                  .add(attr::token, false)
                                  .add(attr::sensitive, true)
                                  .add(attr::extractable, true)
                                  .add(attr::wrap_with_trusted, true));
  });
  if (!small) return;
  a.attempt([&] { a.s().set(*small, Template().add(attr::value_len, 16)); });
  for (const auto& kek : a.target.keks)
    for (const auto mechanism : {CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD, CKM_AES_CBC})
      if (const auto blob = a.attempt([&] {
            return a.s().wrap_key(
                mechanism == CKM_AES_CBC ? Mechanism(mechanism, Bytes(16)) : Mechanism(mechanism),
                kek.handle, *small);
          }))
        a.loot.injections.push_back({kek.device, *blob, {}});
}

/// A longer key: meters cut off what is too long.
void wrong_length(Attacker& a) {
  for (const CK_ULONG length : {24, 32}) {
    const auto key = a.generate_like_fresh({}, length);
    if (const auto value = a.learn(key)) a.inject(key, *value);
    const Bytes known = random_bytes(length);
    a.inject(a.create_known(known), known);
  }
}

/// Other kinds of key that have 16 bytes and no CKA_VALUE_LEN.
void other_kind(Attacker& a) {
  for (const auto& [mechanism, type] :
       {std::pair{CKM_DES2_KEY_GEN, CKK_DES2},
        std::pair{CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET}}) {
    Template attributes;
    attributes.add(attr::object_class, CKO_SECRET_KEY)
        .add(attr::key_type, type)
        .add(attr::token, false)
        .add(attr::sensitive, true)
        .add(attr::extractable, true)
        .add(attr::wrap, false)
        .add(attr::unwrap, false)
        .add(attr::derive, false);
    if (type == CKK_GENERIC_SECRET) attributes.add(attr::value_len, 16);
    const auto key =
        a.attempt([&] { return a.s().generate_key(Mechanism(mechanism), attributes); });
    if (key) learn_and_inject(a, *key);
  }
}

}  // namespace

std::vector<Attack> injection_attacks() {
  const char* const injection = "known-key injection";
  const char* const generated =
      "the token's own key, learnt under a key of the thief's: TRUSTED alone stops it";
  const char* const opened =
      "a sealed KEK is opened by the user, so it can't be TRUSTED and asks for no trust: as in the "
      "plain column";
  const char* const evidence = "SoftHSM lets nobody set LOCAL or ALWAYS_SENSITIVE";
  const char* const raised = "SoftHSM fixes WRAP_WITH_TRUSTED at creation";
  return {
      {"inject: C_CreateObject, session object", injection, created},
      {"inject: C_CreateObject, token object", injection, created_token_object},
      {"inject: unwrapped under an own key", injection, unwrapped},
      {"inject: unwrapped as GENERIC_SECRET, readable", injection, unwrapped_generic},
      {"inject: derived from a known key", injection, derived},
      {"inject: LOCAL or ALWAYS_SENSITIVE forged", injection, forged_evidence, evidence},
      {"inject: generated with a chosen CKA_VALUE", injection, generated_of_chosen_value,
       "SoftHSM takes no CKA_VALUE but at creation"},
      {"inject: wrong length (the meter cuts it off)", injection, wrong_length},
      {"inject: generated as another kind of key, learnt", injection, other_kind, nullptr,
       generated, nullptr, opened},
      {"inject: generated, one byte long", "reduced key space", generated_small,
       "SoftHSM wraps no single byte by key wrap"},
      {"inject: generated, learnt under an own key, wrapped", "trojan wrapping key",
       generated_learnt, nullptr, generated, nullptr, opened},
      {"inject: the same, WRAP_WITH_TRUSTED raised after", "trojan wrapping key", wwt_raised,
       raised},
      {"inject: the same, WRAP_WITH_TRUSTED raised by copy", "trojan wrapping key",
       wwt_raised_by_copy, raised},
      {"inject: the same, WRAP_WITH_TRUSTED given by unwrap", "trojan wrapping key",
       wwt_raised_by_unwrap,
       "a naive KEK is not TRUSTED, so SoftHSM wraps no key with WRAP_WITH_TRUSTED under it"},
      {"inject: WRAP_WITH_TRUSTED lowered, then learnt", "trojan wrapping key", wwt_lowered,
       "SoftHSM lets WRAP_WITH_TRUSTED only rise"},
  };
}

}  // namespace attack
