// SPDX-License-Identifier: Apache-2.0
#include "vault/profile.hpp"

#include <fnmatch.h>

#include <limits>

#include "base/enum_names.hpp"
#include "base/text_reader.hpp"
#include "base/toml_reader.hpp"
#include "vault/shipped_profiles.hpp"

namespace smets1kms::vault {
namespace {

constexpr EnumNames<PersistBy, 2> persist_names{{"copy", "restore"}};
constexpr EnumNames<OaepHash, 3> oaep_hashes{{"none", "SHA-1", "SHA-256"}};
constexpr EnumNames<TrustBy, 3> trusts{{"security-officer", "vendor-tool", "nobody"}};
constexpr EnumNames<Evidence, 3> evidences{{"measured", "documented", "unverified"}};

/// Attributes that a token may lack without a key of ours getting another use.
constexpr std::array<CK_ATTRIBUTE_TYPE, 5> may_lack{
    CKA_ALLOWED_MECHANISMS, CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE, CKA_COPYABLE, CKA_CHECK_VALUE};
constexpr EnumNames<std::size_t, 5> lacking{{"CKA_ALLOWED_MECHANISMS", "CKA_WRAP_TEMPLATE",
                                             "CKA_UNWRAP_TEMPLATE", "CKA_COPYABLE",
                                             "CKA_CHECK_VALUE"}};

auto word_of(const auto& names, const char* what) {
  return [&names, what](const std::string& word) { return names.parse(word, what); };
}

/// Keeps the evidence and the source that a table gives for a value.
void note_fact(Profile& profile, const std::string& key, std::string as_text, TomlTable& table) {
  const auto evidence = table.parsed("evidence", word_of(evidences, "kind of evidence"));
  profile.facts[key] = {std::move(as_text), evidence, table.text("source")};
}

void read_matches(Profile& profile, TomlTable& top) {
  top.require("match");
  for (auto& table : top.tables("match", "match")) {
    const auto pattern = [&](const char* key) { return table.optional_text(key).value_or("*"); };
    const Profile::Match match{pattern("manufacturer"), pattern("model"), pattern("library")};
    const auto text = match.manufacturer + "/" + match.model + "/" + match.library;
    profile.matches.push_back(match);
    const auto count = profile.matches.size();
    note_fact(profile, count == 1 ? "match" : "match " + std::to_string(count), text, table);
    table.refuse_unknown();
    if (text == "*/*/*")
      table.refuse_table("match fits every token: give manufacturer, model or library");
  }
}

/// Reader of [values]: each key is an inline table with the value, its evidence and its source.
class ProfileValues {
 public:
  ProfileValues(Profile& profile, TomlTable& top)
      : profile_(profile), table_(top.table("values")) {}

  TomlTable entry(const std::string& key) {
    table_.require(key);
    auto entry = table_.table(key);
    note_fact(profile_, key, entry.as_written("value"), entry);
    entry.refuse_unknown();
    return entry;
  }
  bool flag(const std::string& key) { return entry(key).flag("value"); }
  std::string text(const std::string& key) { return *entry(key).optional_text("value"); }
  auto word(const std::string& key, const auto& names, const char* what) {
    return entry(key).parsed("value", word_of(names, what));
  }
  /// Returns nullopt for "none".
  std::optional<std::size_t> number(const std::string& key, std::int64_t most) {
    auto found = entry(key);
    if (found.as_written("value") == "none") return std::nullopt;
    return static_cast<std::size_t>(
        found.integer("value", 1, most, "an integer, and not \"none\""));
  }
  void refuse_unknown() const { table_.refuse_unknown(); }

