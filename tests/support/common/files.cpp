// SPDX-License-Identifier: Apache-2.0
#include "common/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

namespace support {
namespace {

InputError system_error(const std::filesystem::path& file, std::string_view act) {
  const int code = errno;
  return InputError(file.string() + ": " + std::string(act) + ": " + std::strerror(code));
}

class Descriptor {
 public:
  Descriptor(std::filesystem::path file, int flags, mode_t mode)
      : file_(std::move(file)), fd_(::open(file_.c_str(), flags | O_CLOEXEC, mode)) {
    if (fd_ < 0) throw system_error(file_, "can't be created");
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  void write_all(ByteView content) {
    while (!content.empty()) {
      const ssize_t written = ::write(fd_, content.data(), content.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw system_error(file_, "can't be written");
      content = content.subspan(static_cast<std::size_t>(written));
    }
  }

  void close() {
    if (::close(std::exchange(fd_, -1)) != 0) throw system_error(file_, "can't be closed");
  }

 private:
  std::filesystem::path file_;
  int fd_;
};

}  // namespace

ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw system_error(file, "can't be read");
  std::string content{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (in.bad()) throw system_error(file, "can't be read");
  return content;
}

std::vector<Line> read_lines(const std::filesystem::path& file) {
  std::vector<Line> lines;
  std::size_t number = 0;
  for (std::string& text : split(read_file(file), '\n')) {
    ++number;
    if (!text.empty() && text.back() == '\r') text.pop_back();
    if (!text.empty()) lines.push_back({number, std::move(text)});
  }
  return lines;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> fields;
  std::size_t from = 0;
  for (std::size_t at = text.find(separator); at != std::string_view::npos;
       at = text.find(separator, from)) {
    fields.emplace_back(text.substr(from, at - from));
    from = at + 1;
  }
  fields.emplace_back(text.substr(from));
  return fields;
}

void replace_private_file(const std::filesystem::path& file, std::string_view content) {
  std::filesystem::path temporary = file;
  temporary += ".tmp-" + std::to_string(::getpid());
  ::unlink(temporary.c_str());
  Descriptor out(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
  out.write_all(as_bytes(content));
  out.close();
  if (::rename(temporary.c_str(), file.c_str()) != 0) throw system_error(file, "can't be replaced");
}

void create_file(const std::filesystem::path& file, ByteView content, Access access) {
  Descriptor out(file, O_WRONLY | O_CREAT | O_EXCL,
                 access == Access::private_to_owner ? 0600 : 0644);
  out.write_all(content);
  out.close();
}

}  // namespace support
