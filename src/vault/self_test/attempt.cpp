// SPDX-License-Identifier: Apache-2.0
#include "vault/self_test/attempt.hpp"

namespace smets1kms::vault::attempts {

using pkcs11::Bytes;
using pkcs11::Handle;
using pkcs11::Template;
namespace attr = pkcs11::attr;

Template key() {
  return Template()
      .add(attr::object_class, CKO_SECRET_KEY)
      .add(attr::key_type, CKK_AES)
      .add(attr::token, false)
      .add(attr::private_, true)
      .add(attr::sensitive, true)
      .add(attr::extractable, false)
      .add(attr::encrypt, false)
      .add(attr::decrypt, false)
      .add(attr::sign, false)
      .add(attr::verify, false)
      .add(attr::wrap, false)
      .add(attr::unwrap, false)
      .add(attr::derive, false);
}

Template extractable_key() { return key().set(attr::extractable, true); }

Template kek() { return key().set(attr::wrap, true); }

Handle AttemptContext::generate(const Template& attributes, CK_ULONG length) {
  return session.generate_key(pkcs11::Mechanism(CKM_AES_KEY_GEN),
                              Template(attributes).add(attr::value_len, length));
}

Handle AttemptContext::create(const Template& attributes, const Bytes& value) {
  return session.create_object(Template(attributes).add(attr::value, value));
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
  return differences.empty() ? not_held(answer + wanted.to_string())
                             : held(answer + "without effect: " + differences.front());
}

bool is_fault(const pkcs11::Error& error) {
  switch (error.reaction()) {
    case pkcs11::Reaction::not_retryable: return false;
    case pkcs11::Reaction::resolve_again:
      return false;  // the handle was just given: some tokens call a forbidden key invalid
    default: return true;
  }
}

Outcome all(std::initializer_list<Outcome> outcomes) {
  using Verdict = Protection::Verdict;
  Outcome result{Verdict::held, {}};
  for (const Verdict worse : {Verdict::not_tried, Verdict::not_held})
    for (const Outcome& each : outcomes)
      if (each.verdict == worse) result.verdict = worse;
  for (const Outcome& each : outcomes)  // answers that led to the verdict, each once
    if (each.verdict == result.verdict && result.seen.find(each.seen) == std::string::npos)
      result.seen += (result.seen.empty() ? "" : "; ") + each.seen;
  return result;
}

}  // namespace smets1kms::vault::attempts
