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
  return [wanted = std::move(wanted)](AttemptContext& trial) {
    (void)trial.generate(key());
    return must_fail("C_GenerateKey", [&] {
      return trial.judge("C_GenerateKey", trial.generate(with(key(), wanted)), wanted);
    });
  };
}

Run by_creation(Template wanted) {
  return [wanted = std::move(wanted)](AttemptContext& trial) {
    // A token that takes no clear keys at all has no key created there to fear.
    return must_fail("C_CreateObject", [&] {
      return trial.judge("C_CreateObject", trial.create(with(key(), wanted)), wanted);
    });
  };
}

Run by_unwrap(Template wanted) {
  return [wanted = std::move(wanted)](AttemptContext& trial) {
    const Handle both_ways = trial.generate(kek().set(attr::unwrap, true));
    const pkcs11::Bytes blob = trial.wrap(both_ways, trial.generate(extractable_key()));
    const Template form = trial.unwrap_form(both_ways, blob, key());
    return must_fail("C_UnwrapKey", [&] {
      return trial.judge("C_UnwrapKey", trial.unwrap(both_ways, blob, with(form, wanted)), wanted);
    });
  };
}

Run by_set(Template attributes, Template change) {
  return [attributes = std::move(attributes), change = std::move(change)](AttemptContext& trial) {
    const Handle object = trial.generate(attributes);
    return must_fail("C_SetAttributeValue", [&] {
      trial.session.set(object, change);
      return trial.judge("C_SetAttributeValue", object, change);
    });
  };
}

Run by_copy(Template attributes, Template change) {
  return [attributes = std::move(attributes), change = std::move(change)](AttemptContext& trial) {
    const Handle object = trial.generate(attributes);
    return must_fail("C_CopyObject", [&] {
      return trial.judge("C_CopyObject", trial.session.copy_object(object, change), change);
    });
  };
}

Outcome copies_uncopyable(AttemptContext& trial) {
  const Handle object = trial.generate(key().add(attr::copyable, false));
  return must_fail("C_CopyObject", [&] {
    return trial.session.copy_object(object, Template().add(attr::token, false));
  });
}

Outcome destroys_undestroyable(AttemptContext& trial) {
  const Handle object = trial.generate(key().add(attr::destroyable, false));
  return must_fail("C_DestroyObject", [&] { trial.session.destroy_object(object); });
}

/// Tries to read the check value. No error is needed: the token must show nothing.
Outcome shows_check_value(AttemptContext& trial) {
  std::string asked = "C_GenerateKey with an empty CKA_CHECK_VALUE: CKR_OK";
  Handle object = Handle::none;
  try {
    object = trial.generate(key().add(attr::check_value, {}));
  } catch (const pkcs11::Error& error) {
    if (is_fault(error)) throw;
    asked = "with an empty CKA_CHECK_VALUE " + std::string(error.what());
    object = trial.generate(key());
  }
  const auto shown = trial.session.get(object, attr::check_value);
  if (!shown || shown->empty()) return held(asked + "; none is shown");
  return not_held(asked + "; " + std::to_string(shown->size()) + " bytes are shown");
}

Outcome reads_value(AttemptContext& trial) {
  const Handle object = trial.generate(extractable_key());
  return must_fail("C_GetAttributeValue", [&] {
    pkcs11::Bytes value(64);
    CK_ATTRIBUTE wanted{CKA_VALUE, value.data(), value.size()};
    trial.call("C_GetAttributeValue", &CK_FUNCTION_LIST::C_GetAttributeValue,
               static_cast<CK_OBJECT_HANDLE>(object), &wanted, CK_ULONG{1});
  });
}

}  // namespace smets1kms::vault::attempts
