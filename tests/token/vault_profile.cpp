// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <fstream>
#include <set>

#include "smets1kms/errors.hpp"
#include "token/pkcs11_support.hpp"
#include "vault/profile.hpp"

namespace {

using namespace smets1kms;
using namespace smets1kms::vault;

const char* const complete = R"(version = 1
name = "mine"
[[match]]
manufacturer = "Acme*"
evidence = "measured"
source = "here"
[values]
usable = { value = "yes", evidence = "unverified", source = "s" }
key_wrap = { value = 0x80000170, evidence = "documented", source = "s" }
unwrap_needs_value_len = { value = true, evidence = "measured", source = "s" }
repeat_unwrap_template = { value = false, evidence = "measured", source = "s" }
modifiable_last = { value = true, evidence = "measured", source = "s" }
lacks = { value = ["CKA_COPYABLE"], evidence = "measured", source = "s" }
persist_by = { value = "restore", evidence = "measured", source = "s" }
keeps_local = { value = false, evidence = "measured", source = "s" }
gcm_iv_from_host = { value = true, evidence = "measured", source = "s" }
oaep_hash = { value = "SHA-256", evidence = "measured", source = "s" }
trust_by = { value = "vendor-tool", evidence = "measured", source = "s" }
read_only_sessions = { value = false, evidence = "measured", source = "s" }
max_sessions = { value = 5, evidence = "measured", source = "s" }
max_keys = { value = "none", evidence = "measured", source = "s" }
init_reserved = { value = "", evidence = "measured", source = "s" }
pin_format = { value = "four digits", evidence = "measured", source = "s" }
)";

/// `complete` with `from` made `to`.
std::string changed(const std::string& from, const std::string& to) {
  std::string text = complete;
  const auto place = text.find(from);
  REQUIRE(place != std::string::npos);
  return text.replace(place, from.size(), to);
}

std::string refusal(const std::string& text) {
  return message_of<BadFile>([&] { (void)parse_profile(text, "mine.toml"); });
}

const Profile& shipped(const std::string& name) {
  const auto profiles = shipped_profiles();
  const auto found = std::ranges::find(profiles, name, &Profile::name);
  REQUIRE(found != profiles.end());
  return *found;
}

const Profile* found_for(const std::string& manufacturer, const std::string& model,
                         const std::string& library = "a library") {
  TokenInfo token{};
  token.manufacturer = manufacturer;
  token.model = model;
  return find_profile(shipped_profiles(), ModuleInfo{"", library, "", ""}, token);
}

}  // namespace

TEST_CASE("a profile holds what its file says, with the source of each value") {
  const Profile profile = parse_profile(complete, "mine.toml");
  CHECK(profile.name == "mine");
  CHECK(profile.key_wrap == 0x80000170UL);
  CHECK(profile.usable.empty());
  CHECK(profile.unwrap_needs_value_len);
  CHECK_FALSE(profile.repeat_unwrap_template);
  CHECK(profile.modifiable_last);
  CHECK(profile.lacks == std::vector<CK_ATTRIBUTE_TYPE>{CKA_COPYABLE});
  CHECK(profile.persist_by == PersistBy::restore);
  CHECK(profile.trust_by == TrustBy::vendor_tool);
  CHECK_FALSE(profile.keeps_local);
  CHECK(profile.gcm_iv_from_host);
  CHECK(profile.oaep_hash == OaepHash::sha_256);
  CHECK_FALSE(profile.read_only_sessions);
  CHECK(profile.max_sessions == 5U);
  CHECK(profile.max_keys == std::nullopt);
  CHECK(profile.pin_format == "four digits");
  CHECK(profile.facts.at("key_wrap").evidence == Evidence::documented);
  CHECK(profile.facts.at("key_wrap").text == "0x80000170");
  CHECK(profile.facts.at("unwrap_needs_value_len").text == "true");
  CHECK(profile.facts.at("match").evidence == Evidence::measured);
  CHECK(profile.facts.at("match").source == "here");
  CHECK(profile.facts.at("match").text == "Acme*/*/*");
}

