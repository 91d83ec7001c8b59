// SPDX-License-Identifier: Apache-2.0
#include "policy/edition.hpp"

#include <algorithm>

#include "base/toml_reader.hpp"

namespace smets1kms::policy {
namespace {

#include "base/toml_reader.hpp"
RuleTerms read_terms(TomlTable& in) {
  RuleTerms terms{.within = in.parsed("within", parse_period),
                  .due_soon = in.parsed("due_soon", parse_period),
                  .roles = in.list("roles", parse_role),
                  .kinds = in.list("kinds", parse_kind)};
  (void)in.at("due_soon", [&] { return length(terms.due_soon); });
  return terms;
}

Rule read_rule(TomlTable& in) {
  Rule rule{.id = in.parsed("id", parse_rule_id),
            .origin = in.parsed("whose", parse_rule_origin),
            .source = in.text("source"),
            .text = in.text("text"),
            .terms = {}};
  if (rule.id != RuleId::p4) rule.terms = read_terms(in);
  in.refuse_unknown();
  return rule;
}

}  // namespace

const Rule* Edition::rule(RuleId id) const {
  const auto found = std::ranges::find(rules, id, &Rule::id);
  return found == rules.end() ? nullptr : &*found;
}

std::optional<Time> london_time(TomlTable& in, const std::string& key) {
  const auto local = in.local_time(key, "Europe/London");
  return local ? std::optional(in.at(key, [&] { return from_london(*local); })) : std::nullopt;
}

Edition parse_edition(std::string_view text, const std::string& file) {
  auto top = TomlTable::parse(text, file);
  Edition edition{.name = top.text("name"),
                  .title = top.text("title"),
                  .from = london_time(top, "from"),
                  .until = london_time(top, "until"),
                  .rules = {}};
  if (edition.from && edition.until && *edition.from >= *edition.until)
    top.refuse("until", "is not after from");
  top.require("rule");
  for (auto& each : top.tables("rule")) {
    Rule rule = read_rule(each);
    if (edition.rule(rule.id) != nullptr)
      each.refuse("id", std::string(to_string(rule.id)) + " stands twice");
    edition.rules.push_back(std::move(rule));
  }
  top.refuse_unknown();
  edition.file_text = text;
  return edition;
}

namespace {

const std::vector<Edition>& shipped_editions() {
  static const std::vector<Edition> editions = [] {
    std::vector<Edition> all;
    for (const auto& [file, text] : shipped_edition_texts())
      all.push_back(parse_edition(text, std::string(file)));
    return all;
  }();
  return editions;
}

}  // namespace

const Edition* find_shipped_edition(std::string_view name) {
  const auto found = std::ranges::find(shipped_editions(), name, &Edition::name);
  return found == shipped_editions().end() ? nullptr : &*found;
}

const Edition& shipped_edition(std::string_view name) {
  if (const auto* found = find_shipped_edition(name)) return *found;
  std::string list;
  for (const auto& each : shipped_editions()) list += (list.empty() ? "" : ", ") + each.name;
  throw BadInput("'" + std::string(name.substr(0, 40)) +
                 "' is not an edition of the policy: one of " + list);
}

}  // namespace smets1kms::policy
