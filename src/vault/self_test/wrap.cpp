// SPDX-License-Identifier: Apache-2.0
#include "vault/self_test/attempt.hpp"
#include "vault/target_keys.hpp"

/// Keys that must not leave, or not be wrapped for a meter. Each refusal is set against a wrap that
/// works, so that it is the refusal we mean.
namespace smets1kms::vault::attempts {

using pkcs11::Handle;
using pkcs11::Template;
namespace attr = pkcs11::attr;

Run wraps(const Template& kek_attributes, const Make& bad) {
  return [=](AttemptContext& trial) -> Outcome {
    const Handle wrapping_key = trial.generate(kek_attributes);
    (void)trial.wrap(wrapping_key, trial.generate(extractable_key()));
    Handle other{};
    try {
      other = bad(trial);
    } catch (const pkcs11::Error& error) {
      // A token that takes no key in clear takes none from a thief.
      if (is_fault(error) || error.function() != "C_CreateObject") throw;
      return {held, error.what()};
    }
    return must_fail("C_WrapKey", [&] { return trial.wrap(wrapping_key, other); });
  };
}

Make generated(const Template& attributes, CK_ULONG length) {
  return [=](AttemptContext& trial) { return trial.generate(attributes, length); };
}

Handle created(AttemptContext& trial) { return trial.create(extractable_key()); }

Handle unwrapped(AttemptContext& trial) {
  const Storage from = trial.storage(extractable_key());
  return trial.unwrap(from, from.form);
}

Handle made_sensitive_later(AttemptContext& trial) {
  const Handle object = trial.generate(extractable_key().set(attr::sensitive, false));
  trial.session.set(object, one(attr::sensitive, true));
  return object;
}

Outcome wraps_under_rsa(AttemptContext& trial) {
  const Handle thief =
      trial.session.create_object(pkcs11::Template()
                                      .add(attr::object_class, CKO_PUBLIC_KEY)
                                      .add(attr::key_type, CKK_RSA)
                                      .add(attr::token, false)
                                      .add(attr::modulus, any_rsa_modulus())
                                      .add(attr::public_exponent, {0x01, 0x00, 0x01})
                                      .add(attr::wrap, true));
  const auto wrap = [&](bool trusted_only) {
    const auto key = trial.generate(extractable_key().add(attr::wrap_with_trusted, trusted_only));
    return trial.session.wrap_key(pkcs11::Mechanism::rsa_oaep(CKM_SHA_1, CKG_MGF1_SHA1), thief,
                                  key);
  };
  try {
    (void)wrap(false);
  } catch (const pkcs11::Error& error) {
    if (is_fault(error)) throw;
    return {held, error.what()};  // it wraps nothing under RSA
  }
  return must_fail("C_WrapKey", [&] { return wrap(true); });
}

Outcome wraps_without_wrap(AttemptContext& trial) {
  const Handle target = trial.generate(extractable_key()), may = trial.generate(kek()),
               may_not = trial.generate(key());
  (void)trial.wrap(may, target);
  return must_fail("C_WrapKey", [&] { return trial.wrap(may_not, target); });
}

Outcome wraps_outside_allowed(AttemptContext& trial) {
  const Handle target = trial.generate(extractable_key());
  (void)trial.wrap(trial.generate(kek().add(attr::allowed_mechanisms, {trial.key_wrap})), target);
  const Handle may_not = trial.generate(kek().add(attr::allowed_mechanisms, {CKM_AES_GCM}));
  return must_fail("C_WrapKey", [&] { return trial.wrap(may_not, target); });
}

}  // namespace smets1kms::vault::attempts
