// SPDX-License-Identifier: Apache-2.0
/// @file
/// Inputs of commands: lists and JSON lines. A file is opened once and read once, so that a pipe
/// works; "-" is standard input.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/files.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::command_line {

/// Calls back with each line and its number, counted from 1, by the rule of base/text_reader.hpp.
/// Throws BadFile, line and column, for a control character, and FileError.
void for_each_line(const std::string& file,
                   const std::function<void(std::string_view line, std::size_t number)>& visit,
                   FileKind kind = FileKind::any);

/// An object of a JSON lines file. Members are read by name; a BadFile says where they stand.
class JsonObject {
 public:
  /// Reads an object. Throws BadFile for anything else, a member named twice, a number out of
  /// range.
  JsonObject(std::string_view text, std::string file, std::size_t line);

  [[nodiscard]] bool has(const std::string& name) const { return members_.contains(name); }
  /// True if the member is there and null.
  [[nodiscard]] bool is_null(const std::string& name) const {
    return find(name, Kind::null) != nullptr;
  }
  /// Returns the text of a string. Throws BadFile where the member is missing or something else.
  [[nodiscard]] const std::string& text(const std::string& name) const;
  /// Returns what `parse` makes of that text; its BadInput becomes a BadFile.
  template <class Parse>
  [[nodiscard]] auto text(const std::string& name, Parse&& parse) const {
    return parsed(name, [&] { return parse(text(name)); });
  }
  /// Returns a whole number from `least` to `most`. Throws BadFile.
  [[nodiscard]] std::uint64_t number(const std::string& name, std::uint64_t least = 0,
                                     std::uint64_t most = UINT64_MAX) const;
  /// Returns a string as it is, any other value as JSON; "-" where the member is missing.
  [[nodiscard]] std::string shown(const std::string& name) const;
  [[noreturn]] void refuse(const std::string& member, const std::string& why) const;

 private:
  enum class Kind : std::uint8_t { text, number, null, other };
  struct Member {
    Kind kind;
    std::string text;
  };
  template <class Work>
  auto parsed(const std::string& name, Work&& work) const try {
    return work();
  } catch (const BadFile&) {
    throw;
  } catch (const BadInput& error) {
    refuse(name, std::string("is bad: ") + error.what());
  }
  [[nodiscard]] const Member* find(const std::string& name, Kind kind) const;
  std::string text_, file_;
  std::size_t line_;
  std::map<std::string, Member> members_;
};

/// Calls back with each object of a JSON lines file; blank lines are passed over. A BadInput of
/// `visit` becomes a BadFile with the line.
void for_each_json_line(const std::string& file,
                        const std::function<void(const JsonObject& object)>& visit);

}  // namespace smets1kms::command_line
