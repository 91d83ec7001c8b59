// SPDX-License-Identifier: Apache-2.0
#include "vault/self_test/attempt.hpp"

/// Attributes that must not change once they are set, or that only the token may set.
namespace smets1kms::vault::attempts {

using pkcs11::Handle;
using pkcs11::Template;
namespace attr = pkcs11::attr;

Run by_generation(const Template& wanted) {
  return [=](AttemptContext& bench) {
    (void)bench.generate(key());
    return must_not_get(bench, "C_GenerateKey", wanted,
                        [&] { return bench.generate(key().append(wanted)); });
  };
}

Run by_creation(const Template& wanted) {
  return [=](AttemptContext& bench) {
    // A token that takes no clear keys at all has no key created there to fear.
    return must_not_get(bench, "C_CreateObject", wanted,
                        [&] { return bench.create(key().append(wanted)); });
  };
}

Run by_unwrap(const Template& wanted) {
  return [=](AttemptContext& bench) {
    const Storage from = bench.storage(key());
    return must_not_get(bench, "C_UnwrapKey", wanted,
                        [&] { return bench.unwrap(from, Template(from.form).append(wanted)); });
  };
}

Run by_set(const Template& attributes, const Template& change) {
  return [=](AttemptContext& bench) {
    const Handle object = bench.generate(attributes);
    return must_not_get(bench, "C_SetAttributeValue", change, [&] {
      bench.session.set(object, change);
      return object;
    });
  };
}

Run by_copy(const Template& attributes, const Template& change) {
  return [=](AttemptContext& bench) {
    const Handle object = bench.generate(attributes);
    return must_not_get(bench, "C_CopyObject", change,
                        [&] { return bench.session.copy_object(object, change); });
  };
}

Outcome copies_uncopyable(AttemptContext& bench) {
  const Handle object = bench.generate(key().add(attr::copyable, false));
  return must_fail("C_CopyObject", [&] {
    return bench.session.copy_object(object, Template().add(attr::token, false));
  });
}

Outcome destroys_undestroyable(AttemptContext& bench) {
  const Handle object = bench.generate(key().add(attr::destroyable, false));
  return must_fail("C_DestroyObject", [&] { bench.session.destroy_object(object); });
}

/// Not by an error: the token must show nothing.
Outcome shows_check_value(AttemptContext& bench) {
  std::string asked = "C_GenerateKey with an empty CKA_CHECK_VALUE: CKR_OK";
  Handle object = Handle::none;
  try {
    object = bench.generate(key().add(attr::check_value, {}));
  } catch (const pkcs11::Error& error) {
    if (is_fault(error)) throw;
    asked = "with an empty CKA_CHECK_VALUE " + std::string(error.what());
    object = bench.generate(key());
  }
  const auto shown = bench.session.get(object, attr::check_value);
  if (!shown || shown->empty()) return {held, asked + "; none is shown"};
  return {not_held, asked + "; " + std::to_string(shown->size()) + " bytes are shown"};
}

Outcome reads_value(AttemptContext& bench) {
  const Handle object = bench.generate(extractable_key());
  return must_fail("C_GetAttributeValue", [&] {
    pkcs11::Bytes value(64);
    CK_ATTRIBUTE wanted{CKA_VALUE, value.data(), value.size()};
    bench.session.call("C_GetAttributeValue", &CK_FUNCTION_LIST::C_GetAttributeValue,
                       pkcs11::number(object), &wanted, CK_ULONG{1});
  });
}

}  // namespace smets1kms::vault::attempts
