// SPDX-License-Identifier: Apache-2.0
#include "base/files.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace smets1kms {
namespace {

constexpr mode_t file_mode = 0600, directory_mode = 0700;

Descriptor open_file(const std::filesystem::path& file, int flags, const char* what,
                     const std::string& hint) {
  Descriptor descriptor(::open(file.c_str(), flags | O_CLOEXEC | O_NOCTTY, file_mode));
  if (descriptor.get() < 0)
    throw FileError(file, what, errno, (flags & O_EXCL) == 0 || errno == EEXIST ? hint : "");
  return descriptor;
}

/// Waits until there is something to read, or its writer is gone.
void wait_for(int descriptor, const std::filesystem::path& file) {
  constexpr int patience = 10'000;  // milliseconds
  pollfd waiting{.fd = descriptor, .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, patience) == 0)
    throw FileError(file, "can't be read: nothing was written to it for 10 seconds", 0);
}

}  // namespace

FileError::FileError(const std::filesystem::path& file, const std::string& what, int code,
                     const std::string& hint)
    : BadInput(file.string() + ": " + what + (code == 0 ? "" : ": ") +
               (code == 0 ? "" : std::strerror(code)) + (hint.empty() ? "" : ". " + hint)),
      code_(code) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

Descriptor open_to_read(const std::filesystem::path& file, FileKind kind, const std::string& hint) {
  const bool waits = kind == FileKind::any, is_part = kind == FileKind::part;
  auto opened = open_file(file, O_RDONLY | (waits ? 0 : O_NONBLOCK) | (is_part ? O_NOFOLLOW : 0),
                          "can't be read", hint);
  struct stat status {};
  const bool is_regular = ::fstat(opened.get(), &status) == 0 && S_ISREG(status.st_mode);
  if (kind == FileKind::prompt && !is_regular) wait_for(opened.get(), file);
  if (!waits && kind != FileKind::prompt && !is_regular)
    throw FileError(file, "can't be read: it is not a regular file", 0, hint);
  return opened;
}

std::size_t read_some(int descriptor, char* bytes, std::size_t size,
                      const std::filesystem::path& file) {
  std::size_t done = 0;
  while (done < size) {
    const auto count = ::read(descriptor, bytes + done, size - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      wait_for(descriptor, file);
      continue;
    }
    if (count < 0) throw FileError(file, "can't be read", errno);
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

std::string read_file(const std::filesystem::path& file, std::size_t limit, FileKind kind,
                      const std::string& hint) {
  const auto opened = open_to_read(file, kind, hint);
  std::string content;
  std::array<char, 65536> block;
  while (const auto count = read_some(opened.get(), block.data(), block.size(), file)) {
    content.append(block.data(), count);
    if (content.size() > limit)
      throw FileError(file, "it is longer than " + std::to_string(limit) + " bytes", 0, hint);
  }
  return content;
}

std::string read_at(const std::filesystem::path& file, std::uint64_t offset, std::size_t count) {
  const auto opened = open_to_read(file, FileKind::part);
  struct stat status {};
  if (::fstat(opened.get(), &status) != 0 ||
      offset + count > static_cast<std::uint64_t>(status.st_size) ||
      ::lseek(opened.get(), static_cast<off_t>(offset), SEEK_SET) < 0)
    throw FileError(file, "is shorter than it has to be", 0);
  std::string bytes(count, '\0');
  bytes.resize(read_some(opened.get(), bytes.data(), count, file));
  return bytes;
}

Descriptor create_file(const std::filesystem::path& file) {
  return open_file(file, O_WRONLY | O_CREAT | O_EXCL, "can't be made",
                   "One that is there is never overwritten; name another file");
}

Descriptor open_to_append(const std::filesystem::path& file) {
  return open_file(file, O_WRONLY | O_CREAT | O_APPEND, "can't be written", "");
}

std::ofstream create_text_file(const std::filesystem::path& file) {
  (void)create_file(file);
  return std::ofstream(file, std::ios::binary);
}

bool make_directory(const std::filesystem::path& directory) {
  if (std::filesystem::is_directory(directory)) return false;
  if (directory.has_parent_path() && directory.parent_path() != directory)
    (void)make_directory(directory.parent_path());
  if (::mkdir(directory.c_str(), directory_mode) != 0 && errno != EEXIST)
    throw FileError(directory, "can't be made", errno);
  return true;
}

Stream to_stream(Descriptor descriptor, const char* mode) {
  Stream stream(::fdopen(descriptor.get(), mode));
  if (!stream) throw FileError("a stream", "can't be made", errno);
  (void)descriptor.release();
  return stream;
}

Stream temporary_file() {
  const auto directory = std::filesystem::temp_directory_path();
  std::string name = (directory / "smets1-XXXXXX").string();
  Descriptor descriptor(::mkostemp(name.data(), O_CLOEXEC));
  if (descriptor.get() < 0) throw FileError(directory, "no temporary file can be made", errno);
  ::unlink(name.c_str());
  return to_stream(std::move(descriptor), "w+b");
}

void write_all(int descriptor, std::string_view bytes, const std::filesystem::path& file) {
  while (!bytes.empty()) {
    const auto count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw FileError(file, "can't be written", count < 0 ? errno : ENOSPC);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void sync_file(int descriptor, const std::filesystem::path& file) {
  if (::fsync(descriptor) != 0) throw FileError(file, "can't be written", errno);
}

void sync_directory(const std::filesystem::path& directory) {
  const Descriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() >= 0) (void)::fsync(opened.get());
}

NewFile::NewFile(std::filesystem::path path)
    : path_(std::move(path)), out_(create_text_file(path_)) {}

NewFile::~NewFile() {
  std::error_code ignored;
  if (!kept_) std::filesystem::remove(path_, ignored);
}

void NewFile::keep() {
  errno = 0;
  out_.close();
  if (!out_) throw FileError(path_, "can't be written to its end", errno);
  sync_file(open_to_append(path_).get(), path_);
  kept_ = true;
}

void write_new_file(const std::filesystem::path& file, std::string_view content) {
  NewFile made(file);
  made.out() << content;
  made.keep();
}

}  // namespace smets1kms
