// SPDX-License-Identifier: Apache-2.0
#include "vault/self_test/attempt.hpp"

/// Protections that the sealed vault needs, and the token vault does not.
namespace smets1kms::vault::attempts {

using pkcs11::Bytes;
using pkcs11::Handle;
using pkcs11::Template;
namespace attr = pkcs11::attr;

/// Tries another mechanism list. SoftHSM compares lists in an UNWRAP_TEMPLATE byte by byte; a GUEK
/// that came back without its list would encrypt by ECB.
Outcome unwraps_for_other_mechanisms(AttemptContext& trial) {
  const Template gcm_only = Template().add(attr::allowed_mechanisms, {CKM_AES_GCM});
  const Storage from = trial.storage(key().set(attr::encrypt, true).append(gcm_only), gcm_only);
  const auto attack = [&](const Template& attributes) {
    return must_fail("C_UnwrapKey", [&] {
      const Handle object = trial.unwrap(from, attributes);
      const Bytes zero(16);
      return must_fail("C_Encrypt", [&] {
        return trial.session.encrypt(pkcs11::Mechanism(CKM_AES_ECB), object, zero);
      });
    });
  };
  return all({attack(Template(from.form).set(attr::allowed_mechanisms, {CKM_AES_ECB})),
              attack(without(from.form, CKA_ALLOWED_MECHANISMS))});
}

/// Tries to learn an opened key: one that may be wrapped anew must leave under a trusted key only.
Outcome learns_opened_key(AttemptContext& trial) {
  const Template trusting =
      Template().add(attr::wrap_with_trusted, true).add(attr::sensitive, true);
  const Storage from =
      trial.storage(extractable_key().add(attr::wrap_with_trusted, true), trusting);
  const Handle own = trial.generate(kek());
  (void)trial.wrap(own, trial.generate(extractable_key()));
  const Handle opened = trial.unwrap(from, from.form);
  return all({must_fail("C_WrapKey", [&] { return trial.wrap(own, opened); }),
              must_fail("C_UnwrapKey", [&] {
                const Handle other =
                    trial.unwrap(from, Template(from.form).set(attr::wrap_with_trusted, false));
                return must_fail("C_WrapKey", [&] { return trial.wrap(own, other); });
              })});
}

Outcome verifies_changed_mac(AttemptContext& trial) {
  const pkcs11::Mechanism cmac(CKM_AES_CMAC);
  const Handle mac_key = trial.generate(key().set(attr::sign, true).set(attr::verify, true), 32);
  Bytes message(108, 0x5A), mac = trial.session.sign(cmac, mac_key, message);
  if (!trial.session.verify(cmac, mac_key, message, mac))
    return {not_tried, "C_Verify: CKR_SIGNATURE_INVALID, of the token's own MAC"};
  message.back() ^= 1;
  if (trial.session.verify(cmac, mac_key, message, mac))
    return {not_held, "C_Verify: CKR_OK, of another message"};
  message.back() ^= 1;
  mac.back() ^= 1;
  if (trial.session.verify(cmac, mac_key, message, mac))
    return {not_held, "C_Verify: CKR_OK, of another MAC"};
  return {held, "C_Verify: CKR_SIGNATURE_INVALID"};
}

}  // namespace smets1kms::vault::attempts
