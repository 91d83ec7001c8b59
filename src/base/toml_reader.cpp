// SPDX-License-Identifier: Apache-2.0
#include "base/toml_reader.hpp"

#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <sstream>

#include "base/text_reader.hpp"

namespace smets1kms {
namespace {

const toml::table& table_of(const void* table) { return *static_cast<const toml::table*>(table); }
const toml::node& node_of(const void* node) { return *static_cast<const toml::node*>(node); }

[[noreturn]] void refuse_place(const std::string& file, const toml::source_region& where,
                               const std::string& what) {
  // A table that is not in the file has no place: the first line stands for it.
  throw BadFile(file, std::max(where.begin.line, 1u), std::max(where.begin.column, 1u), what);
}

}  // namespace

struct TomlTable::Document {
  toml::table top, none;
  std::string file;
};

TomlTable::TomlTable(std::shared_ptr<const Document> document, const void* table, const void* place,
                     std::string path)
    : document_(std::move(document)), table_(table), place_(place), path_(std::move(path)) {}

TomlTable TomlTable::parse(std::string_view text, const std::string& file) {
  try {
    const std::shared_ptr<const Document> document(
        new Document{.top = toml::parse(text, file), .none = {}, .file = file});
    TomlTable top(document, &document->top, &document->top, "");
    if (!top.has("version"))
      top.refuse_table("version = 1 is missing: the first line says which form this file has");
    if (node_of(top.find("version")).value<std::int64_t>() != 1)
      top.refuse_at("version", whole, " is not 1, the form of this file that is known here");
    return top;
  } catch (const toml::parse_error& error) {
    refuse_place(file, error.source(), std::string(error.description()));
  }
}

TomlTable TomlTable::load(const std::filesystem::path& file, const std::string& hint) {
  return parse(read_text(file, hint), file.string());
}

void TomlTable::refuse_at(const std::string& key, std::size_t element,
                          const std::string& what) const {
  const toml::node* node = table_of(table_).get(key);
  if (node != nullptr && element != whole) node = node->as_array()->get(element);
  refuse_place(document_->file, node == nullptr ? table_of(place_).source() : node->source(),
               path_ + key + what);
}

void TomlTable::refuse(const std::string& key, const std::string& what) const {
  refuse_at(key, whole, ": " + what);
}

void TomlTable::refuse_table(const std::string& what) const {
  refuse_place(document_->file, table_of(place_).source(), what);
}

void TomlTable::refuse_unknown() const {
  std::string list;
  for (const auto& each : known_) list += (list.empty() ? "" : ", ") + each;
  for (const auto& [key, node] : table_of(table_))
    if (const std::string name(key.str()); !known_.contains(name))
      refuse_place(document_->file, key.source(),
                   path_ + name + " is not a key of this file; here: " + list);
}

std::vector<std::string> TomlTable::keys() const {
  std::vector<std::string> all;
  for (const auto& [key, node] : table_of(table_)) all.emplace_back(key.str());
  return all;
}

const void* TomlTable::find(const std::string& key) {
  known_.insert(key);
  return table_of(table_).get(key);
}

const void* TomlTable::need(const std::string& key) {
  if (const void* node = find(key)) return node;
  refuse_at(key, whole, " is missing");
}

std::optional<std::string> TomlTable::optional_text(const std::string& key) {
  if (!has(key)) return std::nullopt;
  if (const auto* value = node_of(find(key)).as_string()) return value->get();
  refuse_at(key, whole, " is not a string");
}

std::string TomlTable::text(const std::string& key) {
  (void)need(key);
  auto value = *optional_text(key);
  if (value.empty()) refuse_at(key, whole, " is empty");
  return value;
}

std::int64_t TomlTable::integer(const std::string& key, std::int64_t least, std::int64_t most,
                                const char* type) {
  const auto* value = node_of(need(key)).as_integer();
  if (value == nullptr) refuse_at(key, whole, std::string(" is not ") + type);
  if (value->get() < least || value->get() > most)
    refuse_at(key, whole,
              " is " + std::to_string(value->get()) + ": from " + std::to_string(least) + " to " +
                  std::to_string(most));
  return value->get();
}

bool TomlTable::flag(const std::string& key) {
  if (const auto* value = node_of(need(key)).as_boolean()) return value->get();
  refuse_at(key, whole, " is not true or false");
}

std::vector<std::string> TomlTable::elements(const std::string& key, std::size_t least) {
  const auto* array = node_of(need(key)).as_array();
  if (array == nullptr || (!array->empty() && !array->is_homogeneous<std::string>()))
    refuse_at(key, whole, " is not an array of strings");
  if (array->size() < least) refuse_at(key, whole, " is empty");
  std::vector<std::string> all;
  for (const auto& each : *array) all.push_back(*each.value<std::string>());
  return all;
}

std::optional<std::chrono::local_seconds> TomlTable::local_time(const std::string& key,
                                                                const std::string& zone) {
  if (!has(key)) return std::nullopt;
  const auto* value = node_of(find(key)).as_date_time();
  if (value == nullptr || value->get().offset)
    refuse_at(key, whole, " is not a local time of " + zone + ", like 2021-12-17T00:00:00");
  const auto& [date, time, offset] = value->get();
  return std::chrono::local_days(std::chrono::year(date.year) / date.month / date.day) +
         std::chrono::hours(time.hour) + std::chrono::minutes(time.minute) +
         std::chrono::seconds(time.second);
}

std::string TomlTable::as_written(const std::string& key) {
  const auto& node = node_of(need(key));
  if (const auto* words = node.as_string(); words != nullptr && !words->get().empty())
    return words->get();
  std::ostringstream out;
  node.visit([&](const auto& value) { out << value; });
  return out.str();
}

TomlTable TomlTable::table(const std::string& key) {
  const void* node = find(key);
  const auto* found = node == nullptr ? &document_->none : node_of(node).as_table();
  if (found == nullptr) refuse_at(key, whole, " is not a table");
  return {document_, found, node == nullptr ? place_ : found, path_ + key + "."};
}

std::vector<TomlTable> TomlTable::tables(const std::string& key, const std::string& path) {
  std::vector<TomlTable> all;
  if (!has(key)) return all;
  const auto* array = node_of(find(key)).as_array();
  if (array == nullptr || !array->is_homogeneous(toml::node_type::table))
    refuse_at(key, whole, " is not an array of tables: begin each with [[" + key + "]]");
  for (const toml::node& each : *array)
    all.push_back(
        TomlTable(document_, each.as_table(), each.as_table(), path.empty() ? "" : path + "."));
  return all;
}

}  // namespace smets1kms
