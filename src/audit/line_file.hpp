// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "audit/verdict.hpp"
#include "base/files.hpp"

namespace smets1kms::audit {

/// Returns what `read` gives; VerificationFailed for a file that can't be read.
template <class Read>
auto of_export(Read&& read) {
  try {
    return read();
  } catch (const FileError& error) {
    throw VerificationFailed(error.what());
  }
}

/// Reads a file line by line through one buffer, however long the file.
class LineFile {
 public:
  static constexpr std::size_t longest = 8192;  ///< bytes of a line
  /// Throws Failed where it can't be read.
  explicit LineFile(const std::filesystem::path& file);
  /// Without its newline; there until the next call. Throws Failed for a line that is too long or
  /// has no end.
  std::optional<std::string_view> next();
  /// The next line with its newline, without taking it; empty at the end.
  std::string_view peek();

 private:
  bool fill();
  std::string name_;
  Descriptor file_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace smets1kms::audit