TEST_CASE("every shipped profile loads, and every value has evidence and source") {
  const std::set<std::string> expected = {"aws-cloudhsm", "luna",        "nethsm",
                                          "nshield",      "nss-softokn", "opencryptoki",
                                          "softhsm",      "utimaco",     "yubihsm2"};
  std::set<std::string> names;
  for (const Profile& profile : shipped_profiles()) {
    CAPTURE(profile.name);
    names.insert(profile.name);
    CHECK_FALSE(profile.matches.empty());
    CHECK(profile.facts.size() == 16 + profile.matches.size());
    for (const auto& [key, fact] : profile.facts) {
      CAPTURE(key);
      CHECK_FALSE(fact.source.empty());
      CHECK_FALSE(to_string(fact.evidence).empty());
    }
    CHECK((profile.key_wrap == CK_UNAVAILABLE_INFORMATION) <= !profile.usable.empty());
  }
  CHECK(names == expected);
}

TEST_CASE("a token finds the profile of its vendor, and no other token does") {
  Module& module = *TestToken::current().module;
  const Profile* profile = find_profile(shipped_profiles(), module.info(),
                                        module.find_token(Uri::parse(TestToken::uri())));
  REQUIRE(profile != nullptr);
  CHECK(profile->name == "softhsm");
  CHECK(profile->usable.empty());

  const std::pair<const Profile*, const char*> others[] = {
      {found_for("Mozilla Foundation", "NSS 3"), "nss-softokn"},
      {found_for("IBM Corp.", "IBM SoftTok"), "opencryptoki"},
      {found_for("SafeNet", "LunaSA 7.8.4"), "luna"},
      {found_for("SafeNet", "Cryptovisor7"), "luna"},
      {found_for("nCipher Corp. Ltd", ""), "nshield"},
      {found_for("anything", "any", "AWS CloudHSM PKCS#11"), "aws-cloudhsm"},
      {found_for("Utimaco IS GmbH", "CryptoServer"), "utimaco"},
      {found_for("Yubico (www.yubico.com)", "YubiHSM"), "yubihsm2"},
      {found_for("Nitrokey GmbH", "NetHSM"), "nethsm"}};
  for (const auto& [found, name] : others) {
    CAPTURE(name);
    REQUIRE(found != nullptr);
    CHECK(found->name == name);
  }
  CHECK(found_for("SafeNet, Inc.", "eToken") == nullptr);
  CHECK(found_for("Yubico (www.yubico.com)", "YubiKey YK5") == nullptr);
  CHECK(found_for("IBM Corp.", "EP11") == nullptr);
  CHECK(found_for("", "") == nullptr);
}

TEST_CASE("a profile is the one that is named, or that fits; nothing is guessed") {
  const ModuleInfo module{"", "a library", "", ""};
  TokenInfo softhsm{}, unknown{};
  softhsm.manufacturer = "SoftHSM project";
  softhsm.model = "SoftHSM v2";
  unknown.label = "mine";
  unknown.manufacturer = "Acme";
  const std::string directory = TestToken::current().directory;
  std::ofstream(directory + "/acme.toml") << complete;

  CHECK(choose_profile("", directory, module, softhsm).name == "softhsm");
  CHECK(choose_profile("luna", directory, module, softhsm).name == "luna");
  CHECK(choose_profile("luna", directory, module, unknown).name == "luna");
  CHECK(choose_profile("acme.toml", directory, module, softhsm).name == "mine");
  CHECK(choose_profile(directory + "/acme.toml", "/", module, softhsm).name == "mine");
  CHECK(contains(
      message_of<BadInput>([&] { (void)choose_profile("lunar", directory, module, softhsm); }),
      "there is no profile \"lunar\"; there are aws-cloudhsm, "));
  CHECK(contains(message_of<BadInput>(
                     [&] { (void)choose_profile("nowhere.toml", directory, module, softhsm); }),
                 directory + "/nowhere.toml: can't be read"));
  const auto none = message_of<pkcs11::TokenUnavailable>(
      [&] { (void)choose_profile("", directory, module, unknown); });
  CHECK(contains(
      none,
      "no profile fits token \"mine\" (manufacturer \"Acme\", model \"\", library \"a library\")"));
  CHECK(contains(none, "name one in token.profile (aws-cloudhsm, "));
}

