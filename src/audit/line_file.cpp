// SPDX-License-Identifier: Apache-2.0
#include "audit/line_file.hpp"

#include <cstring>

namespace smets1kms::audit {

LineFile::LineFile(const std::filesystem::path& file)
    : name_(file.string()),
      file_(of_export([&] { return open_to_read(file, FileKind::part); })),
      buffer_(std::size_t{1} << 16) {}

bool LineFile::fill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  const auto count = of_export(
      [&] { return read_some(file_.get(), buffer_.data() + end_, buffer_.size() - end_, name_); });
  end_ += count;
  return count != 0;
}

std::string_view LineFile::peek() {
  for (;;) {
    const std::string_view held(buffer_.data() + begin_, end_ - begin_);
    if (const auto end = held.find('\n'); end != std::string_view::npos)
      return held.substr(0, end + 1);
    if (held.size() > longest)
      throw VerificationFailed(name_ + " has a line of more than " + std::to_string(longest) +
                               " bytes");
    if (fill()) continue;
    if (!held.empty()) throw VerificationFailed(name_ + " ends within a line: it was cut");
    return {};
  }
}

std::optional<std::string_view> LineFile::next() {
  const auto line = peek();
  if (line.empty()) return std::nullopt;
  begin_ += line.size();
  return line.substr(0, line.size() - 1);
}

}  // namespace smets1kms::audit
