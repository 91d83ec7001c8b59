// SPDX-License-Identifier: Apache-2.0
#include "base/files.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>

#include "support/expect.hpp"
#include "unit/scratch.hpp"

using namespace smets1kms;
using test::contains;
using test::message_of;

namespace {

unsigned mode_of(const std::filesystem::path& file) {
  struct stat status {};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("a file is read whole, and refused above its limit") {
  const test::Scratch scratch;
  const std::string content(200000, 'x');
  const auto file = scratch.write("a", content);
  CHECK(read_file(file) == content);
  CHECK(read_file(file, content.size()) == content);
  CHECK(contains(message_of<FileError>([&] { (void)read_file(file, content.size() - 1); }),
                 file.string() + ": it is longer than 199999 bytes"));
  CHECK(read_file(scratch.write("empty", "")).empty());
  const auto none = message_of<FileError>(
      [&] { (void)read_file(scratch.path("none"), 10, FileKind::any, "Give it with --x"); });
  CHECK(none == scratch.path("none").string() +
                    ": can't be read: No such file or directory. Give it with --x");
  CHECK(contains(message_of<FileError>([&] { (void)read_file(scratch.path("")); }),
                 "can't be read: Is a directory"));
}

TEST_CASE("a FIFO is read once where that is allowed, and never waited for where it is not") {
  const test::Scratch scratch;
  const auto fifo = scratch.path("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(contains(
      message_of<FileError>([&] { (void)read_file(fifo, default_limit, FileKind::regular); }),
      "not a regular file"));
  CHECK(contains(
      message_of<FileError>([&] { (void)open_to_read(scratch.path(""), FileKind::regular); }),
      "not a regular file"));
  std::thread writer([&] { std::ofstream(fifo) << "once"; });
  CHECK(read_file(fifo) == "once");
  writer.join();
}

TEST_CASE("what is made is this user's alone, whatever the umask, and nothing is overwritten") {
  const test::Scratch scratch;
  const auto before = ::umask(0);
  { const auto made = create_file(scratch.path("new")); }
  { const auto made = open_to_append(scratch.path("log")); }
  make_directory(scratch.path("a") / "b" / "c");
  write_new_file(scratch.path("whole"), "content");
  ::umask(before);
  for (const char* file : {"new", "log", "whole"}) CHECK(mode_of(scratch.path(file)) == 0600);
  for (const char* directory : {"a", "a/b", "a/b/c"})
    CHECK(mode_of(scratch.path(directory)) == 0700);
  make_directory(scratch.path("a"));

  const auto refusal =
      message_of<FileError>([&] { write_new_file(scratch.path("whole"), "other"); });
  CHECK(contains(refusal, "File exists"));
  CHECK(contains(refusal, "never overwritten; name another file"));
  CHECK(read_file(scratch.path("whole")) == "content");
  CHECK_THROWS_AS((void)create_file(scratch.path("none") / "x"), FileError);
  CHECK_THROWS_AS(make_directory(scratch.path("whole") / "x"), FileError);
}

TEST_CASE("what is appended stands behind what is there") {
  const test::Scratch scratch;
  const auto file = scratch.path("log");
  for (const char* text : {"one\n", "two\n"}) {
    const auto out = open_to_append(file);
    write_all(out.get(), text, file);
    sync_file(out.get(), file);
  }
  sync_directory(scratch.path(""));
  CHECK(read_file(file) == "one\ntwo\n");
  CHECK_THROWS_AS((void)open_to_append(scratch.path("")), FileError);
  const auto full = open_to_append("/dev/full");
  try {
    write_all(full.get(), "x", "/dev/full");
    FAIL("a full disk was written to");
  } catch (const FileError& error) {
    CHECK(error.code() == ENOSPC);
  }
}

TEST_CASE("half of a new file is none") {
  const test::Scratch scratch;
  { NewFile(scratch.path("half")).out() << "half"; }
  CHECK_FALSE(std::filesystem::exists(scratch.path("half")));
  NewFile whole(scratch.path("whole"));
  whole.out() << "whole";
  whole.keep();
  CHECK(read_file(scratch.path("whole")) == "whole");
}

TEST_CASE("a temporary file has no name, and can be read back") {
  const auto file = temporary_file();
  REQUIRE(std::fputs("text", file.get()) >= 0);
  std::rewind(file.get());
  std::array<char, 5> back{};
  REQUIRE(std::fread(back.data(), 1, 4, file.get()) == 4);
  CHECK(std::string(back.data()) == "text");
}
