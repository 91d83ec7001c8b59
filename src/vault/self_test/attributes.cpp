// SPDX-License-Identifier: Apache-2.0
#include "vault/self_test/attempt.hpp"

/// Attributes that must not change once they are set, or that only the token may set.
namespace smets1kms::vault::attempts {

using pkcs11::Handle;
using pkcs11::Template;
namespace attr = pkcs11::attr;

Run by_generation(const Template& wanted) {
  return [=](AttemptContext& trial) {
    (void)trial.generate(key());
    return must_not_get(trial, "C_GenerateKey", wanted,
                        [&] { return trial.generate(key().append(wanted)); });
  };
}

Run by_creation(const Template& wanted) {
  return [=](AttemptContext& trial) {
    // A token that takes no clear keys at all has no key created there to fear.
    return must_not_get(trial, "C_CreateObject", wanted,
                        [&] { return trial.create(key().append(wanted)); });
  };
}

Run by_unwrap(const Template& wanted) {
  return [=](AttemptContext& trial) {
    const Storage from = trial.storage(key());
    return must_not_get(trial, "C_UnwrapKey", wanted,
                        [&] { return trial.unwrap(from, Template(from.form).append(wanted)); });
  };
}

Run by_set(const Template& attributes, const Template& change) {
  return [=](AttemptContext& trial) {
    const Handle object = trial.generate(attributes);
    return must_not_get(trial, "C_SetAttributeValue", change, [&] {
      trial.session.set(object, change);
      return object;
    });
  };
}

Run by_copy(const Template& attributes, const Template& change) {
  return [=](AttemptContext& trial) {
    const Handle object = trial.generate(attributes);
    return must_not_get(trial, "C_CopyObject", change,
                        [&] { return trial.session.copy_object(object, change); });
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
  if (!shown || shown->empty()) return {held, asked + "; none is shown"};
  return {not_held, asked + "; " + std::to_string(shown->size()) + " bytes are shown"};
}

Outcome reads_value(AttemptContext& trial) {
  const Handle object = trial.generate(extractable_key());
  return must_fail("C_GetAttributeValue", [&] {
    pkcs11::Bytes value(64);
    CK_ATTRIBUTE wanted{CKA_VALUE, value.data(), value.size()};
    trial.session.call("C_GetAttributeValue", &CK_FUNCTION_LIST::C_GetAttributeValue,
                       pkcs11::number(object), &wanted, CK_ULONG{1});
  });
}

}  // namespace smets1kms::vault::attempts
