// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/files.hpp"

/// Rule for all text that is read: a byte-order mark of UTF-8 is dropped, a line ends with LF or
/// CRLF, blank lines at the end count for nothing, control characters but the tab are refused.
/// Columns are bytes, from 1.
namespace smets1kms {

/// Returns the text without a byte-order mark of UTF-8.
[[nodiscard]] std::string_view without_mark(std::string_view text);
/// Returns the place of the first control character other than the tab; npos: there is none.
[[nodiscard]] std::size_t find_control(std::string_view line);

/// Returns the parts of a text between separators: one more than there are separators.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

/// Reader of a text, line by line, in the same memory however long it is. A file is opened and read
/// once, so that pipes (/dev/stdin, <(…)) work.
class TextReader {
 public:
  static constexpr std::size_t longest_line = std::size_t{1} << 20,  ///< bytes
      longest_search = std::size_t{64} << 20;                        ///< for the end of a line
  using Observer = std::function<void(std::string_view bytes)>;

  /// Opens a file; throws FileError, with `hint` behind it. `observer` sees the bytes as they are.
  explicit TextReader(const std::filesystem::path& file, const std::string& hint = {},
                      Observer observer = {}, FileKind kind = FileKind::any);
  /// Reads a text in memory; `name` is the name to show.
  [[nodiscard]] static TextReader of_text(std::string name, std::string content);

  /// Returns the next line without its end, valid until the next call; nullopt behind the last.
  /// Throws BadFile for a control character and a line that is too long; the call after it returns
  /// the line behind that one (nullopt behind one of more than 64 MiB: it may have no end).
  std::optional<std::string_view> next();
  /// Returns the number of the line that `next` gave last, from 1.
  [[nodiscard]] std::size_t number() const { return number_; }
  /// True if the line that `next` gave last had an end: a file that was cut may end without one.
  [[nodiscard]] bool has_end() const { return has_end_; }
  /// Throws BadFile with a place in the line that `next` gave last.
  [[noreturn]] void refuse(std::size_t column, const std::string& what) const;

 private:
  TextReader() = default;
  bool take_line();
  bool fill();

  std::string name_;
  Descriptor descriptor_;
  Observer observer_;
  std::string buffer_, line_;
  std::size_t begin_ = 0, number_ = 0, blank_ = 0;
  bool at_end_ = false, is_held_ = false, has_end_ = false, is_first_ = true;
};

/// Returns the text of a file by the rule above, each line with its LF. Throws as TextReader and
/// read_file do.
[[nodiscard]] std::string read_text(const std::filesystem::path& file, const std::string& hint = {},
                                    std::size_t limit = default_limit);

}  // namespace smets1kms
