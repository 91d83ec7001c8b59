// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/config.hpp"

#include "base/enum_names.hpp"
#include "base/toml_reader.hpp"

namespace smets1kms {
namespace {

DeviceModel read_model(TomlTable model) {
  DeviceModel result;
  result.logical_name = model.parsed("logical_name", "0.0.43.0.0.255", parse_logical_name);
  result.activation = model.parsed("activation", "immediate", parse_activation);
  model.refuse_unknown();
  return result;
}

EnrolmentMode parse_enrolment(std::string_view text) {
  constexpr EnumNames<EnrolmentMode, 2> modes{{"officer", "plain"}};
  return modes.parse(text, "way of enrolment");
}

VaultKind parse_keep(std::string_view text) {
  constexpr EnumNames<VaultKind, 2> ways{{"token", "sealed"}};
  return ways.parse(text, "way to keep keys");
}

/// Returns a path that is relative to the configuration; empty where there is none.
std::filesystem::path read_path(TomlTable& table, const std::string& key, const Config& config) {
  const auto path = table.optional_text(key);
  return path ? config.file.parent_path() / *path : std::filesystem::path();
}

/// True if the setting is there, with the one value that it may have.
bool has_only_value(TomlTable& table, const std::string& key, const std::string& value,
                    const std::string& hint) {
  const auto given = table.optional_text(key);
  if (given && *given != value) table.refuse(key, "the only value is \"" + value + "\"" + hint);
  return given.has_value();
}

void read_manufacturers(TomlTable import, Config& config) {
  const bool is_unsigned = has_only_value(import, "unsigned_files", "taken-for-testing", "");
  if (import.has("manufacturers") == is_unsigned)
    import.refuse("manufacturers",
                  "either manufacturers, a PEM file with the certificates of those who may sign "
                  "fleet files, or unsigned_files = \"taken-for-testing\"");
  config.manufacturers = read_path(import, "manufacturers", config);
  import.refuse_unknown();
}

void read_audit(TomlTable audit, Config& config) {
  config.audit.anchor_file = read_path(audit, "anchor_file", config);
  config.audit.anchor_command = audit.texts("anchor_command");
  config.audit.deadline = std::chrono::seconds(audit.integer_or(10, "deadline", 1, 600));
  config.audit.token_anchor =
      std::chrono::seconds(audit.integer_or(10, "token_anchor_seconds", 0, 86400));
  config.audit.heartbeat = std::chrono::hours(audit.integer_or(24, "heartbeat_hours", 1, 744));
  audit.refuse_unknown();
}

void read_token(TomlTable token, Config& config) {
  config.token.module = token.text("module");
  config.token.uri = token.text("uri");
  config.token.init_reserved = token.optional_text("init_reserved").value_or("");
  config.token.profile = token.optional_text("profile").value_or("");
  if (token.has("profile") && config.token.profile.empty())
    token.refuse("profile",
                 "it is empty; leave it out to have the profile found by what the token says of "
                 "itself");
  config.token.sessions = static_cast<std::size_t>(token.integer_or(8, "sessions", 2, 1024));
  config.token.enrolment = token.parsed("enrolment", "officer", parse_enrolment);
  config.token.unprotected_for_testing =
      has_only_value(token, "protection", "none-for-testing",
                     "; leave it out to have the token's protections tested");
  auto environment = token.table("environment");
  for (const auto& name : environment.keys())
    config.token.environment[name] = environment.text(name);
  token.refuse_unknown();
}

}  // namespace

Config Config::load(const std::filesystem::path& file) {
  auto top = TomlTable::load(file,
                             "Give the configuration with --config FILE; hsm-config/kms.toml is an "
                             "example with every key");
  Config config;
  config.file = std::filesystem::absolute(file);
  read_token(top.table("token"), config);
  auto vault = top.table("vault");
  config.keep = vault.parsed("keep", "token", parse_keep);
  vault.refuse_unknown();
  auto registry = top.table("registry");
  config.database = config.file.parent_path() / registry.text("database");
  registry.refuse_unknown();
  read_manufacturers(top.table("import"), config);
  read_audit(top.table("audit"), config);
  auto policy = top.table("policy");
  config.policy_site = read_path(policy, "site", config);
  policy.refuse_unknown();
  auto models = top.table("models");
  for (const auto& name : models.keys()) config.models[name] = read_model(models.table(name));
  top.refuse_unknown();
  return config;
}

}  // namespace smets1kms
