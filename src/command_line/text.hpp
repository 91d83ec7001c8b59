// SPDX-License-Identifier: Apache-2.0
/// @file
/// Text for people: what leaves for a terminal is UTF-8 and steers nothing there.
#pragma once
#include <cstddef>
#include <streambuf>
#include <string>
#include <string_view>
#include <vector>

namespace smets1kms::command_line {

/// Returns `text` with every control character and every byte that is not UTF-8 written as "\x1B"
/// or "\u009B": none reaches a terminal. Characters that change the direction of writing count as
/// control characters. Newlines and tabs stay where `one_line` is false.
[[nodiscard]] std::string printable(std::string_view text, bool one_line = true);

/// Counts the columns that valid UTF-8 takes, at one for each character.
[[nodiscard]] std::size_t columns_of(std::string_view text);

/// Returns `count` with its noun: "1 device", "3 devices".
[[nodiscard]] std::string counted(std::size_t count, std::string_view noun);

/// Returns the candidate that `word` is most likely a slip of the fingers for; empty where none is
/// near. Counts inserted, left out, changed and swapped letters.
[[nodiscard]] std::string nearest(std::string_view word,
                                  const std::vector<std::string>& candidates);

/// A buffer that passes on what is written to it as `printable` returns it, newlines and tabs kept.
class PrintableBuffer : public std::streambuf {
 public:
  explicit PrintableBuffer(std::streambuf* to) : to_(to) {}

 protected:
  int_type overflow(int_type character) override;
  std::streamsize xsputn(const char* text, std::streamsize count) override;
  int sync() override { return to_->pubsync(); }

 private:
  std::streambuf* to_;
};

}  // namespace smets1kms::command_line