TEST_CASE("the shipped profiles say what was measured on the test token") {
  const Profile& profile = shipped("softhsm");
  CHECK(profile.key_wrap == CKM_AES_KEY_WRAP);
  auto pool = TestToken::current().pool();
  auto session = pool->lease();
  const Template usage = aes_key().add(attr::sensitive, true).add(attr::extractable, true);
  const Handle kek = session->generate_key(
      Mechanism(CKM_AES_KEY_GEN),
      aes_key().add(attr::value_len, 16UL).add(attr::wrap, true).add(attr::unwrap, true));
  const Handle key =
      session->generate_key(Mechanism(CKM_AES_KEY_GEN), Template(usage).add(attr::value_len, 16UL));
  const Bytes wrapped = session->wrap_key(Mechanism(profile.key_wrap), kek, key);

  CHECK_NOTHROW((void)session->unwrap_key(Mechanism(profile.key_wrap), kek, wrapped, usage));
  CHECK_FALSE(profile.unwrap_needs_value_len);
  CHECK_THROWS_AS((void)session->unwrap_key(Mechanism(profile.key_wrap), kek, wrapped,
                                            Template(usage).add(attr::value_len, 16UL)),
                  pkcs11::Error);

  CHECK(profile.modifiable_last);
  CHECK_NOTHROW((void)session->unwrap_key(Mechanism(profile.key_wrap), kek, wrapped,
                                          Template(usage).add(attr::modifiable, false)));
  CHECK_THROWS_AS(
      (void)session->unwrap_key(Mechanism(profile.key_wrap), kek, wrapped,
                                aes_key().add(attr::modifiable, false).add(attr::sensitive, true)),
      pkcs11::Error);

  CHECK(profile.persist_by == PersistBy::copy);
  const Handle resting =
      session->copy_object(key, Template().add(attr::token, true).add(attr::extractable, false));
  CHECK(profile.keeps_local);
  CHECK(session->need(resting, attr::local));
  CHECK(session->need(resting, attr::always_sensitive));
  session->destroy_object(resting);

  CHECK(profile.trust_by == TrustBy::security_officer);
  CHECK_THROWS_AS((void)session->generate_key(
                      Mechanism(CKM_AES_KEY_GEN),
                      Template(usage).add(attr::value_len, 16UL).add(attr::trusted, true)),
                  pkcs11::Error);
}

TEST_CASE("what is not a profile is refused with line and column") {
  CHECK(contains(refusal("version = \n"), "mine.toml:1:"));
  CHECK(refusal(changed("version = 1", "version = 2")) ==
        "mine.toml:1:11: version is not 1, the form of this file that is known here");
  CHECK(refusal(changed("name = \"mine\"", "nam = \"mine\"")) == "mine.toml:1:1: name is missing");
  CHECK(refusal(changed("name = \"mine\"\n", "name = \"mine\"\ncolour = 1\n")) ==
        "mine.toml:3:1: colour is not a key of this file; here: match, name, values, version");
  CHECK(refusal(changed(
            "[values]\n",
            "[values]\ncolour = { value = 1, evidence = \"measured\", source = \"s\" }\n")) ==
        "mine.toml:8:1: values.colour is not a key of this file; here: gcm_iv_from_host, "
        "init_reserved, "
        "keeps_local, key_wrap, lacks, max_keys, max_sessions, modifiable_last, oaep_hash, "
        "persist_by, pin_format, read_only_sessions, repeat_unwrap_template, trust_by, unwrap_needs_value_len, "
        "usable");
  CHECK(contains(refusal(changed("manufacturer = ", "maker = ")),
                 "mine.toml:4:1: match.maker is not a key of this file; here: evidence, library, "
                 "manufacturer, model, source"));
  CHECK(
      contains(refusal(changed("manufacturer = \"Acme*\"", "model = \"*\"")), "fits every token"));
}

