// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/config.hpp"

#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "base/enum_names.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms {
namespace {

/// A table of the file that knows which of its keys were asked for: the rest is refused.
class Section {
 public:
  Section(std::string file, std::string name, const toml::table& table)
      : file_(std::move(file)), name_(std::move(name)), table_(table) {}

  [[noreturn]] void refuse(const toml::source_region& where, const std::string& what) const {
    // What is missing from the file itself has no place: its first line.
    throw BadFile(file_, std::max(where.begin.line, 1u), std::max(where.begin.column, 1u), what);
  }
  template <class T>
  std::optional<T> optional(const std::string& key, const char* type) {
    known_.insert(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr) return std::nullopt;
    if (const auto* value = node->as<T>()) return value->get();
    refuse(node->source(), path(key) + " is not " + type);
  }
  std::string text(const std::string& key, std::optional<std::string> otherwise = std::nullopt) {
    auto value = optional<std::string>(key, "a string");
    if (!value) value = std::move(otherwise);
    if (!value || value->empty()) refuse(table_.source(), path(key) + " is missing or empty");
    return *value;
  }
  std::int64_t number(const std::string& key, std::int64_t otherwise, std::int64_t least,
                      std::int64_t most) {
    const auto value = optional<std::int64_t>(key, "an integer").value_or(otherwise);
    if (value < least || value > most)
      refuse(table_.get(key)->source(), path(key) + " is " + std::to_string(value) + ": from " +
                                            std::to_string(least) + " to " + std::to_string(most));
    return value;
  }
  [[noreturn]] void refuse_value(const std::string& key, const std::string& what) const {
    const toml::node* node = table_.get(key);
    refuse(node == nullptr ? table_.source() : node->source(), path(key) + ": " + what);
  }
  /// What `parse` makes of a string; its BadInput gains the place.
  template <class Parse>
  auto parsed(const std::string& key, const std::string& otherwise, Parse&& parse) {
    const std::string value = text(key, otherwise);
    try {
      return parse(value);
    } catch (const BadInput& error) {
      refuse_value(key, error.what());
    }
  }
  /// A list of strings; empty where there is none.
  std::vector<std::string> texts(const std::string& key) {
    known_.insert(key);
    std::vector<std::string> all;
    const toml::node* node = table_.get(key);
    if (node == nullptr) return all;
    const toml::array* list = node->as_array();
    if (list == nullptr || (!list->empty() && !list->is_homogeneous<std::string>()))
      refuse(node->source(), path(key) + " is not a list of strings");
    for (const auto& each : *list) all.push_back(*each.value<std::string>());
    return all;
  }
  Section section(const std::string& key) {
    known_.insert(key);
    static const toml::table none;
    const toml::node* node = table_.get(key);
    if (node != nullptr && !node->is_table()) refuse(node->source(), path(key) + " is not a table");
    return {file_, path(key), node == nullptr ? none : *node->as_table()};
  }
  [[nodiscard]] std::vector<std::string> keys() const {
    std::vector<std::string> all;
    for (const auto& [key, value] : table_) all.emplace_back(key.str());
    return all;
  }
  void refuse_unknown() const {
    for (const auto& [key, value] : table_) {
      if (known_.contains(std::string(key.str()))) continue;
      std::string list;
      for (const auto& each : known_) list += (list.empty() ? "" : ", ") + each;
      refuse(key.source(),
             path(std::string(key.str())) + " is not a key of this file; here: " + list);
    }
  }

