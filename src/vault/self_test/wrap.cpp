// SPDX-License-Identifier: Apache-2.0
#include "vault/self_test/attempt.hpp"

/// Keys that must not leave, or not be wrapped for a meter. Each refusal is set against a wrap that
/// works, so that it is the refusal we mean.
namespace smets1kms::vault::attempts {

using pkcs11::Handle;
using pkcs11::Template;
namespace attr = pkcs11::attr;

Run wraps(const Template& kek_attributes, const Make& bad) {
  return [=](AttemptContext& bench) -> Outcome {
    const Handle wrapping_key = bench.generate(kek_attributes);
    (void)bench.wrap(wrapping_key, bench.generate(extractable_key()));
    Handle other{};
    try {
      other = bad(bench);
    } catch (const pkcs11::Error& error) {
      // A token that takes no key in clear takes none from a thief.
      if (is_fault(error) || error.function() != "C_CreateObject") throw;
      return {held, error.what()};
    }
    return must_fail("C_WrapKey", [&] { return bench.wrap(wrapping_key, other); });
  };
}

Make generated(const Template& attributes, CK_ULONG length) {
  return [=](AttemptContext& bench) { return bench.generate(attributes, length); };
}

Handle created(AttemptContext& bench) { return bench.create(extractable_key()); }

Handle unwrapped(AttemptContext& bench) {
  const Storage from = bench.storage(extractable_key());
  return bench.unwrap(from, from.form);
}

Handle made_sensitive_later(AttemptContext& bench) {
  const Handle object = bench.generate(extractable_key().set(attr::sensitive, false));
  bench.session.set(object, one(attr::sensitive, true));
  return object;
}

Outcome wraps_without_wrap(AttemptContext& bench) {
  const Handle target = bench.generate(extractable_key()), may = bench.generate(kek()),
               may_not = bench.generate(key());
  (void)bench.wrap(may, target);
  return must_fail("C_WrapKey", [&] { return bench.wrap(may_not, target); });
}

Outcome wraps_outside_allowed(AttemptContext& bench) {
  const Handle target = bench.generate(extractable_key());
  (void)bench.wrap(bench.generate(kek().add(attr::allowed_mechanisms, {bench.key_wrap})), target);
  const Handle may_not = bench.generate(kek().add(attr::allowed_mechanisms, {CKM_AES_GCM}));
  return must_fail("C_WrapKey", [&] { return bench.wrap(may_not, target); });
}

}  // namespace smets1kms::vault::attempts
