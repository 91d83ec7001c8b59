// SPDX-License-Identifier: Apache-2.0
#include "vault/self_test/attempt.hpp"

/// Keys that must not leave, or not be wrapped for a meter. Each refusal is set against a wrap that
/// works, so that it is the refusal we mean.
namespace smets1kms::vault::attempts {

using pkcs11::Handle;
using pkcs11::Template;
namespace attr = pkcs11::attr;

Run wraps(Template kek_attributes, Make good, Make bad) {
  return [kek_attributes = std::move(kek_attributes), good = std::move(good),
          bad = std::move(bad)](AttemptContext& bench) {
    const Handle wrapping_key = bench.generate(kek_attributes);
    (void)bench.wrap(wrapping_key, good(bench));
    Handle other{};
    try {
      other = bad(bench);
    } catch (const pkcs11::Error& error) {
      // A token that takes no key in clear takes none from a thief.
      if (is_fault(error) || error.function() != "C_CreateObject") throw;
      return held(error.what());
    }
    return must_fail("C_WrapKey", [&] { return bench.wrap(wrapping_key, other); });
  };
}

Make generated(Template attributes, CK_ULONG length) {
  return [attributes = std::move(attributes), length](AttemptContext& bench) {
    return bench.generate(attributes, length);
  };
}

Make created(Template attributes) {
  return [attributes = std::move(attributes)](AttemptContext& bench) {
    return bench.create(attributes);
  };
}

Make unwrapped(Template attributes) {
  return [attributes = std::move(attributes)](AttemptContext& bench) {
    const Handle both_ways = bench.generate(kek().set(attr::unwrap, true));
    const pkcs11::Bytes blob = bench.wrap(both_ways, bench.generate(extractable_key()));
    return bench.unwrap(both_ways, blob, bench.unwrap_form(both_ways, blob, attributes));
  };
}

Make made_sensitive_later(Template attributes) {
  return [attributes = std::move(attributes)](AttemptContext& bench) {
    const Handle object = bench.generate(Template(attributes).set(attr::sensitive, false));
    bench.session.set(object, Template().add(attr::sensitive, true));
    return object;
  };
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