 private:
  Profile& profile_;
  TomlTable table_;
};

bool fits(const std::string& pattern, const std::string& text) {
  return ::fnmatch(pattern.c_str(), text.c_str(), FNM_NOESCAPE) == 0;
}

}  // namespace

std::string_view to_string(OaepHash hash) { return oaep_hashes.name(hash); }
OaepHash parse_oaep_hash(const std::string& word) {
  return oaep_hashes.parse(word, "hash of RSA-OAEP");
}
std::string_view to_string(TrustBy trust) { return trusts.name(trust); }
std::string_view to_string(Evidence evidence) { return evidences.name(evidence); }

Profile parse_profile(std::string_view text, const std::string& file) {
  auto top = TomlTable::parse(text, file);
  Profile profile;
  profile.name = top.text("name");
  read_matches(profile, top);
  ProfileValues values(profile, top);
  profile.unwrap_needs_value_len = values.flag("unwrap_needs_value_len");
  profile.repeat_unwrap_template = values.flag("repeat_unwrap_template");
  profile.modifiable_last = values.flag("modifiable_last");
  profile.lacks = values.entry("lacks").list(
      "value",
      [](const std::string& word) {
        return may_lack[lacking.parse(word, "name of an attribute to lack")];
      },
      0);
  profile.persist_by = values.word("persist_by", persist_names, "way to persist a key");
  profile.keeps_local = values.flag("keeps_local");
  if (profile.persist_by == PersistBy::restore && profile.keeps_local)
    values.entry("keeps_local")
        .refuse("value",
                "true, but persist_by is \"restore\": what came by an unwrap is not LOCAL");
  profile.gcm_iv_from_host = values.flag("gcm_iv_from_host");
  profile.oaep_hash = values.word("oaep_hash", oaep_hashes, "hash of RSA-OAEP");
  profile.trust_by = values.word("trust_by", trusts, "way to trust");
  profile.read_only_sessions = values.flag("read_only_sessions");
  profile.max_sessions = values.number("max_sessions", std::numeric_limits<std::int32_t>::max());
  profile.max_keys = values.number("max_keys", std::numeric_limits<std::int64_t>::max());
  profile.init_reserved = values.text("init_reserved");
  profile.pin_format = values.text("pin_format");
  profile.usable = values.entry("usable").text("value");  // "yes", or why the token is refused
  if (profile.usable == "yes") profile.usable.clear();
  // A mechanism number fits 32 bits on every platform, vendors' (0x80000000 and above) as well.
  const auto key_wrap = values.number("key_wrap", std::numeric_limits<std::uint32_t>::max());
  if (!key_wrap && profile.usable.empty())
    values.entry("key_wrap").refuse("value", "\"none\", but usable is \"yes\"");
  profile.key_wrap = key_wrap.value_or(CK_UNAVAILABLE_INFORMATION);
  values.refuse_unknown();
  top.refuse_unknown();
  return profile;
}

Profile load_profile(const std::filesystem::path& file) {
  return parse_profile(
      read_text(file, "It is a token profile; hsm-config/profiles holds the shipped ones"),
      file.string());
}

std::span<const Profile> shipped_profiles() {
  static const std::vector<Profile> profiles = [] {
    std::vector<Profile> all;
    for (const auto& [file, text] : shipped_profile_texts())
      all.push_back(parse_profile(text, std::string(file)));
    return all;
  }();
  return profiles;
}

const Profile* find_profile(std::span<const Profile> profiles, const pkcs11::ModuleInfo& module,
                            const pkcs11::TokenInfo& token) {
  for (const Profile& profile : profiles)
    for (const Profile::Match& match : profile.matches)
      if (fits(match.manufacturer, token.manufacturer) && fits(match.model, token.model) &&
          fits(match.library, module.description))
        return &profile;
  return nullptr;
}

Profile choose_profile(const std::string& named, const std::filesystem::path& directory,
                       const pkcs11::ModuleInfo& module, const pkcs11::TokenInfo& token) {
  if (named.ends_with(".toml")) return load_profile(directory / named);
  const auto all = shipped_profiles();
  if (const Profile* fitting = named.empty() ? find_profile(all, module, token) : nullptr)
    return *fitting;
  std::string names;
  for (const Profile& profile : all) {
    if (profile.name == named) return profile;
    names += (names.empty() ? "" : ", ") + profile.name;
  }
  if (!named.empty())
    throw BadInput("token.profile: there is no profile \"" + named + "\"; there are " + names +
                   ", and files whose name ends in .toml");
  throw pkcs11::TokenUnavailable(
      "no profile fits token \"" + token.label + "\" (manufacturer \"" + token.manufacturer +
      "\", model \"" + token.model + "\", library \"" + module.description +
      "\"), and how a token is used is not guessed: name one in token.profile (" + names +
      "), or a copy of one with what its vendor documents");
}

}  // namespace smets1kms::vault
