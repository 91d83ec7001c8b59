// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "pkcs11/error.hpp"
#include "vault/templates.hpp"

namespace smets1kms::vault {
namespace {

using pkcs11::Template;
namespace attr = pkcs11::attr;

bool is_set(const Template& attributes, pkcs11::Attribute<bool> attribute) {
  const bool* value = attributes.find(attribute);
  return value != nullptr && *value;
}

struct Conflict {
  pkcs11::Attribute<bool> one, other;
  const char* why;
};

/// Pairs that must not both be true on one key (Clulow 2003; Delaune, Kremer, Steel 2008;
/// Bortolozzo et al. 2010).
constexpr std::array conflicts{
    Conflict{attr::wrap, attr::decrypt, "wrap a key, decrypt the result: the key in clear"},
    Conflict{attr::unwrap, attr::encrypt, "encrypt a chosen value, unwrap the result: a known key"},
    Conflict{attr::wrap, attr::derive, "one key, one use"},
    Conflict{attr::unwrap, attr::decrypt, "one key, one use"},
    Conflict{attr::wrap, attr::encrypt, "one key, one use"},
    Conflict{attr::sign, attr::encrypt, "one key, one use"},
    Conflict{attr::token, attr::extractable, "what rests can't leave"},
    Conflict{attr::wrap, attr::extractable, "a wrapping key that can be wrapped"},
    Conflict{attr::unwrap, attr::extractable, "an unwrapping key that can be wrapped"},
};

constexpr std::array<pkcs11::Attribute<bool>, 9> always_explicit{
    attr::token,  attr::private_, attr::sensitive, attr::extractable, attr::wrap,
    attr::unwrap, attr::derive,   attr::copyable,  attr::modifiable};

}  // namespace

std::string lint(const Template& attributes, bool is_copy) {
  for (const auto& [one, other, why] : conflicts)
    if (is_set(attributes, one) && is_set(attributes, other))
      return pkcs11::attribute_name(one.type) + " with " + pkcs11::attribute_name(other.type) +
             ": " + why;
  if (attributes.empty()) return "empty";
  if (attributes.entries().back().type != CKA_MODIFIABLE) return "CKA_MODIFIABLE is not the last";
  if (is_copy) return {};
  if (attributes.find(CKA_ALLOWED_MECHANISMS) == nullptr)
    return "CKA_ALLOWED_MECHANISMS is missing";
  const bool pair = attributes.find(CKA_KEY_TYPE) == nullptr,
             is_public = pair && attributes.find(CKA_SENSITIVE) == nullptr;
  if (is_public) return {};
  for (const auto attribute : always_explicit) {
    if (pair && attribute.type == CKA_WRAP) continue;  // a private key has none
    if (attributes.find(attribute.type) == nullptr)
      return pkcs11::attribute_name(attribute.type) + " is missing";
  }
  if (is_set(attributes, attr::unwrap) && attributes.find(CKA_UNWRAP_TEMPLATE) == nullptr)
    return "CKA_UNWRAP without CKA_UNWRAP_TEMPLATE";
  if (is_set(attributes, attr::wrap) && attributes.find(CKA_WRAP_TEMPLATE) == nullptr)
    return "CKA_WRAP without CKA_WRAP_TEMPLATE";
  return {};
}

}  // namespace smets1kms::vault
