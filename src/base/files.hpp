// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "smets1kms/errors.hpp"

/// Files as every folder reads and makes them. A file that is made here belongs to this user alone:
/// mode 0600, directories 0700, whatever the umask. Functions throw FileError and may block as the
/// file system does; they are safe to call from many threads.
namespace smets1kms {

/// Input or output that failed: "FILE: WHAT: No such file or directory. HINT".
class FileError : public BadInput {
 public:
  FileError(const std::filesystem::path& file, const std::string& what, int code,
            const std::string& hint = {});
  [[nodiscard]] int code() const { return code_; }  ///< errno's value; 0: no call failed

 private:
  int code_;
};

/// Owner of an open file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] int release() { return std::exchange(number_, -1); }

 private:
  int number_ = -1;
};

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
/// Owner of a stream of the C library.
using Stream = std::unique_ptr<std::FILE, CloseFile>;

/// Kinds of file that may be opened for reading.
enum class FileKind : std::uint8_t {
  any,      ///< pipes and devices too, however long their writer takes
  prompt,   ///< the same, but a writer that is silent for 10 seconds is given up
  regular,  ///< regular files alone: a FIFO is refused without waiting for a writer
  part,     ///< a part of a directory: regular, and no symbolic link
};
constexpr std::size_t default_limit = std::size_t{64}
                                      << 20;  ///< bytes of a file that is read whole

[[nodiscard]] Descriptor open_to_read(const std::filesystem::path& file,
                                      FileKind kind = FileKind::any, const std::string& hint = {});
/// Reads up to `size` bytes, fewer only at the end. `file` is the name to show.
std::size_t read_some(int descriptor, char* bytes, std::size_t size,
                      const std::filesystem::path& file);
/// Returns all bytes of a file; refuses one of more than `limit`. It is opened and read once.
[[nodiscard]] std::string read_file(const std::filesystem::path& file,
                                    std::size_t limit = default_limit,
                                    FileKind kind = FileKind::any, const std::string& hint = {});
/// Returns `count` bytes of a regular file from `offset` on; refuses one that is shorter.
[[nodiscard]] std::string read_at(const std::filesystem::path& file, std::uint64_t offset,
                                  std::size_t count);

/// Makes a new file. Throws FileError that says that none is overwritten where one is there.
[[nodiscard]] Descriptor create_file(const std::filesystem::path& file);
/// Opens a file for writing behind its end, and makes it where there is none.
[[nodiscard]] Descriptor open_to_append(const std::filesystem::path& file);
/// Makes a new file, for text; one that is there is refused.
[[nodiscard]] std::ofstream create_text_file(const std::filesystem::path& file);
/// Makes a directory, and those above it; false if it is there already.
bool make_directory(const std::filesystem::path& directory);
/// Wraps a descriptor into a stream; `mode` as for fdopen.
[[nodiscard]] Stream to_stream(Descriptor descriptor, const char* mode);
/// Makes a file for writing and reading that has no name, in the directory that TMPDIR names.
[[nodiscard]] Stream temporary_file();

/// Writes all of `bytes`. `file` is the name to show.
void write_all(int descriptor, std::string_view bytes, const std::filesystem::path& file);
/// Waits until all that was written is on the disk.
void sync_file(int descriptor, const std::filesystem::path& file);
/// Does the same for a directory's entries, as far as its file system can.
void sync_directory(const std::filesystem::path& directory);

/// A new file, which is removed again unless `keep` was called, so that no half of one stays.
class NewFile {
 public:
  explicit NewFile(std::filesystem::path path);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  [[nodiscard]] std::ostream& out() { return out_; }
  /// Brings everything to the disk and closes the file, which stays.
  void keep();

 private:
  std::filesystem::path path_;
  std::ofstream out_;
  bool kept_ = false;
};

/// Makes a new file of this content, complete on the disk or not there.
void write_new_file(const std::filesystem::path& file, std::string_view content);

}  // namespace smets1kms
