// SPDX-License-Identifier: Apache-2.0
#include "attacker.hpp"

/// Wrapping and decrypting: keys that have both uses, and wrapping keys of the attacker's own.
namespace attack {
namespace {

constexpr auto key_wrap = CKM_AES_KEY_WRAP;

std::vector<Victim> everything(const Target& target) {
  auto all = target.keks;
  all.insert(all.end(), target.keys.begin(), target.keys.end());
  return all;
}

void wrap_decrypt(Attacker& a) {
  for (const auto& kek : a.target.keks)
    for (const auto& key : everything(a.target))
      a.attempt([&] {
        const auto blob = a.s().wrap_key(Mechanism(key_wrap), kek.handle, key.handle);
        if (const auto value = unwrap(a.ecb(kek.handle, false), blob))
          a.loot.keys.push_back(*value);
      });
}

void decrypt_released(Attacker& a) {
  for (const auto mechanism : {CKM_AES_ECB, CKM_AES_CBC})
    for (std::size_t i = 0; i < a.target.keks.size(); ++i)
      a.attempt([&] { a.open_released(i, a.ecb(a.target.keks[i].handle, false, mechanism)); });
  for (const auto& key : a.target.keys)
    a.attempt([&] {
      a.loot.keys.push_back(
          a.s().decrypt(Mechanism(key_wrap), a.target.keks[key.kek].handle, key.blob));
    });
}

void encrypt_unwrap(Attacker& a) {
  for (const auto& kek : a.target.keks)
    a.attempt([&] {
      const Bytes value = random_bytes(16);
      a.loot.injections.push_back({kek.device, wrap(a.ecb(kek.handle, true), value), value});
      (void)a.s().unwrap_key(Mechanism(key_wrap), kek.handle, a.loot.injections.back().blob,
                             Attacker::readable());
    });
}

void set_then_decrypt(Attacker& a) {
  for (std::size_t i = 0; i < a.target.keks.size(); ++i) {
    const auto kek = a.target.keks[i].handle;
    for (const auto& use : {attr::decrypt, attr::unwrap, attr::encrypt, attr::derive})
      a.attempt([&] { a.s().set(kek, Template().add(use, true)); });
    a.attempt([&] { a.open_released(i, a.ecb(kek, false)); });
  }
}

void a1_symmetric(Attacker& a) {
  const auto own = a.s().generate_key(Mechanism(CKM_AES_KEY_GEN), Template()
                                                                      .add(attr::value_len, 16)
                                                                      .add(attr::token, false)
                                                                      .add(attr::wrap, true)
                                                                      .add(attr::decrypt, true));
  for (const auto& key : everything(a.target))
    a.attempt([&] {
      const auto blob = a.s().wrap_key(Mechanism(key_wrap), own, key.handle);
      if (const auto value = unwrap(a.ecb(own, false), blob)) a.loot.keys.push_back(*value);
    });
}

void a1_cbc(Attacker& a) {
  const auto own = a.s().generate_key(Mechanism(CKM_AES_KEY_GEN), Template()
                                                                      .add(attr::value_len, 16)
                                                                      .add(attr::token, false)
                                                                      .add(attr::wrap, true)
                                                                      .add(attr::decrypt, true));
  for (const auto& key : everything(a.target))
    a.attempt([&] {
      const auto blob = a.s().wrap_key(Mechanism(CKM_AES_CBC, Bytes(16)), own, key.handle);
      a.loot.keys.push_back(a.s().decrypt(Mechanism(CKM_AES_CBC, Bytes(16)), own, blob));
    });
}

void a2_asymmetric(Attacker& a) {
  const auto [own_public, own_private] =
      a.s().generate_key_pair(Mechanism(CKM_RSA_PKCS_KEY_PAIR_GEN),
                              Template()
                                  .add(attr::token, false)
                                  .add(attr::wrap, true)
                                  .add(attr::encrypt, true)
                                  .add(attr::modulus_bits, 2048)
                                  .add(attr::public_exponent, {1, 0, 1}),
                              Template()
                                  .add(attr::token, false)
                                  .add(attr::private_, true)
                                  .add(attr::decrypt, true)
                                  .add(attr::unwrap, true));
  for (const auto& key : everything(a.target))
    a.attempt([&] {
      const auto blob = a.s().wrap_key(Mechanism(CKM_RSA_PKCS), own_public, key.handle);
      a.loot.keys.push_back(a.s().decrypt(Mechanism(CKM_RSA_PKCS), own_private, blob));
    });
}

void trojan_aes(Attacker& a) {
  for (const auto& key : everything(a.target))
    if (const auto value = a.learn(key.handle)) a.loot.keys.push_back(*value);
}

void trojan_aes_pad(Attacker& a) {
  const Bytes own = random_bytes(16);
  const auto handle = a.create_wrapping_key(own);
  for (const auto& key : everything(a.target))
    a.attempt([&] {
      const auto blob = a.s().wrap_key(Mechanism(CKM_AES_KEY_WRAP_PAD), handle, key.handle);
      if (const auto value = unwrap_padded(own, blob)) a.loot.keys.push_back(*value);
    });
}

/// The cheapest wrapping key that there is: a weaker key wraps a stronger one.
void weaker_wraps_stronger(Attacker& a) {
  const auto own = a.s().generate_key(
      Mechanism(CKM_DES3_KEY_GEN),
      Template().add(attr::token, false).add(attr::wrap, true).add(attr::decrypt, true));
  for (const auto& key : everything(a.target))
    a.attempt([&] {
      const auto blob = a.s().wrap_key(Mechanism(CKM_DES3_CBC, Bytes(8)), own, key.handle);
      a.loot.keys.push_back(a.s().decrypt(Mechanism(CKM_DES3_CBC, Bytes(8)), own, blob));
    });
}

void trojan_rsa(Attacker& a, CK_MECHANISM_TYPE mechanism, Padding padding) {
  const auto own = own_rsa(2048);
  const auto handle = a.s().create_object(Template()
                                              .add(attr::object_class, CKO_PUBLIC_KEY)
                                              .add(attr::key_type, CKK_RSA)
                                              .add(attr::token, false)
                                              .add(attr::wrap, true)
                                              .add(attr::modulus, own.modulus)
                                              .add(attr::public_exponent, own.public_exponent));
  for (const auto& key : everything(a.target))
    a.attempt([&] {
      const auto how = mechanism == CKM_RSA_PKCS_OAEP ? oaep() : Mechanism(mechanism);
      if (const auto value = own.decrypt(a.s().wrap_key(how, handle, key.handle), padding))
        a.loot.keys.push_back(*value);
    });
}
void trojan_rsa_oaep(Attacker& a) { trojan_rsa(a, CKM_RSA_PKCS_OAEP, Padding::oaep_sha1); }
void trojan_rsa_pkcs(Attacker& a) { trojan_rsa(a, CKM_RSA_PKCS, Padding::pkcs1); }

/// The token's import key as a wrapping key, and back with other attributes.
void wrap_under_import_key(Attacker& a) {
  for (const auto& key : everything(a.target))
    a.attempt([&] {
      const auto blob = a.s().wrap_key(oaep(), a.target.import_public, key.handle);
      const auto again =
          a.s().unwrap_key(oaep(), a.target.import_private, blob, Attacker::readable());
      a.loot.keys.push_back(a.s().need(again, attr::value));
    });
}

void unwrap_readable(Attacker& a) {
  for (const auto& key : a.target.keys)
    a.attempt([&] {
      a.loot.keys.push_back(
          a.s().need(a.s().unwrap_key(Mechanism(key_wrap), a.target.keks[key.kek].handle, key.blob,
                                      Attacker::readable()),
                     attr::value));
    });
}

void unwrap_generic(Attacker& a) {
  for (const auto& key : a.target.keys)
    a.attempt([&] {
      a.loot.keys.push_back(
          a.s().need(a.s().unwrap_key(Mechanism(key_wrap), a.target.keks[key.kek].handle, key.blob,
                                      Attacker::readable(CKK_GENERIC_SECRET)),
                     attr::value));
    });
}

/// A device key, wrapped by the attacker's own key and back, as a key with other uses.
void own_cycle(Attacker& a) {
  const auto own = a.create_wrapping_key(random_bytes(16));
  for (std::size_t i = 0; i < a.target.keks.size(); ++i)
    a.attempt([&] {
      const auto blob = a.s().wrap_key(Mechanism(key_wrap), own, a.target.keks[i].handle);
      const auto again = a.s().unwrap_key(Mechanism(key_wrap), own, blob,
                                          Attacker::secret(Template().add(attr::decrypt, true)));
      a.open_released(i, a.ecb(again, false));
    });
}

/// The KEK under itself, and back for decryption.
void self_cycle(Attacker& a) {
  for (std::size_t i = 0; i < a.target.keks.size(); ++i)
    a.attempt([&] {
      const auto kek = a.target.keks[i].handle;
      const auto again =
          a.s().unwrap_key(Mechanism(key_wrap), kek, a.s().wrap_key(Mechanism(key_wrap), kek, kek),
                           Attacker::secret(Template().add(attr::decrypt, true)));
      a.open_released(i, a.ecb(again, false));
    });
}

/// Any device key under the KEK of another device: a meter would take a key that another one has.
void cross_device(Attacker& a) {
  for (const auto& kek : a.target.keks)
    for (const auto& key : everything(a.target))
      if (kek.device != key.device)
        if (const auto blob = a.attempt(
                [&] { return a.s().wrap_key(Mechanism(key_wrap), kek.handle, key.handle); }))
          a.loot.injections.push_back({kek.device, *blob, {}});
}

}  // namespace

std::vector<Attack> wrap_attacks() {
  const char* const clulow = "Clulow 2003";
  const char* const dks = "Delaune, Kremer, Steel 2008";
  const char* const bcfs = "Bortolozzo et al. 2010";
  return {
      {"wrap/decrypt: a key under the KEK, decrypted by the KEK", clulow, wrap_decrypt},
      {"decrypt a released blob with the KEK (ECB, CBC, key wrap)", clulow, decrypt_released},
      {"encrypt/unwrap: a known key forged by the KEK's ENCRYPT", clulow, encrypt_unwrap},
      {"set attribute: DECRYPT raised on the KEK, then decrypt", clulow, set_then_decrypt},
      {"a1: wrap/decrypt by an AES key of the attacker's", bcfs, a1_symmetric},
      {"a1: the same by CKM_AES_CBC", bcfs, a1_cbc},
      {"a2: wrap/decrypt by an RSA pair of the attacker's", bcfs, a2_asymmetric},
      {"trojan wrapping key, AES (key wrap)", clulow, trojan_aes},
      {"trojan wrapping key, AES (key wrap with padding)", clulow, trojan_aes_pad},
      {"trojan wrapping key, DES3: a weaker key wraps a stronger", clulow, weaker_wraps_stronger,
       "SoftHSM 2.6.1 wraps by AES and RSA only"},
      {"trojan wrapping key, RSA-OAEP", clulow, trojan_rsa_oaep},
      {"trojan wrapping key, RSA PKCS#1 v1.5", clulow, trojan_rsa_pkcs},
      {"wrap under the import key, unwrap readable", dks, wrap_under_import_key},
      {"unwrap a released blob with the KEK, readable", dks, unwrap_readable},
      {"unwrap a released blob as GENERIC_SECRET", dks, unwrap_generic},
      {"KEK under an own key and back, with DECRYPT", dks, own_cycle},
      {"KEK under itself and back, with DECRYPT", dks, self_cycle},
      {"cross-device wrap: a key under another device's KEK", "key separation", cross_device},
  };
}

}  // namespace attack
