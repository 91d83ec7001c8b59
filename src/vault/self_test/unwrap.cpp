// SPDX-License-Identifier: Apache-2.0
#include "vault/self_test/attempt.hpp"

/// Blobs that must come back only as what they were.
namespace smets1kms::vault::attempts {

using pkcs11::Bytes;
using pkcs11::Handle;
using pkcs11::Template;
namespace attr = pkcs11::attr;

namespace {

/// A storage key with a blob of its own, and the form of the one unwrap that it allows.
struct Storage {
  Handle kek;
  Bytes blob;
  Template form;
};

Storage storage(AttemptContext& trial, const Template& unwrap_template, const Template& form) {
  const Handle both_ways =
      trial.generate(kek().set(attr::unwrap, true).add(attr::unwrap_template, unwrap_template));
  const Bytes blob = trial.wrap(both_ways, trial.generate(extractable_key()));
  return {both_ways, blob, trial.unwrap_form(both_ways, blob, form)};
}

/// Returns a storage key whose blob comes back as closed as key() is, as sealed blobs are kept.
Storage closed_storage(AttemptContext& trial) {
  const Template closed = Template()
                              .add(attr::key_type, CKK_AES)
                              .add(attr::sensitive, true)
                              .add(attr::extractable, false)
                              .add(attr::private_, true)
                              .add(attr::decrypt, false);
  return storage(trial, closed, key());
}

Template without(const Template& attributes, CK_ATTRIBUTE_TYPE type) {
  Template result;
  for (const auto& entry : attributes.entries())
    if (entry.type != type) result.add(entry.type, entry.value);
  return result;
}

/// Unwraps with `attributes`, then `more`, which may name an attribute again (Template would not).
Handle unwrap_raw(AttemptContext& trial, const Storage& from, const Template& attributes,
                  const Template& more) {
  pkcs11::RawTemplate first(attributes), second(more);
  std::vector<CK_ATTRIBUTE> wanted(first.data(), first.data() + first.size());
  wanted.insert(wanted.end(), second.data(), second.data() + second.size());
  CK_MECHANISM mechanism{trial.key_wrap, nullptr, 0};
  Bytes blob = from.blob;
  CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
  trial.call("C_UnwrapKey", &CK_FUNCTION_LIST::C_UnwrapKey, &mechanism,
             static_cast<CK_OBJECT_HANDLE>(from.kek), blob.data(), CK_ULONG{blob.size()},
             wanted.data(), CK_ULONG{wanted.size()}, &object);
  return Handle{object};
}

}  // namespace

Outcome unwraps_without_unwrap(AttemptContext& trial) {
  const Handle both_ways = trial.generate(kek().set(attr::unwrap, true)),
               wrap_only = trial.generate(kek());
  const Handle target = trial.generate(extractable_key());
  const Template form = trial.unwrap_form(both_ways, trial.wrap(both_ways, target), key());
  const Bytes blob = trial.wrap(wrap_only, target);
  return must_fail("C_UnwrapKey", [&] { return trial.unwrap(wrap_only, blob, form); });
}

Outcome unwraps_unsatisfiable(AttemptContext& trial) {
  const Handle both_ways = trial.generate(kek().set(attr::unwrap, true));
  const Handle target = trial.generate(extractable_key());
  const Template form = trial.unwrap_form(both_ways, trial.wrap(both_ways, target), key());
  const Handle never =
      trial.generate(kek()
                         .set(attr::unwrap, true)
                         .add(attr::unwrap_template, Template().add(attr::object_class, CKO_DATA)));
  const Bytes blob = trial.wrap(never, target);
  return must_fail("C_UnwrapKey", [&] { return trial.unwrap(never, blob, form); });
}

Outcome unwraps_with_others(AttemptContext& trial) {
  const Storage from = closed_storage(trial);
  const auto attack = [&](pkcs11::Attribute<bool> attribute, bool value) {
    return must_fail("C_UnwrapKey", [&] {
      return trial.judge(
          "C_UnwrapKey",
          trial.unwrap(from.kek, from.blob, Template(from.form).set(attribute, value)),
          one(attribute, value));
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
    return must_fail("C_UnwrapKey", [&] {
      return trial.judge("C_UnwrapKey",
                         trial.unwrap(from.kek, from.blob, without(from.form, attribute.type)),
                         one(attribute, value));
    });
  };
  return all({attack(attr::extractable, true), attack(attr::sensitive, false),
              attack(attr::decrypt, true)});
}

Outcome unwraps_with_doubled(AttemptContext& trial) {
  const Storage from = closed_storage(trial);
  const Template open = one(attr::extractable, true);
  return all({must_fail("C_UnwrapKey",
                        [&] {
                          return trial.judge("C_UnwrapKey",
                                             unwrap_raw(trial, from, from.form, open), open);
                        }),
              must_fail("C_UnwrapKey", [&] {
                return trial.judge("C_UnwrapKey", unwrap_raw(trial, from, open, from.form), open);
              })});
}

Outcome unwraps_as_generic_secret(AttemptContext& trial) {
  const Storage from = closed_storage(trial);
  const Template other = Template(from.form).set(attr::key_type, CKK_GENERIC_SECRET);
  return must_fail("C_UnwrapKey", [&] {
    return trial.judge("C_UnwrapKey", trial.unwrap(from.kek, from.blob, other),
                       Template().add(attr::key_type, CKK_GENERIC_SECRET));
  });
}

/// Tries a reduced key space: a key that is unwrapped to one byte is found by 256 trials. The key
/// here is readable, so that its length shows.
Outcome unwraps_one_byte(AttemptContext& trial) {
  const Template readable = key().set(attr::sensitive, false).set(attr::extractable, true);
  const Storage from = storage(trial,
                               Template()
                                   .add(attr::key_type, CKK_AES)
                                   .add(attr::sensitive, false)
                                   .add(attr::extractable, true),
                               readable);
  const auto attack = [&](CK_ULONG type) {
    return must_fail("C_UnwrapKey", [&] {
      const Template cut = Template(from.form).set(attr::key_type, type).set(attr::value_len, 1);
      const auto value = trial.session.get(trial.unwrap(from.kek, from.blob, cut), attr::value);
      if (!value) return not_tried("C_UnwrapKey: CKR_OK, a key of a length that is not shown");
      const std::string seen =
          "C_UnwrapKey: CKR_OK, a key of " + std::to_string(value->size()) + " bytes";
      return value->size() < 16 ? not_held(seen) : held(seen);
    });
  };
  return all({attack(CKK_AES), attack(CKK_GENERIC_SECRET)});
}

}  // namespace smets1kms::vault::attempts
