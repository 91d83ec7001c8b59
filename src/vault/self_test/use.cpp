// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include "vault/self_test/attempt.hpp"

/// Keys used for something that their attributes do not allow.
namespace smets1kms::vault::attempts {

using pkcs11::Bytes;
using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::Template;
namespace attr = pkcs11::attr;

Run uses_kek(const char* function,
             Bytes (pkcs11::Session::*operation)(Mechanism, Handle, pkcs11::ByteView),
             CK_MECHANISM_TYPE type) {
  return [=](AttemptContext& trial) {
    const Bytes block(16);
    const Handle object = trial.generate(kek());
    return must_fail(function,
                     [&] { return (trial.session.*operation)(Mechanism(type), object, block); });
  };
}

namespace {

Outcome decrypts_blob(AttemptContext& trial, CK_MECHANISM_TYPE type) {
  const Handle wrapping_key = trial.generate(kek());
  Bytes blob = trial.wrap(wrapping_key, trial.generate(extractable_key()));
  if (type == CKM_AES_ECB)
    blob.resize(16);  // whole blocks; RFC 3394 section 2.2.2 is then a few more of them
  return must_fail("C_Decrypt",
                   [&] { return trial.session.decrypt(Mechanism(type), wrapping_key, blob); });
}

}  // namespace

Outcome decrypts_blob_by_ecb(AttemptContext& trial) { return decrypts_blob(trial, CKM_AES_ECB); }
Outcome decrypts_blob_by_key_wrap(AttemptContext& trial) {
  return decrypts_blob(trial, trial.key_wrap);
}

Outcome encrypts_outside_allowed(AttemptContext& trial) {
  const Bytes block(16);
  const Handle gcm_only =
      trial.generate(key().set(attr::encrypt, true).add(attr::allowed_mechanisms, {CKM_AES_GCM}));
  const Handle any = trial.generate(key().set(attr::encrypt, true));
  const Outcome outcome = must_fail(
      "C_Encrypt", [&] { return trial.session.encrypt(Mechanism(CKM_AES_ECB), gcm_only, block); });
  if (outcome.verdict != held) return outcome;
  try {
    // Without the mechanism list it works, so nothing else was refused.
    (void)trial.session.encrypt(Mechanism(CKM_AES_ECB), any, block);
  } catch (const pkcs11::Error& error) {
    if (error.rv() != CKR_MECHANISM_INVALID) throw;
    return {held, "C_EncryptInit: CKR_MECHANISM_INVALID, the token has no AES-ECB"};
  }
  return outcome;
}

namespace {

void digest_key(AttemptContext& trial, Handle object) {
  CK_MECHANISM sha256{CKM_SHA256, nullptr, 0};
  trial.session.call("C_DigestInit", &CK_FUNCTION_LIST::C_DigestInit, &sha256);
  trial.session.call("C_DigestKey", &CK_FUNCTION_LIST::C_DigestKey, pkcs11::number(object));
}

}  // namespace

Outcome digests_key(AttemptContext& trial) {
  const Handle object = trial.generate(key().add(attr::allowed_mechanisms, {CKM_AES_GCM}));
  return must_fail("C_DigestKey", [&] { digest_key(trial, object); });
}

Outcome reads_digest_state(AttemptContext& trial) {
  const Bytes value = trial.session.random(16);
  Handle object{};
  try {
    object = trial.create(key(), value);
  } catch (const pkcs11::Error& error) {  // it takes no key in clear: that the state has one can't
                                          // be shown, and it must not be read
    if (is_fault(error)) throw;
    object = trial.generate(key());
  }
  return must_fail("C_GetOperationState", [&] {
    digest_key(trial, object);
    Bytes state(16384);
    auto size = static_cast<CK_ULONG>(state.size());
    trial.session.call("C_GetOperationState", &CK_FUNCTION_LIST::C_GetOperationState, state.data(),
                       &size);
    state.resize(size);
    const bool clear = !std::ranges::search(state, value).empty();
    return Outcome{not_held, clear ? "C_GetOperationState: CKR_OK, with the key in clear"
                                   : "C_GetOperationState: CKR_OK after C_DigestKey"};
  });
}

namespace {

struct RsaPair {
  Handle out, in;
};

RsaPair oaep_only(AttemptContext& trial) {
  const Template out = Template()
                           .add(attr::token, false)
                           .add(attr::encrypt, true)
                           .add(attr::modulus_bits, 2048)
                           .add(attr::public_exponent, {1, 0, 1});
  const Template in = Template()
                          .add(attr::token, false)
                          .add(attr::private_, true)
                          .add(attr::sensitive, true)
                          .add(attr::extractable, false)
                          .add(attr::decrypt, false)
                          .add(attr::sign, false)
                          .add(attr::unwrap, true)
                          .add(attr::allowed_mechanisms, {CKM_RSA_PKCS_OAEP});
  const auto [public_key, private_key] =
      trial.session.generate_key_pair(Mechanism(CKM_RSA_PKCS_KEY_PAIR_GEN), out, in);
  return {public_key, private_key};
}

/// Returns a template as readable as a thief would like it, in the form in which this token
/// unwraps.
Template readable(Template form, CK_KEY_TYPE type) {
  return form.set(attr::key_type, type).set(attr::sensitive, false).set(attr::extractable, true);
}

/// Unwraps by PKCS#1 a message that the token itself has made. Where it makes none, one with
/// another padding is sent, and only CKR_MECHANISM_INVALID says that it was not the padding that
/// was refused.
Outcome unwraps_by_pkcs1(AttemptContext& trial, const RsaPair& pair, const Template& form,
                         const Bytes& other) {
  const Mechanism pkcs1(CKM_RSA_PKCS);
  std::optional<Bytes> message;
  try {
    message = trial.session.encrypt(pkcs1, pair.out, trial.session.random(16));
  } catch (const pkcs11::Error& error) {
    if (is_fault(error)) throw;
  }
  const Outcome outcome = must_fail("C_UnwrapKey by CKM_RSA_PKCS", [&] {
    return trial.session.unwrap_key(pkcs1, pair.in, message.value_or(other),
                                    readable(form, CKK_AES));
  });
  if (message || outcome.seen.find("CKR_MECHANISM_INVALID") != std::string::npos) return outcome;
  return {not_tried, "no message by CKM_RSA_PKCS can be made; of another, " + outcome.seen};
}

}  // namespace

/// Tries all RSA attacks with one pair, as RSA key generation is slow.
Outcome opens_rsa_otherwise(AttemptContext& trial) {
  const RsaPair pair = oaep_only(trial);
  const Mechanism oaep = Mechanism::rsa_oaep(CKM_SHA_1, CKG_MGF1_SHA1);
  const Bytes message = trial.session.encrypt(oaep, pair.out, trial.session.random(16));
  const Template form = trial.unwrap_form(oaep, pair.in, message, key());
  return all({unwraps_by_pkcs1(trial, pair, form, message),
              must_fail("C_UnwrapKey by CKM_RSA_X_509",
                        [&] {
                          return trial.session.unwrap_key(Mechanism(CKM_RSA_X_509), pair.in,
                                                          message,
                                                          readable(form, CKK_GENERIC_SECRET));
                        }),
              must_fail("C_Decrypt by CKM_RSA_PKCS_OAEP",
                        [&] { return trial.session.decrypt(oaep, pair.in, message); })});
}

}  // namespace smets1kms::vault::attempts
