// SPDX-License-Identifier: Apache-2.0
#pragma once
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "policy/calendar.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::policy {

/// A table of an edition or a site file: says where what is wrong stands, and refuses keys that
/// nobody asked for.
class TomlSection {
 public:
  TomlSection(const toml::table& table, std::string file) : table_(table), file_(std::move(file)) {}

  [[noreturn]] void refuse(const toml::node& node, const std::string& what) const {
    refuse(node.source(), what);
  }
  [[noreturn]] void refuse(const std::string& key, const std::string& what) const {
    refuse(*table_.get(key), key + ": " + what);
  }
  [[noreturn]] void refuse_all(const std::string& what) const { refuse(table_.source(), what); }
  void refuse_unknown() const {
    std::string list;
    for (const auto& each : known_) list += (list.empty() ? "" : ", ") + each;
    for (const auto& [key, node] : table_)
      if (!known_.contains(std::string(key.str())))
        refuse(key.source(), std::string(key.str()) + " is not a key here: only " + list);
  }
  const toml::node* optional(const std::string& key) {
    known_.insert(key);
    return table_.get(key);
  }
  const toml::node& need(const std::string& key) {
    if (const auto* node = optional(key)) return *node;
    refuse(table_.source(), key + " is missing");
  }
  std::string text(const std::string& key) { return text(need(key), key); }
  /// What `parse` makes of a string; its BadInput gains the place.
  template <class Parse>
  auto parsed(const toml::node& node, const std::string& key, Parse&& parse) const {
    try {
      return parse(text(node, key));
    } catch (const BadFile&) {
      throw;
    } catch (const BadInput& error) {
      refuse(node, key + ": " + error.what());
    }
  }
  template <class Parse>
  auto parsed(const std::string& key, Parse&& parse) {
    return parsed(need(key), key, parse);
  }
  /// An array of distinct words, not empty.
  template <class Parse>
  auto list(const std::string& key, Parse&& parse) {
    const toml::node& node = need(key);
    const auto* array = node.as_array();
    if (array == nullptr || array->empty()) refuse(node, key + " is not an array of words");
    std::vector<decltype(parse(std::string()))> all;
    for (const toml::node& each : *array) {
      all.push_back(parsed(each, key, parse));
      if (std::ranges::count(all, all.back()) > 1) refuse(each, key + " says this twice");
    }
    return all;
  }
  std::optional<Time> london_time(const std::string& key) {
    const auto* node = optional(key);
    if (node == nullptr) return std::nullopt;
    const auto* given = node->as_date_time();
    if (given == nullptr || given->get().offset)
      refuse(*node, key + " is not a local time of Europe/London, like 2021-12-17T00:00:00");
    const auto& [date, time, offset] = given->get();
    const std::chrono::local_days day(std::chrono::year(date.year) / date.month / date.day);
    try {
      return from_london(day + std::chrono::hours(time.hour) + std::chrono::minutes(time.minute) +
                         std::chrono::seconds(time.second));
    } catch (const BadInput& error) {
      refuse(*node, key + ": " + error.what());
    }
  }
  /// The tables of [[key]]; empty where there is none.
  std::vector<TomlSection> tables(const std::string& key) {
    std::vector<TomlSection> all;
    const auto* node = optional(key);
    if (node == nullptr) return all;
    const auto* array = node->as_array();
    if (array == nullptr || !array->is_homogeneous(toml::node_type::table))
      refuse(*node, key + " is not an array of tables: begin each with [[" + key + "]]");
    for (const toml::node& each : *array) all.emplace_back(*each.as_table(), file_);
    return all;
  }

 private:
  [[noreturn]] void refuse(const toml::source_region& where, const std::string& what) const {
    // What is missing from the file itself has no place: its first line.
    throw BadFile(file_, std::max(where.begin.line, 1u), std::max(where.begin.column, 1u), what);
  }
  std::string text(const toml::node& node, const std::string& key) const {
    const auto* found = node.as_string();
    if (found == nullptr || found->get().empty())
      refuse(node, key + " is not a string that says something");
    return found->get();
  }

  const toml::table& table_;
  std::string file_;
  std::set<std::string> known_;
};

/// What `read` makes of the text's first table, whose form must be `version = 1`.
template <class Read>
auto read_toml(std::string_view text, const std::string& file, Read&& read) {
  try {
    const toml::table table = toml::parse(text, file);
    TomlSection top(table, file);
    const auto& version = top.need("version");
    if (version.value<std::int64_t>() != 1)
      top.refuse(version, "version is not 1, the form of this file that is known here");
    return read(top);
  } catch (const toml::parse_error& error) {
    throw BadFile(file, error.source().begin.line, error.source().begin.column,
                  std::string(error.description()));
  }
}

}  // namespace smets1kms::policy
