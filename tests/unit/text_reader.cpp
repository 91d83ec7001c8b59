// SPDX-License-Identifier: Apache-2.0
#include "base/text_reader.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <thread>
#include <vector>

#include "support/expect.hpp"
#include "unit/scratch.hpp"

using namespace smets1kms;
using test::contains;
using test::message_of;

namespace {

using Lines = std::vector<std::string>;

Lines lines_of(TextReader reader) {
  Lines lines;
  while (const auto line = reader.next()) {
    lines.emplace_back(*line);
    CHECK(reader.number() == lines.size());
  }
  return lines;
}

const std::string mark = "\xEF\xBB\xBF";

}  // namespace

TEST_CASE("a text's lines, however its editor ends them") {
  const test::Scratch scratch;
  const std::pair<std::string, Lines> texts[] = {
      {"", {}},
      {"\n\r\n \t\n", {}},
      {mark, {}},
      {"a", {"a"}},
      {"a\nb\n", {"a", "b"}},
      {"a\r\nb", {"a", "b"}},
      {mark + "a\r\nb\r\n", {"a", "b"}},
      {"a\n\n\r\n", {"a"}},
      {"\n\na\n  \nb\n\n", {"", "", "a", "", "b"}},
      {"a\r", {"a"}},
      {"a" + mark + "\n", {"a" + mark}},
      {"\ttab \xC3\xA9\n", {"\ttab \xC3\xA9"}},
  };
  for (const auto& [text, lines] : texts) {
    CAPTURE(text);
    CHECK(lines_of(TextReader::of_text("t", text)) == lines);
    CHECK(lines_of(TextReader(scratch.write("t", text))) == lines);
    std::string whole;
    for (const auto& line : lines) whole += line + "\n";
    CHECK(read_text(scratch.path("t")) == whole);
  }
}

TEST_CASE("control characters are refused with line and column, and the next line is read") {
  const std::pair<std::string, std::string> texts[] = {
      {std::string("ok\na\0b\nok", 9), "t:2:2: a NUL character"},
      {std::string("\xFF\xFE"
                   "a\0",
                   4),
       "t:1:4: a NUL character: is it UTF-16?"},
      {"ok\n\x1B[31m\n", "t:2:1: a control character (0x1B)"},
      {"\n\na\x7F", "t:3:2: a control character (0x7F)"},
      {"a\rb\n", "t:1:2: a carriage return within a line"},
      {"\xEF\xBB\xBF\x07", "t:1:1: a control character (0x07)"},
  };
  for (const auto& [text, says] : texts) {
    CAPTURE(text);
    CHECK(message_of<BadFile>([&, &content = text] {
            (void)lines_of(TextReader::of_text("t", content));
          }).starts_with(says));
  }
  auto reader = TextReader::of_text("t", "\x01\nb\n");
  CHECK_THROWS_AS((void)reader.next(), BadFile);
  CHECK(reader.next() == "b");
  CHECK(reader.number() == 2);
  CHECK(message_of<BadFile>([&] { reader.refuse(7, "no"); }) == "t:2:7: no");
}

TEST_CASE("lines longer than a block are read, and too long ones refused") {
  const test::Scratch scratch;
  const std::string most(TextReader::longest_line, 'x');
  const auto file = scratch.write("t", "a\n" + most + "\n" + most + "y\nb");
  std::string seen;
  TextReader reader(file, "", [&](std::string_view bytes) { seen += bytes; });
  CHECK(reader.next() == "a");
  CHECK(reader.next() == most);
  CHECK(reader.has_end());
  CHECK(contains(message_of<BadFile>([&] { (void)reader.next(); }),
                 ":3:1048577: a line of more than 1048576 bytes"));
  CHECK(reader.next() == "b");
  CHECK_FALSE(reader.has_end());
  CHECK_FALSE(reader.next());
  CHECK(seen == read_file(file));
}

TEST_CASE("a pipe is read once") {
  const test::Scratch scratch;
  const auto fifo = scratch.path("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  std::thread writer([&] { std::ofstream(fifo) << "a\r\nb\n"; });
  CHECK(lines_of(TextReader(fifo)) == Lines{"a", "b"});
  writer.join();
  CHECK(contains(message_of<FileError>([] { (void)TextReader("/nowhere", "It is a list"); }),
                 "/nowhere: can't be read: No such file or directory. It is a list"));
}