TEST_CASE("a value that is not what its key holds is refused with line and column") {
  CHECK(refusal(changed("value = 0x80000170", "value = \"0x2109\"")) ==
        "mine.toml:9:22: values.key_wrap.value is not an integer, and not \"none\"");
  CHECK(contains(refusal(changed("value = 0x80000170", "value = \"none\"")),
                 "mine.toml:9:22: values.key_wrap.value: \"none\", but"));
  CHECK(contains(refusal(changed("value = 0x80000170", "value = 0")),
                 "values.key_wrap.value is 0: from 1 to 4294967295"));
  CHECK(contains(refusal(changed("value = 0x80000170", "value = 0x180000170")),
                 "from 1 to 4294967295"));
  CHECK(refusal(changed("value = true", "value = 1")) ==
        "mine.toml:10:36: values.unwrap_needs_value_len.value is not true or false");
  CHECK(refusal(changed("\"restore\"", "\"hope\"")) ==
        "mine.toml:14:24: values.persist_by.value: 'hope' is not a way to persist a key: one of "
        "copy, restore");
  CHECK(contains(refusal(changed("keeps_local = { value = false", "keeps_local = { value = true")),
                 "values.keeps_local.value: true, but persist_by is \"restore\""));
  CHECK(contains(refusal(changed("[\"CKA_COPYABLE\"]", "\"CKA_COPYABLE\"")),
                 "mine.toml:13:19: values.lacks.value is not an array"));
  CHECK(contains(refusal(changed("[\"CKA_COPYABLE\"]", "[\"CKA_SENSITIVE\"]")),
                 "mine.toml:13:20: values.lacks.value: 'CKA_SENSITIVE' is not a name of an "
                 "attribute to lack: one of CKA_ALLOWED_MECHANISMS, "));
  CHECK(contains(refusal(changed("\"vendor-tool\"", "\"vendor\"")),
                 "one of security-officer, vendor-tool, nobody"));
  CHECK(contains(refusal(changed("value = 5", "value = -5")), "values.max_sessions.value is -5"));
  CHECK(contains(refusal(changed("\"four digits\"", "4")),
                 "values.pin_format.value is not a string"));
  CHECK(contains(refusal(changed("\"yes\"", "\"\"")), "values.usable.value is empty"));
  CHECK(refusal(changed("evidence = \"documented\"", "evidence = \"hearsay\"")) ==
        "mine.toml:9:45: values.key_wrap.evidence: 'hearsay' is not a kind of evidence: one of "
        "measured, documented, unverified");
  CHECK(contains(refusal(changed("evidence = \"documented\", ", "")),
                 "mine.toml:9:12: values.key_wrap.evidence is missing"));
  CHECK(contains(refusal(changed("source = \"here\"", "source = \"\"")),
                 "mine.toml:6:10: match.source is empty"));
  CHECK(contains(refusal(changed(
                     "key_wrap = { value = 0x80000170, evidence = \"documented\", source = \"s\" }",
                     "key_wrap = 0x2109")),
                 "values.key_wrap is not a table"));
}

TEST_CASE("a profile is read from a file of the operator's") {
  const std::string file = TestToken::current().directory + "/mine.toml";
  std::ofstream(file) << complete;
  CHECK(load_profile(file).name == "mine");
  std::ofstream(file) << "version = 1\nname = 3\n";
  CHECK(message_of<BadFile>([&] { (void)load_profile(file); }) ==
        file + ":2:8: name is not a string");
  CHECK(
      contains(message_of<BadInput>([] { (void)load_profile("/nowhere.toml"); }), "/nowhere.toml"));
}
