// SPDX-License-Identifier: Apache-2.0
#include "vault/self_test/attempt.hpp"

/// Attributes that must not change once they are set, or that only the token may set.
namespace smets1kms::vault::attempts {

using pkcs11::Handle;
using pkcs11::Template;
namespace attr = pkcs11::attr;

namespace {

Template with(Template attributes, const Template& wanted) { return attributes.append(wanted); }

}  // namespace

Run by_generation(Template wanted) {
  return [wanted = std::move(wanted)](AttemptContext& bench) {
    (void)bench.generate(key());
    return must_fail("C_GenerateKey", [&] {
      return bench.judge("C_GenerateKey", bench.generate(with(key(), wanted)), wanted);
    });
  };
}

Run by_creation(Template wanted) {
  return [wanted = std::move(wanted)](AttemptContext& bench) {
    // A token that takes no clear keys at all has no key created there to fear.
    return must_fail("C_CreateObject", [&] {
      return bench.judge("C_CreateObject", bench.create(with(key(), wanted)), wanted);
    });
  };
}

Run by_unwrap(Template wanted) {
  return [wanted = std::move(wanted)](AttemptContext& bench) {
    const Handle both_ways = bench.generate(kek().set(attr::unwrap, true));
    const pkcs11::Bytes blob = bench.wrap(both_ways, bench.generate(extractable_key()));
    const Template form = bench.unwrap_form(both_ways, blob, key());
    return must_fail("C_UnwrapKey", [&] {
      return bench.judge("C_UnwrapKey", bench.unwrap(both_ways, blob, with(form, wanted)), wanted);
    });
  };
}

Run by_set(Template attributes, Template change) {
  return [attributes = std::move(attributes), change = std::move(change)](AttemptContext& bench) {
    const Handle object = bench.generate(attributes);
    return must_fail("C_SetAttributeValue", [&] {
      bench.session.set(object, change);
      return bench.judge("C_SetAttributeValue", object, change);
    });
  };
}

Run by_copy(Template attributes, Template change) {
  return [attributes = std::move(attributes), change = std::move(change)](AttemptContext& bench) {
    const Handle object = bench.generate(attributes);
    return must_fail("C_CopyObject", [&] {
      return bench.judge("C_CopyObject", bench.session.copy_object(object, change), change);
    });
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

/// Tries to read the check value. No error is needed: the token must show nothing.
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
  if (!shown || shown->empty()) return held(asked + "; none is shown");
  return not_held(asked + "; " + std::to_string(shown->size()) + " bytes are shown");
}

Outcome reads_value(AttemptContext& bench) {
  const Handle object = bench.generate(extractable_key());
  return must_fail("C_GetAttributeValue", [&] {
    pkcs11::Bytes value(64);
    CK_ATTRIBUTE wanted{CKA_VALUE, value.data(), value.size()};
    bench.call("C_GetAttributeValue", &CK_FUNCTION_LIST::C_GetAttributeValue,
               static_cast<CK_OBJECT_HANDLE>(object), &wanted, CK_ULONG{1});
  });
}

}  // namespace smets1kms::vault::attempts
