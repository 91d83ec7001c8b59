// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <string>
#include <vector>

namespace test {

/// The committed list of changes to a story that the verifier believes, with their reasons:
/// believed_kinds.txt. A line that begins with "# " is the reason of the patterns under it; a
/// pattern has five words (operation, phase, result, field, change), each "*" or alternatives
/// separated by '|', where "name.*" stands for every word that begins so.
class BelievedKinds {
 public:
  /// Reads the list. Throws std::runtime_error for a line that is not of it.
  explicit BelievedKinds(const std::string& file);
  /// True if a kind ("key.generate intent - salt altered") is in the list.
  [[nodiscard]] bool contains(const std::string& kind);
  /// Returns the patterns that no kind has fitted.
  [[nodiscard]] std::vector<std::string> unused() const;
  [[nodiscard]] const std::vector<std::string>& reasons() const { return reasons_; }

 private:
  struct Pattern {
    std::string line;
    std::vector<std::string> words;
    bool is_used = false;
  };
  std::vector<Pattern> patterns_;
  std::vector<std::string> reasons_;
};

}  // namespace test
