// SPDX-License-Identifier: Apache-2.0
#include "base/text_reader.hpp"

#include <algorithm>

#include "smets1kms/types.hpp"

namespace smets1kms {
namespace {

constexpr std::size_t block = std::size_t{64} << 10;

std::string describe(char control) {
  if (control == '\0') return "a NUL character: is it UTF-16? Save the file as UTF-8";
  if (control == '\r') return "a carriage return within a line: end lines with LF or CRLF";
  const auto byte = static_cast<std::uint8_t>(control);
  return "a control character (0x" + to_hex(ByteView(&byte, 1)) + "): take it out";
}

}  // namespace

std::string_view without_mark(std::string_view text) {
  return text.starts_with("\xEF\xBB\xBF") ? text.substr(3) : text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t start = 0; start <= text.size(); start += parts.back().size() + 1)
    parts.push_back(text.substr(start, text.find(separator, start) - start));
  return parts;
}

std::size_t find_control(std::string_view line) {
  const auto found = std::ranges::find_if(
      line, [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7F; });
  return found == line.end() ? std::string_view::npos
                             : static_cast<std::size_t>(found - line.begin());
}

TextReader::TextReader(const std::filesystem::path& file, const std::string& hint,
                       Observer observer, FileKind kind)
    : name_(file.string()),
      descriptor_(open_to_read(file, kind, hint)),
      observer_(std::move(observer)) {}

TextReader TextReader::of_text(std::string name, std::string content) {
  TextReader reader;
  reader.name_ = std::move(name);
  reader.buffer_ = std::move(content);
  reader.at_end_ = true;
  return reader;
}

void TextReader::refuse(std::size_t column, const std::string& what) const {
  throw BadFile(name_, std::max<std::size_t>(number_, 1), column, what);
}

bool TextReader::fill() {
  if (at_end_) return false;
  buffer_.erase(0, std::exchange(begin_, 0));
  const auto size = buffer_.size();
  buffer_.resize(size + block);
  const auto count = read_some(descriptor_.get(), buffer_.data() + size, block, name_);
  buffer_.resize(size + count);
  at_end_ = count < block;
  if (observer_) observer_(std::string_view(buffer_).substr(size));
  return count != 0;
}

/// Reads the next line, or the beginning of one that is too long; false behind the last.
bool TextReader::take_line() {
  line_.clear();
  std::size_t length = 0;
  for (has_end_ = false; !has_end_;) {
    const auto end = buffer_.find('\n', begin_);
    has_end_ = end != std::string::npos;
    const auto part = std::string_view(buffer_).substr(begin_, has_end_ ? end - begin_ : end);
    line_.append(part.substr(0, longest_line + 1 - std::min(line_.size(), longest_line + 1)));
    begin_ += part.size() + (has_end_ ? 1 : 0);
    length += part.size();
    if (!has_end_ && length > longest_search) at_end_ = true;  // nor is it looked for again
    if (!has_end_ && !fill()) break;
  }
  if (std::exchange(is_first_, false)) line_.erase(0, line_.size() - without_mark(line_).size());
  const bool is_line = has_end_ || !line_.empty();
  if (line_.ends_with('\r')) line_.pop_back();
  return is_line;
}

std::optional<std::string_view> TextReader::next() {
  while (!is_held_ && take_line()) {
    is_held_ = line_.find_first_not_of(" \t") != std::string::npos;
    if (!is_held_) ++blank_;
  }
  if (!is_held_) return std::nullopt;
  ++number_;
  if (blank_ != 0) {
    --blank_;
    return "";
  }
  is_held_ = false;
  if (line_.size() > longest_line)
    refuse(longest_line + 1, "a line of more than " + std::to_string(longest_line) + " bytes");
  if (const auto at = find_control(line_); at != std::string_view::npos)
    refuse(at + 1, describe(line_[at]));
  return line_;
}

std::string read_text(const std::filesystem::path& file, const std::string& hint,
                      std::size_t limit) {
  TextReader reader(file, hint);
  std::string text;
  while (const auto line = reader.next()) {
    (text += *line) += '\n';
    if (text.size() > limit)
      throw FileError(file, "it is longer than " + std::to_string(limit) + " bytes", 0, hint);
  }
  return text;
}

}  // namespace smets1kms
