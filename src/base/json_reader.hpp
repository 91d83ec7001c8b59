// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace smets1kms {

/// JSON object that stands on one line of a text. Two members of one name, at any depth, and
/// numbers out of range are refused. Each function throws BadFile with line and column.
class JsonObject {
 public:
  /// Parses a line. `file` is the name to show, `line` the line's number, from 1.
  JsonObject(std::string_view text, std::string file, std::size_t line);

  [[nodiscard]] bool has(const std::string& name) const { return members_.contains(name); }
  [[nodiscard]] bool is_null(const std::string& name) const;
  /// Returns a string member.
  [[nodiscard]] const std::string& text(const std::string& name) const;
  [[nodiscard]] std::int64_t integer(const std::string& name, std::int64_t least,
                                     std::int64_t most) const;
  [[noreturn]] void refuse(const std::string& what, std::size_t column = 1) const;

 private:
  struct Other {};  ///< a member of another type, which nobody reads
  std::string file_;
  std::size_t line_;
  std::map<std::string, std::variant<Other, std::nullptr_t, std::int64_t, std::string>> members_;
};

}  // namespace smets1kms
