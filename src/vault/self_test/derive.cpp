// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "vault/self_test/attempt.hpp"

/// Derivation, by the mechanisms that give a key's bytes away or let them be computed.
namespace smets1kms::vault::attempts {

using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::Template;
namespace attr = pkcs11::attr;

namespace {

// Targets of the parameters below; PKCS#11 takes pointers to non-const and writes to none of these.
std::array<CK_BYTE, 16> data{};

// PKCS#11 3.0: SP 800-108 key derivation and HKDF, which p11-kit's header does not have.
constexpr CK_MECHANISM_TYPE sp800_108_counter_kdf = 0x3AC, hkdf_derive = 0x402A;
struct HkdfParams {
  CK_BBOOL extract, expand;
  CK_MECHANISM_TYPE hash;
  CK_ULONG salt_type;
  CK_BYTE* salt;
  CK_ULONG salt_length;
  CK_OBJECT_HANDLE salt_key;
  CK_BYTE* info;
  CK_ULONG info_length;
};
struct CounterFormat {
  CK_BBOOL little_endian;
  CK_ULONG width_in_bits;
} counter{CK_FALSE, 32};
struct PrfData {
  CK_ULONG type;
  void* value;
  CK_ULONG length;
};
constexpr CK_ULONG iteration_variable = 1, byte_array = 4;
std::array prf_data{PrfData{iteration_variable, &counter, sizeof counter},
                    PrfData{byte_array, data.data(), data.size()}};
struct Sp800108Params {
  CK_ULONG prf, count;
  PrfData* parts;
  CK_ULONG additional_count;
  void* additional;
};

Mechanism mechanism(AttemptContext& trial, CK_MECHANISM_TYPE type) {
  switch (type) {
    case CKM_AES_ECB_ENCRYPT_DATA:
    case CKM_CONCATENATE_BASE_AND_DATA:
    case CKM_CONCATENATE_DATA_AND_BASE:
    case CKM_XOR_BASE_AND_DATA:
      return Mechanism::with(type, CK_KEY_DERIVATION_STRING_DATA{data.data(), data.size()});
    case CKM_AES_CBC_ENCRYPT_DATA:
      return Mechanism::with(type, CK_AES_CBC_ENCRYPT_DATA_PARAMS{{}, data.data(), data.size()});
    case CKM_CONCATENATE_BASE_AND_KEY:
      return Mechanism::with(type, pkcs11::number(trial.generate(key().set(attr::derive, true))));
    case CKM_EXTRACT_KEY_FROM_KEY: return Mechanism::with(type, CK_ULONG{0});
    case hkdf_derive:
      return Mechanism::with(type, HkdfParams{CK_TRUE, CK_TRUE, CKM_SHA256, 1, nullptr, 0,
                                              CK_INVALID_HANDLE, data.data(), data.size()});
    case sp800_108_counter_kdf:
      return Mechanism::with(
          type, Sp800108Params{CKM_AES_CMAC, prf_data.size(), prf_data.data(), 0, nullptr});
    default: return Mechanism(type);  // the CKM_SHA…_KEY_DERIVATION take none
  }
}

/// Derives a key as readable as a thief would like it, and one as closed as the base key, in case a
/// token insists on that.
Outcome derive_both(AttemptContext& trial, const Mechanism& by, Handle base) {
  const auto derive = [&](bool readable) {
    return must_fail("C_DeriveKey", [&] {
      return trial.session.derive_key(by, base,
                                      Template()
                                          .add(attr::object_class, CKO_SECRET_KEY)
                                          .add(attr::key_type, CKK_GENERIC_SECRET)
                                          .add(attr::token, false)
                                          .add(attr::private_, true)
                                          .add(attr::value_len, 16)
                                          .add(attr::sensitive, !readable)
                                          .add(attr::extractable, readable));
    });
  };
  return all({derive(true), derive(false)});
}

/// Tells whether CKA_DERIVE stops the attack, or the token has no such mechanism (or another idea
/// of its parameter).
template <class Attack>
Outcome with_control(Attack attack) {
  Outcome outcome = attack(false);
  if (outcome.verdict != held || outcome.seen.find("CKR_MECHANISM_INVALID") != std::string::npos)
    return outcome;
  if (const Outcome control = attack(true); control.verdict == held)
    outcome.seen += " (with CKA_DERIVE=true " + control.seen + ")";
  return outcome;
}

}  // namespace

Run derives(CK_MECHANISM_TYPE type) {
  return [type](AttemptContext& trial) {
    return with_control([&](bool may) {
      const Handle base = trial.generate(key().set(attr::derive, may));
      return derive_both(trial, mechanism(trial, type), base);
    });
  };
}

Outcome joins_to_own_key(AttemptContext& trial) {
  return with_control([&](bool may) {
    const auto victim = pkcs11::number(trial.generate(key().set(attr::derive, may)));
    return derive_both(trial, Mechanism::with(CKM_CONCATENATE_BASE_AND_KEY, victim),
                       trial.generate(key().set(attr::derive, true)));
  });
}

}  // namespace smets1kms::vault::attempts