 private:
  [[nodiscard]] std::string path(const std::string& key) const {
    return name_.empty() ? key : name_ + "." + key;
  }
  std::string file_, name_;
  const toml::table& table_;
  std::set<std::string> known_;
};

DeviceModel read_model(Section model) {
  DeviceModel result;
  result.logical_name = model.parsed("logical_name", "0.0.43.0.0.255", parse_logical_name);
  result.activation = model.parsed("activation", "immediate", parse_activation);
  model.refuse_unknown();
  return result;
}

EnrolmentMode parse_enrolment(std::string_view text) {
  constexpr EnumNames<EnrolmentMode, 2> modes{
      {{{EnrolmentMode::officer, "officer"}, {EnrolmentMode::plain, "plain"}}}};
  return modes.parse(text, "way of enrolment");
}

VaultKind parse_keep(std::string_view text) {
  constexpr EnumNames<VaultKind, 2> ways{
      {{{VaultKind::token, "token"}, {VaultKind::sealed, "sealed"}}}};
  return ways.parse(text, "way to keep keys");
}

void read_manufacturers(Section import, Config& config) {
  const auto certificates = import.optional<std::string>("manufacturers", "a string");
  const auto unsigned_files = import.optional<std::string>("unsigned_files", "a string");
  if (unsigned_files && *unsigned_files != "taken-for-testing")
    import.refuse_value("unsigned_files", "the only value is \"taken-for-testing\"");
  if (certificates.has_value() == unsigned_files.has_value())
    import.refuse_value("manufacturers",
                        "either manufacturers, a PEM file with the certificates of those who may "
                        "sign fleet files, or unsigned_files = \"taken-for-testing\"");
  if (certificates) config.manufacturers = config.file.parent_path() / *certificates;
  import.refuse_unknown();
}

void read_audit(Section audit, Config& config) {
  if (const auto file = audit.optional<std::string>("anchor_file", "a string"))
    config.audit.anchor_file = config.file.parent_path() / *file;
  config.audit.anchor_command = audit.texts("anchor_command");
  config.audit.deadline = std::chrono::seconds(audit.number("deadline", 10, 1, 600));
  config.audit.heartbeat = std::chrono::hours(audit.number("heartbeat_hours", 24, 1, 744));
  audit.refuse_unknown();
}

Config read(const toml::table& table, const std::filesystem::path& file) {
  Config config;
  config.file = std::filesystem::absolute(file);
  Section top(file.string(), "", table);
  if (top.number("version", 0, 0, 1) != 1)
    top.refuse(table.source(),
               "version = 1 is missing: the first line says which form this file has");
  auto token = top.section("token");
  config.token.module = token.text("module");
  config.token.uri = token.text("uri");
  config.token.init_reserved =
      token.optional<std::string>("init_reserved", "a string").value_or("");
  if (const auto profile = token.optional<std::string>("profile", "a string")) {
    if (profile->empty())
      token.refuse_value(
          "profile",
          "it is empty; leave it out to have the profile found by what the token says of itself");
    config.token.profile = *profile;
  }
  config.token.sessions = static_cast<std::size_t>(token.number("sessions", 8, 2, 1024));
  config.token.enrolment = token.parsed("enrolment", "officer", parse_enrolment);
  if (const auto protection = token.optional<std::string>("protection", "a string")) {
    if (*protection != "none-for-testing")
      token.refuse_value("protection",
                         "the only value is \"none-for-testing\"; leave it out to have the token's "
                         "protections tested");
    config.token.unprotected_for_testing = true;
  }
  auto environment = token.section("environment");
  for (const auto& name : environment.keys())
    config.token.environment[name] = environment.text(name);
  token.refuse_unknown();
  auto vault = top.section("vault");
  config.keep = vault.parsed("keep", "token", parse_keep);
  vault.refuse_unknown();
  auto registry = top.section("registry");
  config.database = config.file.parent_path() / registry.text("database");
  registry.refuse_unknown();
  read_manufacturers(top.section("import"), config);
  read_audit(top.section("audit"), config);
  auto policy = top.section("policy");
  if (const auto site = policy.optional<std::string>("site", "a string"))
    config.policy_site = config.file.parent_path() / *site;
  policy.refuse_unknown();
  auto models = top.section("models");
  for (const auto& name : models.keys()) config.models[name] = read_model(models.section(name));
  top.refuse_unknown();
  return config;
}

}  // namespace

Config Config::load(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in)
    throw BadInput(file.string() +
                   ": can't be read. Give the configuration with --config FILE; "
                   "hsm-config/kms.toml is an example with every key");
  std::stringstream text;
  text << in.rdbuf();
  try {
    return read(toml::parse(text.str(), file.string()), file);
  } catch (const toml::parse_error& error) {
    const auto where = error.source().begin;
    throw BadFile(file.string(), where.line, where.column, std::string(error.description()));
  }
}

}  // namespace smets1kms
