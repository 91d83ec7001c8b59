// SPDX-License-Identifier: Apache-2.0
#include "audit/line_file.hpp"

#include <cerrno>
#include <cstring>

#include "audit/verdict.hpp"

namespace smets1kms::audit {

LineFile::LineFile(const std::filesystem::path& file)
    : name_(file.string()), file_(std::fopen(file.c_str(), "rbe")), buffer_(std::size_t{1} << 16) {
  if (!file_) throw VerificationFailed(name_ + " can't be read: " + std::strerror(errno));
  std::setvbuf(file_.get(), nullptr, _IONBF, 0);
}

bool LineFile::fill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  const auto count = std::fread(buffer_.data() + end_, 1, buffer_.size() - end_, file_.get());
  if (std::ferror(file_.get()) != 0) throw VerificationFailed(name_ + " can't be read to its end");
  end_ += count;
  return count != 0;
}

std::string_view LineFile::peek() {
  for (;;) {
    const auto* found =
        begin_ == end_
            ? nullptr
            : static_cast<const char*>(std::memchr(buffer_.data() + begin_, '\n', end_ - begin_));
    if (found != nullptr)
      return {buffer_.data() + begin_,
              static_cast<std::size_t>(found - buffer_.data()) - begin_ + 1};
    if (end_ - begin_ > longest)
      throw VerificationFailed(name_ + " has a line of more than " + std::to_string(longest) +
                               " bytes");
    if (fill()) continue;
    if (begin_ != end_) throw VerificationFailed(name_ + " ends within a line: it was cut");
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
