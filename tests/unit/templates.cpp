// SPDX-License-Identifier: Apache-2.0
// tests/data/templates.txt: every effective template as it goes to a token, so that a change to one
// is seen in review.
#include "vault/templates.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "unit/purpose_names.hpp"

using namespace smets1kms;
using namespace smets1kms::vault;

namespace {

constexpr const char* snapshot_file = TEST_DATA "/templates.txt";

TokenProfile terms_of(const std::string& profile, EnrolmentMode mode) {
  const auto all = shipped_profiles();
  const auto found = std::ranges::find(all, profile, &Profile::name);
  REQUIRE(found != all.end());
  return {mode, *found};
}

std::string lines_of(const pkcs11::Template& attributes) {
  std::string text;
  for (const auto& entry : attributes.entries())
    text += "  " + pkcs11::attribute_name(entry.type) + "=" + pkcs11::value_to_string(entry) + "\n";
  return text;
}

std::string title(std::string what, EnrolmentMode mode, SecuritySuite suite) {
  return std::move(what) + (mode == EnrolmentMode::officer ? ", officer" : ", plain") +
         (suite == SecuritySuite::suite_2 ? ", suite 2\n" : ", suites 0 and 1\n");
}

/// Suite 1 has the key length of suite 0.
constexpr SecuritySuite suites[] = {SecuritySuite::suite_0, SecuritySuite::suite_2};

std::string classes() {
  std::string text;
  for (std::size_t i = 0; i < purpose_count; ++i)
    for (const auto mode : {EnrolmentMode::officer, EnrolmentMode::plain}) {
      std::string before;
      for (const auto suite : suites) {
        const auto which = static_cast<ObjectPurpose>(i);
        auto lines = lines_of(attributes(which, suite, terms_of("softhsm", mode)));
        if (lines != before) text += title(std::string(to_string(which)), mode, suite) + lines;
        before = std::move(lines);
      }
    }
  return text;
}

/// What a key must say of itself, by each way to rest and each profile that has it.
std::string at_rest_by_profile() {
  std::string text;
  for (const char* profile : {"softhsm", "nss-softokn", "aws-cloudhsm"})
    for (const auto role : {KeyRole::guek, KeyRole::gak, KeyRole::kek}) {
      const auto token_profile = terms_of(profile, EnrolmentMode::plain);
      text += title(std::string(to_string(role)) + " at rest as read back, " + profile,
                    token_profile.mode, suites[0]) +
              lines_of(read_back(role, suites[0], token_profile, false));
    }
  const auto restoring = terms_of("aws-cloudhsm", EnrolmentMode::plain),
             counting = terms_of("luna", EnrolmentMode::plain);
  for (const auto role : {KeyRole::guek, KeyRole::gak, KeyRole::kek})
    text += title("storage key for a " + std::string(to_string(role)) + ", aws-cloudhsm",
                  restoring.mode, suites[0]) +
            lines_of(storage_for(role, suites[0], restoring));
  for (const auto role : {KeyRole::guek, KeyRole::gak, KeyRole::kek})
    for (const bool trusted : {true, false})
      text += title(std::string(to_string(role)) + " to be sealed, under a " +
                        (trusted ? "trusted" : "sealed") + " KEK",
                    EnrolmentMode::officer, suites[0]) +
              lines_of(fresh_to_seal(role, suites[0], terms_of("softhsm", EnrolmentMode::officer),
                                     trusted));
  text += title("imported_kek as luna unwraps it", counting.mode, suites[0]) +
          lines_of(unwrapping(attributes(ObjectPurpose::imported_kek, suites[0], counting),
                              key_length(suites[0]), counting));
  return text;
}

std::string snapshot() {
  return "Every effective template: class, way of enrolment, suite. Made by the target "
         "'snapshots'.\n\n" +
         classes() + "\n" + at_rest_by_profile();
}

std::string committed() {
  std::ifstream in(snapshot_file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// The first line that differs, with the title that it stands under.
std::string first_difference(const std::string& one, const std::string& other) {
  std::istringstream left(one), right(other);
  std::string under;
  for (std::string a, b;;) {
    const bool more_left = static_cast<bool>(std::getline(left, a)),
               more_right = static_cast<bool>(std::getline(right, b));
    if (!more_left && !more_right) return {};
    if (!more_left || !more_right || a != b)
      return under + ": committed '" + (more_left ? a : "nothing more") + "', is '" +
             (more_right ? b : "nothing more") + "'";
    if (!a.starts_with(' ')) under = a;
  }
}

}  // namespace

TEST_CASE("every effective template is as committed") {
  const auto now = snapshot();
  if (std::getenv("WRITE_SNAPSHOTS") != nullptr) std::ofstream(snapshot_file) << now;
  INFO(
      "if the change is meant: cmake --build --preset dev --target snapshots, and commit "
      "tests/data/templates.txt");
  CHECK(first_difference(committed(), now) == "");
}

TEST_CASE(
    "every profile's key-wrap number is in every template that allows it, and CKA_MODIFIABLE is "
    "the last") {
  for (const auto& profile : shipped_profiles()) {
    if (!profile.usable.empty()) continue;
    CAPTURE(profile.name);
    const TokenProfile token_profile{EnrolmentMode::plain, profile};
    for (const auto which :
         {ObjectPurpose::transport_key, ObjectPurpose::imported_kek, ObjectPurpose::fresh_kek,
          ObjectPurpose::storage_key, ObjectPurpose::kek_storage, ObjectPurpose::encryption_storage,
          ObjectPurpose::opened_kek}) {
      const auto given = attributes(which, SecuritySuite::suite_0, token_profile);
      const bool unwrapped = which == ObjectPurpose::transport_key ||
                             which == ObjectPurpose::imported_kek ||
                             which == ObjectPurpose::opened_kek;
      const auto form = unwrapped ? unwrapping(given, 16, token_profile) : given;
      if (unwrapped)
        CHECK((form.find(pkcs11::attr::value_len) != nullptr) == profile.unwrap_needs_value_len);
      CHECK(*form.find(pkcs11::attr::allowed_mechanisms) == pkcs11::Mechanisms{profile.key_wrap});
      CHECK(form.entries().back().type == CKA_MODIFIABLE);
    }
  }
}

TEST_CASE(
    "what a token unwraps to a key at rest is in the UNWRAP_TEMPLATE that it is unwrapped under, "
    "and repeated") {
  const auto token_profile = terms_of("aws-cloudhsm", EnrolmentMode::plain);
  for (const auto role : {KeyRole::guek, KeyRole::gbek, KeyRole::gak, KeyRole::kek}) {
    const auto storage = storage_for(role, SecuritySuite::suite_0, token_profile),
               rest = restored(role, SecuritySuite::suite_0, token_profile);
    for (const auto& entry : storage.find(pkcs11::attr::unwrap_template)->entries()) {
      CAPTURE(pkcs11::attribute_name(entry.type));
      REQUIRE(rest.find(entry.type) != nullptr);
      CHECK(*rest.find(entry.type) == entry.value);
    }
    for (const auto attribute : {pkcs11::attr::sensitive, pkcs11::attr::extractable,
                                 pkcs11::attr::private_, pkcs11::attr::modifiable})
      CHECK(storage.find(pkcs11::attr::unwrap_template)->find(attribute) != nullptr);
  }
}

TEST_CASE("a storage key opens a blob as its class alone, and wraps no key of another") {
  for (const auto mode : {EnrolmentMode::plain, EnrolmentMode::officer}) {
    const auto token_profile = terms_of("softhsm", mode);
    const auto allows = [](const pkcs11::Template& wrap_template, const pkcs11::Template& key) {
      return std::ranges::none_of(wrap_template.entries(), [&](const auto& entry) {
        return key.find(entry.type) != nullptr && *key.find(entry.type) != entry.value;
      });
    };
    for (const auto role : {KeyRole::guek, KeyRole::gak, KeyRole::kek}) {
      CAPTURE(std::string(to_string(role)));
      const auto storage = attributes(storage_of(role), {}, token_profile);
      const auto& locked = *storage.find(pkcs11::attr::unwrap_template);
      const auto form = opened(role, SecuritySuite::suite_0, token_profile);
      for (const auto& entry : locked.entries()) CHECK(*form.find(entry.type) == entry.value);
      for (const auto& entry : form.entries()) {
        if (entry.type == CKA_TOKEN || entry.type == CKA_WRAP_TEMPLATE ||
            entry.type == CKA_UNWRAP_TEMPLATE)
          continue;  // to rest in the token; not nested
        if (entry.type == CKA_EXTRACTABLE && mode == EnrolmentMode::officer)
          continue;  // WRAP_WITH_TRUSTED in its place
        CAPTURE(pkcs11::attribute_name(entry.type));
        CHECK(locked.find(entry.type) != nullptr);
      }
      CHECK((locked.find(pkcs11::attr::extractable) != nullptr) !=
            (locked.find(pkcs11::attr::wrap_with_trusted) != nullptr));
      for (const auto other : {KeyRole::guek, KeyRole::gak, KeyRole::kek}) {
        const auto taker = attributes(storage_of(other), {}, token_profile);
        const auto& takes = *taker.find(pkcs11::attr::wrap_template);
        CHECK(allows(takes, form) ==
              (other == role && (role != KeyRole::kek || mode == EnrolmentMode::officer)));
        for (const bool trusted : {true, false})
          CHECK(allows(takes, fresh_to_seal(role, SecuritySuite::suite_0, token_profile, trusted)));
      }
    }
  }
}
