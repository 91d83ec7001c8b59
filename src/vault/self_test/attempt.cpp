// SPDX-License-Identifier: Apache-2.0
#include "vault/self_test/attempt.hpp"

#include <algorithm>

#include "base/one_of.hpp"

namespace smets1kms::vault::attempts {

using pkcs11::Bytes;
using pkcs11::Handle;
using pkcs11::Template;
namespace attr = pkcs11::attr;

Template key() {
  Template result;
  result.add(attr::object_class, CKO_SECRET_KEY).add(attr::key_type, CKK_AES);
  result.add(attr::token, false).add(attr::private_, true);
  result.add(attr::sensitive, true).add(attr::extractable, false);
  for (const auto use : {attr::encrypt, attr::decrypt, attr::sign, attr::verify, attr::wrap,
                         attr::unwrap, attr::derive})
    result.add(use, false);
  return result;
}

Template extractable_key() { return key().set(attr::extractable, true); }

Template kek() { return key().set(attr::wrap, true); }

Template without(const Template& attributes, CK_ATTRIBUTE_TYPE type) {
  Template result;
  for (const auto& entry : attributes.entries())
    if (entry.type != type) result.add(entry.type, entry.value);
  return result;
}

Handle AttemptContext::generate(const Template& attributes, CK_ULONG length) {
  return session.generate_key(pkcs11::Mechanism(CKM_AES_KEY_GEN),
                              Template(attributes).add(attr::value_len, length));
}

Handle AttemptContext::create(const Template& attributes, const Bytes& value) {
  return session.create_object(
      Template(attributes).add(attr::value, value.empty() ? session.random(16) : value));
}

Storage AttemptContext::storage(const Template& attributes, const Template& unwrap_template) {
  Template both_ways = kek().set(attr::unwrap, true);
  if (!unwrap_template.empty()) both_ways.add(attr::unwrap_template, unwrap_template);
  const Handle storage_key = generate(both_ways);
  const Bytes blob = wrap(storage_key, generate(extractable_key()));
  return {storage_key, blob,
          unwrap_form(pkcs11::Mechanism(key_wrap), storage_key, blob, attributes)};
}

Template AttemptContext::unwrap_form(const pkcs11::Mechanism& by, Handle unwrapping_key,
                                     const Bytes& blob, Template attributes) {
  try {
    (void)session.unwrap_key(by, unwrapping_key, blob, attributes);
  } catch (const pkcs11::Error& error) {
    attributes.add(attr::value_len, 16);
    try {
      (void)session.unwrap_key(by, unwrapping_key, blob, attributes);
    } catch (const pkcs11::Error&) {
      throw error;
    }
  }
  return attributes;
}

Outcome AttemptContext::judge(const char* function, Handle object, const Template& wanted) {
  const auto differences = session.differences(object, wanted);
  const std::string answer = std::string(function) + ": CKR_OK, ";
  if (differences.empty()) return {not_held, answer + wanted.to_string()};
  return {held, answer + "without effect: " + differences.front()};
}

bool is_fault(const pkcs11::Error& error) {
  // resolve_again: the handle was just given, and some tokens call a forbidden key invalid.
  using enum pkcs11::Reaction;
  return !is_one_of(error.reaction(), not_retryable, resolve_again);
}

Outcome all(std::initializer_list<Outcome> outcomes) {
  Outcome result{held, {}};
  for (const auto worse : {not_tried, not_held})
    if (std::ranges::find(outcomes, worse, &Outcome::verdict) != outcomes.end())
      result.verdict = worse;
  for (const Outcome& each : outcomes)  // answers that led to the verdict, each once
    if (each.verdict == result.verdict && result.seen.find(each.seen) == std::string::npos)
      result.seen += (result.seen.empty() ? "" : "; ") + each.seen;
  return result;
}

}  // namespace smets1kms::vault::attempts
