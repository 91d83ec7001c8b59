// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "audit/verdict.hpp"
#include "base/files.hpp"

namespace smets1kms::audit {

/// Returns what `read` returns. Throws VerificationFailed for a file that can't be read.
template <class Read>
auto of_export(Read&& read) {
  try {
    return read();
  } catch (const FileError& error) {
    throw VerificationFailed(error.what());
  }
}

/// Reader of a file line by line, through one buffer however long the file.
class LineFile {
 public:
  static constexpr std::size_t longest = 8192;  ///< bytes of a line
  /// Opens a file. Throws VerificationFailed where it can't be read.
  explicit LineFile(const std::filesystem::path& file);
  /// Returns the next line without its newline, valid until the next call. Throws
  /// VerificationFailed for a line that is too long or has no end.
  std::optional<std::string_view> next();
  /// Returns the next line with its newline and leaves it there; empty at the end.
  std::string_view peek();

 private:
  bool fill();
  std::string name_;
  Descriptor file_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace smets1kms::audit
