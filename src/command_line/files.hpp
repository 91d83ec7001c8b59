// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "base/files.hpp"
#include "command_line/command.hpp"

namespace smets1kms::command_line {

/// Lines of JSON in a file, mode 0600, or on standard output ("-"). A file that was made here and
/// got no line is removed again: it would be in the way of the next try.
class JsonLinesFile {
 public:
  enum class Mode : std::uint8_t {
    create,  ///< a file that is there is refused
    append,  ///< an existing file is continued; another process that writes it is refused
  };
  /// Opens a file. Throws FileError.
  explicit JsonLinesFile(const std::string& file, Mode mode = Mode::create);
  ~JsonLinesFile();
  JsonLinesFile(const JsonLinesFile&) = delete;
  /// Writes lines at once. Throws FileError.
  void write(const std::string& lines);
  /// Cuts the file behind so many bytes, which are its complete lines.
  void cut(std::uint64_t size);
  /// True if the file held nothing before.
  [[nodiscard]] bool is_new() const { return is_new_; }

 private:
  std::string file_;
  Descriptor out_;
  bool is_new_, written_ = false;
};

}  // namespace smets1kms::command_line
