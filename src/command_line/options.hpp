// SPDX-License-Identifier: Apache-2.0
/// @file
/// Options of a command, and their values as given.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "command_line/errors.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::command_line {

/// An option: "--name VALUE".
struct Option {
  enum class Kind : std::uint8_t { flag, text, number, repeated };
  const char* name;   ///< without dashes; "config,c" has a short form too
  const char* value;  ///< what its value is, for the help: "FILE"
  const char* help;
  Kind kind = Kind::text;
  const char* fallback = "";          ///< the value where none is given
  bool is_positional = false;         ///< may be given without its name
  std::uint64_t least = 0, most = 0;  ///< range of a number
};
[[nodiscard]] constexpr Option flag(const char* name, const char* help) {
  return {name, nullptr, help, Option::Kind::flag};
}
[[nodiscard]] constexpr Option text(const char* name, const char* value, const char* help,
                                    const char* fallback = "") {
  return {name, value, help, Option::Kind::text, fallback};
}
[[nodiscard]] constexpr Option number(const char* name, const char* value, const char* help,
                                      std::uint64_t least = 0, std::uint64_t most = UINT64_MAX,
                                      const char* fallback = "") {
  return {name, value, help, Option::Kind::number, fallback, false, least, most};
}
[[nodiscard]] constexpr Option repeated(const char* name, const char* value, const char* help) {
  return {name, value, help, Option::Kind::repeated};
}
[[nodiscard]] constexpr Option positional(const char* name, const char* value, const char* help) {
  return {name, value, help, Option::Kind::text, "", true};
}

using Options = std::vector<Option>;
/// Returns the options of several lists, one after the other.
[[nodiscard]] Options joined(std::initializer_list<Options> lists);

/// Values that were given for options. Every function throws Usage, which names the option, for a
/// value that can't be used.
class Values {
 public:
  Values() = default;
  explicit Values(std::map<std::string, std::vector<std::string>> given, const Options& options);
  /// True if the option was given; forgets it.
  bool take(const std::string& name) { return given_.erase(name) != 0; }
  /// Adds the values that were given in `others` and not here.
  void add(const Values& others) { given_.insert(others.given_.begin(), others.given_.end()); }
  /// True if the option was given; false for a fallback.
  [[nodiscard]] bool has(const std::string& name) const { return given_.contains(name); }
  /// Returns the text; the fallback where the option is not given.
  [[nodiscard]] std::string text(const std::string& name) const;
  /// Returns the text of an option that must be given.
  [[nodiscard]] std::string needed(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> list(const std::string& name) const;
  [[nodiscard]] std::optional<std::uint64_t> number(const std::string& name) const;
  /// Returns what `parse` makes of the text; its BadInput becomes Usage.
  template <class Parse>
  [[nodiscard]] auto needed(const std::string& name, Parse&& parse) const {
    return parsed(name, needed(name), parse);
  }
  template <class Parse>
  [[nodiscard]] auto optional(const std::string& name, Parse&& parse) const
      -> std::optional<std::invoke_result_t<Parse, const std::string&>> {
    if (const auto given = text(name); !given.empty() || has(name))
      return parsed(name, given, parse);
    return std::nullopt;
  }
  template <class Parse>
  [[nodiscard]] auto list(const std::string& name, Parse&& parse) const
      -> std::vector<std::invoke_result_t<Parse, const std::string&>> {
    std::vector<std::invoke_result_t<Parse, const std::string&>> all;
    for (const auto& each : list(name)) all.push_back(parsed(name, each, parse));
    return all;
  }
  /// Returns how many of these options were given.
  [[nodiscard]] std::size_t count(std::initializer_list<const char*> names) const;

 private:
  template <class Parse>
  static auto parsed(const std::string& name, const std::string& text, Parse&& parse) {
    try {
      return parse(text);
    } catch (const BadInput& error) {
      throw Usage("--" + name + ": " + error.what());
    }
  }
  std::map<std::string, std::vector<std::string>> given_;
  std::map<std::string, std::string> fallbacks_;
  std::map<std::string, std::string> spellings_;  ///< how usage writes them: "--key", "PATH"
};

/// Parses the words behind a command's name. No name is guessed from its beginning.
/// Throws Usage, with a suggestion for a name that is mistyped.
[[nodiscard]] Values parse(const std::vector<std::string>& words, const Options& options);
/// Prints the options as a table under a title.
void print_options(std::ostream& out, const char* title, const Options& options);

/// Reads "3d", "36h", "90m". Throws BadInput.
[[nodiscard]] std::chrono::milliseconds parse_duration(const std::string& text);
/// Reads a whole number from `least` to `most`. Throws BadInput.
[[nodiscard]] std::uint64_t parse_number(std::string_view text, std::uint64_t least = 0,
                                         std::uint64_t most = UINT64_MAX);

}  // namespace smets1kms::command_line
