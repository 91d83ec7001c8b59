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
  return [=](AttemptContext& bench) {
    const Bytes block(16);
    const Handle object = bench.generate(kek());
    return must_fail(function,
                     [&] { return (bench.session.*operation)(Mechanism(type), object, block); });
  };
}

namespace {

Outcome decrypts_blob(AttemptContext& bench, CK_MECHANISM_TYPE type) {
  const Handle wrapping_key = bench.generate(kek());
  Bytes blob = bench.wrap(wrapping_key, bench.generate(extractable_key()));
  if (type == CKM_AES_ECB)
    blob.resize(16);  // whole blocks; RFC 3394 section 2.2.2 is then a few more of them
  return must_fail("C_Decrypt",
                   [&] { return bench.session.decrypt(Mechanism(type), wrapping_key, blob); });
}

}  // namespace

Outcome decrypts_blob_by_ecb(AttemptContext& bench) { return decrypts_blob(bench, CKM_AES_ECB); }
Outcome decrypts_blob_by_key_wrap(AttemptContext& bench) {
  return decrypts_blob(bench, bench.key_wrap);
}

Outcome encrypts_outside_allowed(AttemptContext& bench) {
  const Bytes block(16);
  const Handle gcm_only =
      bench.generate(key().set(attr::encrypt, true).add(attr::allowed_mechanisms, {CKM_AES_GCM}));
  const Handle any = bench.generate(key().set(attr::encrypt, true));
  const Outcome outcome = must_fail(
      "C_Encrypt", [&] { return bench.session.encrypt(Mechanism(CKM_AES_ECB), gcm_only, block); });
  if (outcome.verdict != held) return outcome;
  try {
    (void)bench.session.encrypt(Mechanism(CKM_AES_ECB), any, block);  // it was no other refusal
  } catch (const pkcs11::Error& error) {
    if (error.rv() != CKR_MECHANISM_INVALID) throw;
    return {held, "C_EncryptInit: CKR_MECHANISM_INVALID, the token has no AES-ECB"};
  }
  return outcome;
}

namespace {

void digest_key(AttemptContext& bench, Handle object) {
  CK_MECHANISM sha256{CKM_SHA256, nullptr, 0};
  bench.session.call("C_DigestInit", &CK_FUNCTION_LIST::C_DigestInit, &sha256);
  bench.session.call("C_DigestKey", &CK_FUNCTION_LIST::C_DigestKey, pkcs11::number(object));
}

}  // namespace

Outcome digests_key(AttemptContext& bench) {
  const Handle object = bench.generate(key().add(attr::allowed_mechanisms, {CKM_AES_GCM}));
  return must_fail("C_DigestKey", [&] { digest_key(bench, object); });
}

Outcome reads_digest_state(AttemptContext& bench) {
  const Bytes value = bench.session.random(16);
  Handle object{};
  try {
    object = bench.create(key(), value);
  } catch (const pkcs11::Error& error) {  // it takes no key in clear: that the state has one can't
                                          // be shown, and it must not be read
    if (is_fault(error)) throw;
    object = bench.generate(key());
  }
  return must_fail("C_GetOperationState", [&] {
    digest_key(bench, object);
    Bytes state(16384);
    auto size = static_cast<CK_ULONG>(state.size());
    bench.session.call("C_GetOperationState", &CK_FUNCTION_LIST::C_GetOperationState, state.data(),
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

RsaPair oaep_only(AttemptContext& bench) {
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
      bench.session.generate_key_pair(Mechanism(CKM_RSA_PKCS_KEY_PAIR_GEN), out, in);
  return {public_key, private_key};
}

/// As readable as a thief would like it, in the form in which this token unwraps.
Template readable(Template form, CK_KEY_TYPE type) {
  return form.set(attr::key_type, type).set(attr::sensitive, false).set(attr::extractable, true);
}

/// Of a message that the token itself has made. Where it makes none, one with another padding is
/// sent, and only CKR_MECHANISM_INVALID says that it was not the padding that was refused.
Outcome unwraps_by_pkcs1(AttemptContext& bench, const RsaPair& pair, const Template& form,
                         const Bytes& other) {
  const Mechanism pkcs1(CKM_RSA_PKCS);
  std::optional<Bytes> message;
  try {
    message = bench.session.encrypt(pkcs1, pair.out, bench.session.random(16));
  } catch (const pkcs11::Error& error) {
    if (is_fault(error)) throw;
  }
  const Outcome outcome = must_fail("C_UnwrapKey by CKM_RSA_PKCS", [&] {
    return bench.session.unwrap_key(pkcs1, pair.in, message.value_or(other),
                                    readable(form, CKK_AES));
  });
  if (message || outcome.seen.find("CKR_MECHANISM_INVALID") != std::string::npos) return outcome;
  return {not_tried, "no message by CKM_RSA_PKCS can be made; of another, " + outcome.seen};
}

}  // namespace

/// RSA key generation is slow, so one pair for all of it.
Outcome opens_rsa_otherwise(AttemptContext& bench) {
  const RsaPair pair = oaep_only(bench);
  const Mechanism oaep = Mechanism::rsa_oaep(CKM_SHA_1, CKG_MGF1_SHA1);
  const Bytes message = bench.session.encrypt(oaep, pair.out, bench.session.random(16));
  const Template form = bench.unwrap_form(oaep, pair.in, message, key());
  return all({unwraps_by_pkcs1(bench, pair, form, message),
              must_fail("C_UnwrapKey by CKM_RSA_X_509",
                        [&] {
                          return bench.session.unwrap_key(Mechanism(CKM_RSA_X_509), pair.in,
                                                          message,
                                                          readable(form, CKK_GENERIC_SECRET));
                        }),
              must_fail("C_Decrypt by CKM_RSA_PKCS_OAEP",
                        [&] { return bench.session.decrypt(oaep, pair.in, message); })});
}

}  // namespace smets1kms::vault::attempts
