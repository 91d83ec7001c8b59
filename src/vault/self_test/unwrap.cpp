// SPDX-License-Identifier: Apache-2.0
#include "vault/self_test/attempt.hpp"

/// Blobs that must come back only as what they were.
namespace smets1kms::vault::attempts {

using pkcs11::Bytes;
using pkcs11::Handle;
using pkcs11::Template;
namespace attr = pkcs11::attr;

namespace {

/// Returns a storage key whose blob comes back as closed as key() is, as sealed blobs are kept.
Storage closed_storage(AttemptContext& trial) {
  return trial.storage(key(), Template()
                                  .add(attr::key_type, CKK_AES)
                                  .add(attr::sensitive, true)
                                  .add(attr::extractable, false)
                                  .add(attr::private_, true)
                                  .add(attr::decrypt, false));
}

}  // namespace

Outcome unwraps_without_unwrap(AttemptContext& trial) {
  const Template form = trial.storage(key()).form;
  const Handle wrap_only = trial.generate(kek());
  const Bytes blob = trial.wrap(wrap_only, trial.generate(extractable_key()));
  return must_fail("C_UnwrapKey", [&] { return trial.unwrap(wrap_only, blob, form); });
}

Outcome unwraps_unsatisfiable(AttemptContext& trial) {
  const Template form = trial.storage(key()).form;
  const Handle never =
      trial.generate(kek()
                         .set(attr::unwrap, true)
                         .add(attr::unwrap_template, Template().add(attr::object_class, CKO_DATA)));
  const Bytes blob = trial.wrap(never, trial.generate(extractable_key()));
  return must_fail("C_UnwrapKey", [&] { return trial.unwrap(never, blob, form); });
}

Outcome unwraps_with_others(AttemptContext& trial) {
  const Storage from = closed_storage(trial);
  const auto attack = [&](pkcs11::Attribute<bool> attribute, bool value) {
    return must_not_get(trial, "C_UnwrapKey", one(attribute, value), [&] {
      return trial.unwrap(from, Template(from.form).set(attribute, value));
    });
  };
  return all({attack(attr::extractable, true), attack(attr::sensitive, false),
              attack(attr::private_, false), attack(attr::decrypt, true)});
}

/// Tries to leave attributes out. A token may fill them in from the template, but not with its own
/// default.
Outcome unwraps_with_less(AttemptContext& trial) {
  const Storage from = closed_storage(trial);
  const auto attack = [&](pkcs11::Attribute<bool> attribute, bool value) {
    return must_not_get(trial, "C_UnwrapKey", one(attribute, value),
                        [&] { return trial.unwrap(from, without(from.form, attribute.type)); });
  };
  return all({attack(attr::extractable, true), attack(attr::sensitive, false),
              attack(attr::decrypt, true)});
}

/// Names an attribute twice, which a Template would not take.
Outcome unwraps_with_doubled(AttemptContext& trial) {
  const Storage from = closed_storage(trial);
  const Template open = one(attr::extractable, true);
  const auto attack = [&](const Template& first, const pkcs11::RawTemplate& second) {
    return must_not_get(trial, "C_UnwrapKey", open,
                        [&] { return trial.unwrap(from, pkcs11::RawTemplate(first, second)); });
  };
  return all({attack(from.form, open), attack(open, from.form)});
}

Outcome unwraps_as_generic_secret(AttemptContext& trial) {
  const Storage from = closed_storage(trial);
  const Template other = Template().add(attr::key_type, CKK_GENERIC_SECRET);
  return must_not_get(trial, "C_UnwrapKey", other, [&] {
    return trial.unwrap(from, Template(from.form).set(attr::key_type, CKK_GENERIC_SECRET));
  });
}

/// Tries a reduced key space: a key that is unwrapped to one byte is found by 256 trials. The key
/// here is readable, so that its length shows.
Outcome unwraps_one_byte(AttemptContext& trial) {
  const Template readable = key().set(attr::sensitive, false).set(attr::extractable, true);
  const Storage from = trial.storage(readable, Template()
                                                   .add(attr::key_type, CKK_AES)
                                                   .add(attr::sensitive, false)
                                                   .add(attr::extractable, true));
  const auto attack = [&](CK_ULONG type) {
    return must_fail("C_UnwrapKey", [&]() -> Outcome {
      const Template cut = Template(from.form).set(attr::key_type, type).set(attr::value_len, 1);
      const auto value = trial.session.get(trial.unwrap(from, cut), attr::value);
      if (!value) return {not_tried, "C_UnwrapKey: CKR_OK, a key of a length that is not shown"};
      return {value->size() < 16 ? not_held : held,
              "C_UnwrapKey: CKR_OK, a key of " + std::to_string(value->size()) + " bytes"};
    });
  };
  return all({attack(CKK_AES), attack(CKK_GENERIC_SECRET)});
}

}  // namespace smets1kms::vault::attempts
