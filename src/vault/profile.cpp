// SPDX-License-Identifier: Apache-2.0
#include "vault/profile.hpp"

#include <fnmatch.h>

#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>
#include <sstream>
#include <utility>

#include "smets1kms/errors.hpp"
#include "vault/shipped_profiles.hpp"

namespace smets1kms::vault {
namespace {

template <class Enum>
struct Word {
  Enum value;
  std::string_view word;
};
constexpr std::array rests{Word{PersistBy::copy, "copy"}, Word{PersistBy::restore, "restore"}};
constexpr std::array trusts{Word{TrustBy::security_officer, "security-officer"},
                            Word{TrustBy::vendor_tool, "vendor-tool"},
                            Word{TrustBy::nobody, "nobody"}};
constexpr std::array evidences{Word{Evidence::measured, "measured"},
                               Word{Evidence::documented, "documented"},
                               Word{Evidence::unverified, "unverified"}};

/// What a token may lack without a key of ours getting another use: without these it holds all the
/// same.
constexpr std::array attributes_to_lack{
    Word<CK_ATTRIBUTE_TYPE>{CKA_ALLOWED_MECHANISMS, "CKA_ALLOWED_MECHANISMS"},
    Word<CK_ATTRIBUTE_TYPE>{CKA_WRAP_TEMPLATE, "CKA_WRAP_TEMPLATE"},
    Word<CK_ATTRIBUTE_TYPE>{CKA_UNWRAP_TEMPLATE, "CKA_UNWRAP_TEMPLATE"},
    Word<CK_ATTRIBUTE_TYPE>{CKA_COPYABLE, "CKA_COPYABLE"},
    Word<CK_ATTRIBUTE_TYPE>{CKA_CHECK_VALUE, "CKA_CHECK_VALUE"}};

template <class Enum, std::size_t Count>
using EnumNames = std::array<Word<Enum>, Count>;

template <class Enum, std::size_t Count>
std::string_view word_of(const EnumNames<Enum, Count>& words, Enum value) {
  return std::ranges::find(words, value, [](const auto& each) { return each.value; })->word;
}

/// One file: knows which keys were asked for, and says where what is wrong stands.
class Reader {
 public:
  Reader(const toml::table& table, std::string file) : table_(table), file_(std::move(file)) {}

  Profile read() {
    Profile profile;
    if (const auto version = top("version").value<std::int64_t>(); version != 1)
      refuse(top("version"), "version is not 1, the form of a profile that is known here");
    profile.name = text(top("name"), "name");
    read_matches(profile);
    values_ = top("values").as_table();
    if (values_ == nullptr) refuse(top("values"), "values is not a table");
    profile.unwrap_needs_value_len = flag(profile, "unwrap_needs_value_len");
    profile.repeat_unwrap_template = flag(profile, "repeat_unwrap_template");
    profile.modifiable_last = flag(profile, "modifiable_last");
    const toml::node& lacking = value(profile, "lacks");
    if (lacking.as_array() == nullptr)
      refuse(lacking, "values.lacks is not an array of names of attributes");
    for (const toml::node& each : *lacking.as_array())
      profile.lacks.push_back(word_in(each, "values.lacks", attributes_to_lack));
    profile.rest_by = word(profile, "rest_by", rests);
    profile.keeps_local = flag(profile, "keeps_local");
    if (profile.rest_by == PersistBy::restore && profile.keeps_local)
      refuse(value(profile, "keeps_local"),
             "values.keeps_local is true, but rest_by is \"restore\": what came by an unwrap is "
             "not LOCAL");
    profile.gcm_iv_from_host = flag(profile, "gcm_iv_from_host");
    profile.trust_by = word(profile, "trust_by", trusts);
    profile.read_only_sessions = flag(profile, "read_only_sessions");
    profile.max_sessions =
        number(profile, "max_sessions", std::numeric_limits<std::int32_t>::max());
    profile.max_keys = number(profile, "max_keys", std::numeric_limits<std::int64_t>::max());
    profile.init_reserved = string(profile, "init_reserved");
    profile.pin_format = string(profile, "pin_format");
    profile.usable = string(profile, "usable");
    if (profile.usable.empty())
      refuse(value(profile, "usable"),
             "values.usable is empty: \"yes\", or why the token is refused");
    if (profile.usable == "yes") profile.usable.clear();
    // A mechanism number fits 32 bits on every platform, vendors' (0x80000000 and above) as well.
    const auto key_wrap = number(profile, "key_wrap", std::numeric_limits<std::uint32_t>::max());
    if (!key_wrap && profile.usable.empty())
      refuse(value(profile, "key_wrap"), "values.key_wrap is \"none\", but usable is \"yes\"");
    profile.key_wrap = key_wrap.value_or(CK_UNAVAILABLE_INFORMATION);
    refuse_unknown(table_, {"version", "name", "match", "values"}, "");
    for (const auto& [key, node] : *values_)
      if (!profile.facts.contains(std::string(key.str())))
        refuse(key.source(), "values." + std::string(key.str()) + " is not a key of a profile");
    return profile;
  }

