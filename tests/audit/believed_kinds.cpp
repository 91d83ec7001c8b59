// SPDX-License-Identifier: Apache-2.0
#include "audit/believed_kinds.hpp"

#include <algorithm>
#include <sstream>

#include "audit/support.hpp"

namespace test {
namespace {

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> words;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, by);)
    if (!word.empty()) words.push_back(word);
  return words;
}

bool fits(const std::string& alternatives, const std::string& word) {
  return std::ranges::any_of(split(alternatives, '|'), [&](const std::string& each) {
    return each.ends_with('*') ? word.starts_with(each.substr(0, each.size() - 1)) : each == word;
  });
}

}  // namespace

BelievedKinds::BelievedKinds(const std::string& file) {
  std::istringstream in(read_file(file));
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("# ")) {
      reasons_.push_back(line.substr(2));
    } else if (!line.empty()) {
      patterns_.push_back({.line = line, .words = split(line, ' ')});
      if (patterns_.back().words.size() != 5 || reasons_.empty())
        throw std::runtime_error(file + " has no reason or not five words in: " + line);
    }
  }
}

bool BelievedKinds::contains(const std::string& kind) {
  const auto words = split(kind, ' ');
  bool found = false;
  for (auto& pattern : patterns_)
    if (std::ranges::equal(pattern.words, words, fits)) found = pattern.is_used = true;
  return found;
}

std::vector<std::string> BelievedKinds::unused() const {
  std::vector<std::string> lines;
  for (const auto& pattern : patterns_)
    if (!pattern.is_used) lines.push_back(pattern.line);
  return lines;
}

}  // namespace test
