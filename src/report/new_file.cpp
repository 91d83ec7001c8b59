// SPDX-License-Identifier: Apache-2.0
#include "report/new_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "smets1kms/errors.hpp"

namespace smets1kms::report {

NewFile::NewFile(std::filesystem::path path) : path_(std::move(path)) {
  const int descriptor = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor < 0)
    throw BadInput(path_.string() + ": " + std::strerror(errno) +
                   (errno == EEXIST ? ": it is never overwritten; name another file" : ""));
  ::close(descriptor);
  out_.open(path_, std::ios::binary);
}

NewFile::~NewFile() {
  std::error_code error;
  if (!kept_) std::filesystem::remove(path_, error);
}

void NewFile::keep() {
  out_.close();
  if (!out_) throw BadInput(path_.string() + ": can't be written to its end (is the disk full?)");
  kept_ = true;
}

std::filesystem::path beside(const std::filesystem::path& file, const std::string& ending) {
  return file.parent_path() / (file.stem().string() + ending);
}

}  // namespace smets1kms::report