 private:
  [[noreturn]] void refuse(const toml::source_region& where, const std::string& what) const {
    throw BadFile(file_, where.begin.line, where.begin.column, what);
  }
  [[noreturn]] void refuse(const toml::node& node, const std::string& what) const {
    refuse(node.source(), what);
  }
  void refuse_unknown(const toml::table& table, std::initializer_list<std::string_view> known,
                      const std::string& path) const {
    for (const auto& [key, node] : table)
      if (std::ranges::find(known, key.str()) == known.end())
        refuse(key.source(), path + std::string(key.str()) + " is not a key of a profile");
  }
  const toml::node& top(std::string_view key) const { return member(table_, key, ""); }
  const toml::node& member(const toml::table& table, std::string_view key,
                           const std::string& path) const {
    if (const toml::node* node = table.get(key)) return *node;
    refuse(table.source(), path + std::string(key) + " is missing");
  }
  std::string text(const toml::node& node, const std::string& path) const {
    const auto* found = node.as_string();
    if (found == nullptr) refuse(node, path + " is not a string");
    return found->get();
  }
  template <class Enum, std::size_t Count>
  Enum word_in(const toml::node& node, const std::string& path,
               const EnumNames<Enum, Count>& words) const {
    const std::string found = text(node, path);
    const auto place = std::ranges::find(words, found, [](const auto& each) { return each.word; });
    if (place != words.end()) return place->value;
    std::string list;
    for (const auto& each : words) list += (list.empty() ? "" : ", ") + std::string(each.word);
    refuse(node, path + " is \"" + found + "\": one of " + list);
  }
  void note_fact(Profile& profile, const std::string& key, std::string as_text,
                 const toml::table& table, const std::string& path) const {
    const Evidence evidence =
        word_in(member(table, "evidence", path), path + "evidence", evidences);
    const toml::node& source = member(table, "source", path);
    if (text(source, path + "source").empty())
      refuse(source, path + "source is empty: where the value is from, or what is not known");
    profile.facts[key] = {std::move(as_text), evidence, text(source, path + "source")};
  }
  static std::string as_written(const toml::node& node) {
    if (const auto* words = node.as_string(); words != nullptr && !words->get().empty())
      return words->get();
    std::ostringstream out;
    node.visit([&](const auto& value) { out << value; });
    return out.str();
  }
  void read_matches(Profile& profile) const {
    const auto* matches = top("match").as_array();
    if (matches == nullptr)
      refuse(top("match"), "match is not an array: begin each with [[match]]");
    for (const toml::node& node : *matches) {
      const auto* table = node.as_table();
      if (table == nullptr) refuse(node, "match is not a table");
      refuse_unknown(*table, {"manufacturer", "model", "library", "evidence", "source"}, "match.");
      Profile::Match match;
      const std::pair<const char*, std::string*> patterns[] = {
          {"manufacturer", &match.manufacturer},
          {"model", &match.model},
          {"library", &match.library}};
      for (const auto& [key, pattern] : patterns)
        if (const toml::node* given = table->get(key))
          *pattern = text(*given, std::string("match.") + key);
      if (match.manufacturer == "*" && match.model == "*" && match.library == "*")
        refuse(node, "match fits every token: give manufacturer, model or library");
      profile.matches.push_back(std::move(match));
      const Profile::Match& kept = profile.matches.back();
      note_fact(
          profile,
          profile.matches.size() == 1 ? "match" : "match " + std::to_string(profile.matches.size()),
          kept.manufacturer + "/" + kept.model + "/" + kept.library, *table, "match.");
    }
  }
  /// `value` of values.KEY, an inline table; its evidence and source are kept.
  const toml::node& value(Profile& profile, const std::string& key) const {
    const std::string path = "values." + key;
    const toml::node& node = member(*values_, key, "values.");
    const auto* table = node.as_table();
    if (table == nullptr) refuse(node, path + " is not a table { value, evidence, source }");
    refuse_unknown(*table, {"value", "evidence", "source"}, path + ".");
    const toml::node& found = member(*table, "value", path + ".");
    note_fact(profile, key, as_written(found), *table, path + ".");
    return found;
  }
  bool flag(Profile& profile, const std::string& key) const {
    const toml::node& node = value(profile, key);
    if (const auto* found = node.as_boolean()) return found->get();
    refuse(node, "values." + key + " is not true or false");
  }
  std::string string(Profile& profile, const std::string& key) const {
    return text(value(profile, key), "values." + key);
  }
  template <class Enum, std::size_t Count>
  Enum word(Profile& profile, const std::string& key, const EnumNames<Enum, Count>& words) const {
    return word_in(value(profile, key), "values." + key, words);
  }
  /// nullopt for "none".
  std::optional<std::size_t> number(Profile& profile, const std::string& key,
                                    std::int64_t most) const {
    const toml::node& node = value(profile, key);
    if (node.value<std::string>() == "none") return std::nullopt;
    const auto* found = node.as_integer();
    if (found == nullptr) refuse(node, "values." + key + " is neither an integer nor \"none\"");
    if (found->get() < 1 || found->get() > most)
      refuse(node, "values." + key + " is " + std::to_string(found->get()) + ": from 1 to " +
                       std::to_string(most));
    return static_cast<std::size_t>(found->get());
  }

  const toml::table& table_;
  const toml::table* values_ = nullptr;
  std::string file_;
};

bool fits(const std::string& pattern, const std::string& text) {
  return ::fnmatch(pattern.c_str(), text.c_str(), FNM_NOESCAPE) == 0;
}

}  // namespace

std::string_view to_string(TrustBy trust) { return word_of(trusts, trust); }
std::string_view to_string(Evidence evidence) { return word_of(evidences, evidence); }

Profile parse_profile(std::string_view text, const std::string& file) {
  try {
    const toml::table table = toml::parse(text, file);
    return Reader(table, file).read();
  } catch (const toml::parse_error& error) {
    throw BadFile(file, error.source().begin.line, error.source().begin.column,
                  std::string(error.description()));
  }
}

Profile load_profile(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in)
    throw BadInput(
        file.string() +
        ": can't be read. It is a token profile; hsm-config/profiles holds the shipped ones");
  std::stringstream text;
  text << in.rdbuf();
  return parse_profile(text.str(), file.string());
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
