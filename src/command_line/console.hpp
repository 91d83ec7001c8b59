// SPDX-License-Identifier: Apache-2.0
/// @file
/// How a command speaks: results to standard output, everything else to standard error.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace smets1kms::command_line {

/// Standard error: lines that begin with the program's name, and under them, on a terminal, a bar
/// of the progress. Safe to use from many threads. Texts may hold any character: see `printable`.
class Console {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  /// Makes a console. `terminal`: a bar may be drawn anew; without one a line is written every five
  /// seconds.
  Console(std::ostream& err, std::string program, bool terminal,
          Clock clock = std::chrono::steady_clock::now);
  ~Console();
  Console(const Console&) = delete;
  /// `quiet` leaves out notes and the progress, `verbose` adds details.
  void set(bool quiet, bool verbose);
  void warn(std::string_view text);
  void note(std::string_view text);
  void detail(std::string_view text);
  /// Shows how far something is; nothing in its first second. `total` 0: not known.
  void progress(std::string_view what, std::uint64_t done, std::uint64_t total);
  /// Writes a line as it is, without the program's name.
  void line(std::string_view text);

 private:
  void write(std::string_view text, bool wanted);
  void clear();
  std::ostream& err_;
  std::string program_;
  bool terminal_, quiet_ = false, verbose_ = false, drawn_ = false;
  Clock clock_;
  std::mutex mutex_;
  std::string what_;
  std::chrono::steady_clock::time_point begin_, last_;
};

/// Failures of many devices, written as one line for each reason: how many, the first devices, the
/// text. `finish` and the destructor write the lines.
class Grouped {
 public:
  explicit Grouped(Console& console) : console_(console) {}
  ~Grouped() { finish(); }
  Grouped(const Grouped&) = delete;
  /// Adds a failure. `reason`: groups the lines; empty: those of the same text. `id` is looked for
  /// in the text, and may stand in it. With --verbose each failure is written at once as well.
  void add(const std::string& id, const std::string& reason, const std::string& text);
  void finish();
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  struct Group {
    std::string text, reason, alike;
    bool same_text = true;
    std::size_t count = 0;
    std::vector<std::string> first_ids;
  };
  Console& console_;
  std::map<std::string, Group> groups_;
  std::size_t count_ = 0;
};

/// Rows under headings. The widths are those of the first 200 rows, which are held back until then;
/// the others are written as they come. The destructor writes what is held back.
class Table {
 public:
  Table(std::ostream& out, std::vector<std::string> headings);
  ~Table() { finish(); }
  Table(const Table&) = delete;
  void add(std::vector<std::string> row);
  void finish();
  [[nodiscard]] bool empty() const { return rows_ == 0; }

 private:
  void write(const std::vector<std::string>& row);
  std::ostream& out_;
  std::vector<std::vector<std::string>> held_;
  std::vector<std::size_t> widths_;
  std::size_t rows_ = 0;
};

}  // namespace smets1kms::command_line
