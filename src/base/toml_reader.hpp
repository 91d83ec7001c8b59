// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "smets1kms/errors.hpp"

namespace smets1kms {

/// Table of a TOML file that knows which of its keys were asked for. Each function throws BadFile
/// with line and column for a key that is missing and a value of another type or range; messages
/// name the key with its path ("token.uri"). toml++ stands in toml_reader.cpp alone: it is slow to
/// compile.
class TomlTable {
 public:
  /// Parses a text whose form is `version = 1`. `file` is the name to show.
  [[nodiscard]] static TomlTable parse(std::string_view text, const std::string& file);
  /// Does the same with a file; throws FileError, with `hint` behind it, if it can't be read.
  [[nodiscard]] static TomlTable load(const std::filesystem::path& file, const std::string& hint);

  [[noreturn]] void refuse(const std::string& key, const std::string& what) const;
  [[noreturn]] void refuse_table(const std::string& what) const;
  /// Refuses the first key that nobody asked for.
  void refuse_unknown() const;

  /// Refuses the table if the key is missing.
  void require(const std::string& key) { (void)need(key); }
  [[nodiscard]] bool has(const std::string& key) { return find(key) != nullptr; }
  [[nodiscard]] std::vector<std::string> keys() const;

  /// Returns a string that is not empty.
  [[nodiscard]] std::string text(const std::string& key);
  [[nodiscard]] std::optional<std::string> optional_text(const std::string& key);
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t least, std::int64_t most,
                                     const char* type = "an integer");
  [[nodiscard]] std::int64_t integer_or(std::int64_t otherwise, const std::string& key,
                                        std::int64_t least, std::int64_t most) {
    return has(key) ? integer(key, least, most) : otherwise;
  }
  [[nodiscard]] bool flag(const std::string& key);
  /// Returns an array of strings; empty where there is none.
  [[nodiscard]] std::vector<std::string> texts(const std::string& key) {
    return has(key) ? elements(key, 0) : std::vector<std::string>();
  }
  /// Returns a date and time without an offset, in whole seconds; nullopt where there is none.
  /// `zone` is where it is meant to be local, to show.
  [[nodiscard]] std::optional<std::chrono::local_seconds> local_time(const std::string& key,
                                                                     const std::string& zone);
  /// Returns the value as the file writes it, of a string its characters.
  [[nodiscard]] std::string as_written(const std::string& key);

  /// Returns the table [key]; an empty one where there is none.
  [[nodiscard]] TomlTable table(const std::string& key);
  /// Returns the tables [[key]]; their keys have the path `path`. None where there is none.
  [[nodiscard]] std::vector<TomlTable> tables(const std::string& key, const std::string& path = "");

  static constexpr std::size_t whole = static_cast<std::size_t>(-1);
  /// Returns what `work` returns; its BadInput gains the place of that key, or of that element of
  /// its array.
  template <class Work>
  auto at(const std::string& key, Work&& work, std::size_t element = whole) const {
    try {
      return work();
    } catch (const BadFile&) {
      throw;
    } catch (const BadInput& error) {
      refuse_at(key, element, std::string(": ") + error.what());
    }
  }
  /// Returns what `parse` makes of the string.
  template <class Parse>
  auto parsed(const std::string& key, Parse&& parse) {
    return at(key, [&, value = text(key)] { return parse(value); });
  }
  template <class Parse>
  auto parsed(const std::string& key, const std::string& otherwise, Parse&& parse) {
    return at(key, [&, value = has(key) ? text(key) : otherwise] { return parse(value); });
  }
  /// Does the same with each string of an array of at least so many distinct values.
  template <class Parse>
  auto list(const std::string& key, Parse&& parse, std::size_t least = 1) {
    std::vector<decltype(parse(std::string()))> all;
    for (const auto& word : elements(key, least)) {
      all.push_back(at(
          key, [&] { return parse(word); }, all.size()));
      if (std::ranges::count(all, all.back()) > 1)
        refuse_at(key, all.size() - 1, " says this twice");
    }
    return all;
  }

 private:
  struct Document;
  TomlTable(std::shared_ptr<const Document> document, const void* table, const void* place,
            std::string path);
  [[nodiscard]] const void* find(const std::string& key);
  [[nodiscard]] const void* need(const std::string& key);
  [[nodiscard]] std::vector<std::string> elements(const std::string& key, std::size_t least);
  /// Refuses the value of a key, or that element of it.
  [[noreturn]] void refuse_at(const std::string& key, std::size_t element,
                              const std::string& what) const;

  std::shared_ptr<const Document> document_;
  const void* table_;  ///< a toml::table of the document
  const void* place_;  ///< the same, or where it is missing the one that lacks it
  std::string path_;   ///< empty, or with a dot behind it
  std::set<std::string> known_;
};

}  // namespace smets1kms
