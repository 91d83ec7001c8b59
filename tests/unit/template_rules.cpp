// SPDX-License-Identifier: Apache-2.0
// What no template of ours may say, whoever changes the table.
#include <doctest/doctest.h>

#include <array>

#include "pkcs11/error.hpp"
#include "unit/purpose_names.hpp"
#include "vault/templates.hpp"

using namespace smets1kms;
using namespace smets1kms::vault;

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

/// Returns what is wrong with a template: attributes that must not stand together, one that is
/// missing; empty where nothing is.
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

constexpr bool is_copy(ObjectPurpose which) {
  using enum ObjectPurpose;
  return which == admitted_kek_to_rest || which == kek_to_rest || which == encryption_key_to_rest ||
         which == authentication_key_to_rest;
}

}  // namespace

TEST_CASE("every template of ours keeps the rules") {
  for (auto profile : shipped_profiles()) {
    profile.lacks.clear();  // the table's, whatever the token lacks
    for (const auto mode : {EnrolmentMode::officer, EnrolmentMode::plain})
      for (const auto suite :
           {SecuritySuite::suite_0, SecuritySuite::suite_1, SecuritySuite::suite_2})
        for (std::size_t i = 0; i < purpose_count; ++i) {
          const auto which = static_cast<ObjectPurpose>(i);
          CAPTURE(profile.name);
          CAPTURE(to_string(which));
          CHECK(lint(attributes(which, suite, {mode, profile}), is_copy(which)) == "");
        }
  }
}

TEST_CASE("a template that breaks a rule is found") {
  const TokenProfile token_profile{EnrolmentMode::plain, shipped_profiles().front()};
  auto profile = token_profile;
  profile.profile.lacks.clear();
  const auto good = attributes(ObjectPurpose::fresh_kek, SecuritySuite::suite_0, profile);
  REQUIRE(lint(good, false) == "");
  const auto without = [&](CK_ATTRIBUTE_TYPE left_out) {
    Template result;
    for (const auto& [type, value] : good.entries())
      if (type != left_out) result.add(type, value);
    return result;
  };
  for (const auto attribute : always_explicit) {
    CAPTURE(pkcs11::attribute_name(attribute.type));
    CHECK(lint(without(attribute.type), false) != "");
  }
  CHECK(lint(without(CKA_ALLOWED_MECHANISMS), false) == "CKA_ALLOWED_MECHANISMS is missing");
  CHECK(lint({}, true) == "empty");
  for (const auto& [one, other, why] : conflicts) {
    const auto both = Template().add(one, true).add(other, true).add(attr::modifiable, false);
    CHECK(lint(both, true) == pkcs11::attribute_name(one.type) + " with " +
                                  pkcs11::attribute_name(other.type) + ": " + why);
  }
  const auto last = Template().add(attr::modifiable, false).add(attr::wrap, true);
  CHECK(lint(last, true) == "CKA_MODIFIABLE is not the last");
}
