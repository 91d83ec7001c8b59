// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "derivation.hpp"

/// Keys made to compute for the attacker: derivation, MACs, digests, check values, smaller keys.
namespace attack {
namespace {

using Oracle = Loot::Oracle;

std::vector<Victim> everything(const Target& target) {
  auto all = target.keks;
  all.insert(all.end(), target.keys.begin(), target.keys.end());
  return all;
}

Template derived(CK_ULONG length, bool sensitive, CK_KEY_TYPE type = CKK_GENERIC_SECRET) {
  return Template()
      .add(attr::object_class, CKO_SECRET_KEY)
      .add(attr::key_type, type)
      .add(attr::value_len, length)
      .add(attr::token, false)
      .add(attr::private_, true)
      .add(attr::sensitive, sensitive)
      .add(attr::extractable, !sensitive);
}

/// E_K(block), read from a derived key.
Bytes encrypt_by_derive(Attacker& a, Handle key, Bytes block, bool cbc) {
  const auto made =
      a.s().derive_key(cbc ? cbc_with_data(block) : with_data(CKM_AES_ECB_ENCRYPT_DATA, block), key,
                       derived(16, false));
  Bytes value = a.s().need(made, attr::value);
  a.s().destroy_object(made);
  return value;
}

/// 12 derivations are an RFC 3394 wrap of any key: the meter can't tell.
void forge_by_derive(Attacker& a, bool cbc) {
  for (const auto& kek : a.target.keks)
    a.attempt([&] {
      const Bytes value = random_bytes(16);
      a.loot.injections.push_back(
          {kek.device,
           wrap([&](const Bytes& block) { return encrypt_by_derive(a, kek.handle, block, cbc); },
                value),
           value});
    });
}
void ecb_encrypt_data_forges(Attacker& a) { forge_by_derive(a, false); }
void cbc_encrypt_data_forges(Attacker& a) { forge_by_derive(a, true); }

/// E_K(0) is the GHASH key of a GCM key.
void ghash_key_by_derive(Attacker& a) {
  for (const auto& key : a.target.keys) {
    const Bytes zero(16);
    if (const auto value = a.attempt([&] { return encrypt_by_derive(a, key.handle, zero, false); }))
      a.loot.oracles.push_back({Oracle::Kind::ecb, key.id, zero, *value});
  }
}

/// E_K(block) byte by byte, from derived keys that are sensitive: each is one byte longer than the
/// one before, and a search by CKA_VALUE says which of 256 it is.
void reduced_key_space(Attacker& a) {
  for (const auto& key : everything(a.target))
    a.attempt([&] {
      Bytes zero(16), known;
      for (CK_ULONG length = 1; length <= 16; ++length) {
        const auto made = a.s().derive_key(with_data(CKM_AES_ECB_ENCRYPT_DATA, zero), key.handle,
                                           derived(length, true));
        bool found = false;
        for (int guess = 0; guess < 256 && !found; ++guess)
          for (const bool in_front : {true, false}) {
            Bytes candidate(known);
            candidate.insert(in_front ? candidate.begin() : candidate.end(),
                             static_cast<std::uint8_t>(guess));
            for (const auto match : a.s().find_objects(Template().add(attr::value, candidate)))
              if (match == made) {
                found = true;
                known = candidate;
              }
            if (found) break;
          }
        a.s().destroy_object(made);
        if (!found) throw pkcs11::Error("C_FindObjects", CKR_OK, "no match by value");
      }
      a.loot.oracles.push_back({Oracle::Kind::ecb, key.id, zero, known});
    });
}

/// An encryption oracle by the KEK's own ENCRYPT in the other modes.
void cipher_modes_forge(Attacker& a) {
  for (const auto& kek : a.target.keks) {
    const Bytes value = random_bytes(16);
    const auto forge = [&](const Block& encrypt) {
      a.attempt([&] { a.loot.injections.push_back({kek.device, wrap(encrypt, value), value}); });
    };
    forge(a.ecb(kek.handle, true, CKM_AES_CBC));
    forge([&](const Bytes& block) {  // counter mode over zeros
      CK_AES_CTR_PARAMS raw{};
      raw.ulCounterBits = 128;
      std::copy(block.begin(), block.end(), raw.cb);
      Bytes image(sizeof raw);
      std::memcpy(image.data(), &raw, sizeof raw);
      return a.s().encrypt(Mechanism(CKM_AES_CTR, image), kek.handle, Bytes(16));
    });
    a.attempt(
        [&] { (void)a.s().encrypt(Mechanism::aes_gcm(Bytes(12), {}), kek.handle, Bytes(16)); });
  }
}

void concatenate(Attacker& a) {
  for (const auto& key : everything(a.target)) {
    Bytes data(1);
    const auto other =
        static_cast<CK_ULONG>(a.create_known(random_bytes(16), Template().add(attr::derive, true)));
    const std::pair<const char*, Mechanism> all[] = {
        {"base and key", with_number(CKM_CONCATENATE_BASE_AND_KEY, other)},
        {"base and data", with_data(CKM_CONCATENATE_BASE_AND_DATA, data)},
        {"data and base", with_data(CKM_CONCATENATE_DATA_AND_BASE, data)}};
    for (const auto& [name, mechanism] : all)
      a.attempt([&] {
        const Bytes value =
            a.s().need(a.s().derive_key(mechanism, key.handle, derived(17, false)), attr::value);
        a.loot.keys.emplace_back(value.begin(), value.begin() + 16);
        a.loot.keys.emplace_back(value.end() - 16, value.end());
      });
  }
}

void exclusive_or_data(Attacker& a) {
  for (const auto& key : everything(a.target))
    a.attempt([&] {
      Bytes zero(16);
      a.loot.keys.push_back(a.s().need(
          a.s().derive_key(with_data(CKM_XOR_BASE_AND_DATA, zero), key.handle, derived(16, false)),
          attr::value));
    });
}

void extract_key_from_key(Attacker& a) {
  for (const auto& key : everything(a.target))
    a.attempt([&] {
      a.loot.keys.push_back(a.s().need(a.s().derive_key(with_number(CKM_EXTRACT_KEY_FROM_KEY, 0),
                                                        key.handle, derived(16, false)),
                                       attr::value));
    });
}

/// Every other derivation that a token may have, whatever C_GetMechanismInfo says.
void other_derivations(Attacker& a) {
  for (const auto& key : everything(a.target))
    for (const CK_MECHANISM_TYPE type :
         {CKM_SHA1_KEY_DERIVATION, CKM_SHA256_KEY_DERIVATION, CKM_MD5_KEY_DERIVATION,
          CKM_DES_ECB_ENCRYPT_DATA, CKM_DES3_ECB_ENCRYPT_DATA, CKM_DES_CBC_ENCRYPT_DATA,
          CKM_DES3_CBC_ENCRYPT_DATA, CKM_PBA_SHA1_WITH_SHA1_HMAC, CKM_SSL3_KEY_AND_MAC_DERIVE,
          CKM_TLS_PRF, CKM_DH_PKCS_DERIVE, CKM_ECDH1_DERIVE})
      a.attempt([&] {
        Bytes data(16);
        const Bytes value = a.s().need(
            a.s().derive_key(with_data(type, data), key.handle, derived(16, false)), attr::value);
        a.loot.facts.push_back("a key derived by " + pkcs11::mechanism_name(type));
      });
}

void check_value(Attacker& a) {
  for (const auto& key : everything(a.target))
    if (const auto value = a.s().get(key.handle, attr::check_value); value && value->size() >= 3)
      a.loot.oracles.push_back({Oracle::Kind::check_value, key.id, Bytes(16), *value});
}

/// The token computes a check value where it was left out: in a copy.
void check_value_by_copy(Attacker& a) {
  for (const auto& key : everything(a.target))
    if (const auto copy = a.attempt(
            [&] { return a.s().copy_object(key.handle, Template().add(attr::token, false)); }))
      if (const auto value = a.s().get(*copy, attr::check_value); value && value->size() >= 3)
        a.loot.oracles.push_back({Oracle::Kind::check_value, key.id, Bytes(16), *value});
}

void mac_with_kek(Attacker& a) {
  const Bytes message = random_bytes(32);
  for (const auto& kek : a.target.keks)
    for (const auto type : {CKM_AES_CMAC, CKM_AES_GMAC, CKM_SHA256_HMAC, CKM_DES3_CMAC})
      if (const auto tag =
              a.attempt([&] { return a.s().sign(Mechanism(type), kek.handle, message); }))
        a.loot.oracles.push_back({Oracle::Kind::cmac, kek.id, message, *tag});
}

/// A GUEK that signs: its CMAC is not a use of its own.
void mac_with_encryption_key(Attacker& a) {
  const Bytes message = random_bytes(32);
  for (const auto& key : a.target.keys)
    if (key.role != "gak")
      if (const auto tag =
              a.attempt([&] { return a.s().sign(Mechanism(CKM_AES_CMAC), key.handle, message); }))
        a.loot.oracles.push_back({Oracle::Kind::cmac, key.id, message, *tag});
}

/// ECB by the GAK: with the GUEK's GCM known, its block cipher is all that is missing.
void encrypt_with_gak(Attacker& a) {
  const Bytes zero(16);
  for (const auto& key : a.target.keys)
    if (key.role == "gak")
      if (const auto value =
              a.attempt([&] { return a.s().encrypt(Mechanism(CKM_AES_ECB), key.handle, zero); }))
        a.loot.oracles.push_back({Oracle::Kind::ecb, key.id, zero, *value});
}

/// ECB by a GUEK: its uses are GCM's.
void encrypt_with_guek(Attacker& a) {
  const Bytes zero(16);
  for (const auto& key : a.target.keys)
    if (key.role == "guek")
      for (const auto mechanism : {CKM_AES_ECB, CKM_AES_CBC})
        if (const auto value = a.attempt([&] { return a.ecb(key.handle, true, mechanism)(zero); }))
          a.loot.oracles.push_back({Oracle::Kind::ecb, key.id, zero, *value});
}

/// The state of a digest over a key would hold the key: SHA-256 keeps a block that is not full.
void digest_state(Attacker& a) {
  for (const auto& key : everything(a.target)) {
    a.attempt([&] {
      CK_MECHANISM sha256_mechanism{CKM_SHA256, nullptr, 0};
      a.call("C_DigestInit", &CK_FUNCTION_LIST::C_DigestInit, &sha256_mechanism);
      a.call("C_DigestKey", &CK_FUNCTION_LIST::C_DigestKey,
             static_cast<CK_OBJECT_HANDLE>(key.handle));
    });
    a.attempt([&] {
      Bytes state(1024);
      CK_ULONG length = state.size();
      a.call("C_GetOperationState", &CK_FUNCTION_LIST::C_GetOperationState, state.data(), &length);
      for (CK_ULONG i = 0; i + 16 <= length; ++i)
        a.loot.keys.emplace_back(state.begin() + static_cast<std::ptrdiff_t>(i),
                                 state.begin() + static_cast<std::ptrdiff_t>(i + 16));
    });
    Bytes digest(64);
    CK_ULONG length = digest.size();
    (void)a.target.module->invoke(&CK_FUNCTION_LIST::C_DigestFinal, a.s().raw(), digest.data(),
                                  &length);
  }
}

}  // namespace

std::vector<Attack> oracle_attacks() {
  const char* const clulow = "Clulow 2003 (reduced key space)";
  const char* const oracle = "encryption oracle";
  return {
      {"AES_ECB_ENCRYPT_DATA by the KEK forges a wrapped key", oracle, ecb_encrypt_data_forges},
      {"AES_CBC_ENCRYPT_DATA by the KEK forges a wrapped key", oracle, cbc_encrypt_data_forges},
      {"AES_ECB_ENCRYPT_DATA by a GUEK or GAK: its GHASH key", oracle, ghash_key_by_derive},
      {"ENCRYPT by the KEK (CBC, CTR) forges a wrapped key", oracle, cipher_modes_forge},
      {"ENCRYPT by the GUEK outside GCM: its GHASH key", oracle, encrypt_with_guek},
      {"ENCRYPT by the GAK", "key separation", encrypt_with_gak},
      {"reduced key space: derived keys of 1 to 16 bytes", clulow, reduced_key_space},
      {"reduced key space: EXTRACT_KEY_FROM_KEY", clulow, extract_key_from_key,
       "SoftHSM has no CKM_EXTRACT_KEY_FROM_KEY"},
      {"derive: CONCATENATE_BASE_AND_KEY, …_DATA", clulow, concatenate,
       "SoftHSM 2.6.1 has no CKM_CONCATENATE_…"},
      {"derive: XOR_BASE_AND_DATA", clulow, exclusive_or_data,
       "SoftHSM has no CKM_XOR_BASE_AND_DATA"},
      {"derive: every other mechanism", "key separation", other_derivations,
       "SoftHSM derives from AES keys by ECB and CBC only"},
      {"check value: 24 bits of the GHASH key", "CKA_CHECK_VALUE", check_value},
      {"check value of a copy", "CKA_CHECK_VALUE", check_value_by_copy},
      {"CMAC, GMAC, HMAC by the KEK", "key separation", mac_with_kek},
      {"CMAC by a GUEK", "key separation", mac_with_encryption_key},
      {"C_DigestKey, then C_GetOperationState", "operation state", digest_state,
       "SoftHSM has no C_GetOperationState"},
  };
}

}  // namespace attack
