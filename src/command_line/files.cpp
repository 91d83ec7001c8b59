// SPDX-License-Identifier: Apache-2.0
#include "command_line/files.hpp"

#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace smets1kms::command_line {

JsonLinesFile::JsonLinesFile(const std::string& file, Mode mode)
    : file_(file),
      out_(file == "-"            ? Descriptor(::dup(STDOUT_FILENO))
           : mode == Mode::create ? create_file(file)
                                  : open_to_append(file)),
      is_new_(file != "-" && ::lseek(out_.get(), 0, SEEK_END) == 0) {
  if (mode == Mode::append && ::flock(out_.get(), LOCK_EX | LOCK_NB) != 0)
    throw FileError(file, "another process is writing it", 0);
}

JsonLinesFile::~JsonLinesFile() {
  if (is_new_ && !written_) ::unlink(file_.c_str());
}

void JsonLinesFile::write(const std::string& lines) {
  written_ = written_ || !lines.empty();
  write_all(out_.get(), lines, file_);
}

void JsonLinesFile::cut(std::uint64_t size) {
  if (::ftruncate(out_.get(), static_cast<off_t>(size)) != 0)
    throw FileError(file_, "can't be written", errno);
}

}  // namespace smets1kms::command_line
