// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "smets1kms/key_manager.hpp"

/// How the command speaks: results to standard output (a table, or JSON), progress and remarks to
/// standard error.
namespace smets1kms::cli {

using Json = nlohmann::ordered_json;

/// One result in two forms: rows for people, the same as JSON for scripts.
class Table {
 public:
  explicit Table(std::vector<std::string> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  void print() const;

 private:
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// A bar that is drawn anew on a terminal, a plain line every few seconds elsewhere; nothing for
/// what takes less than a second.
class ProgressLine {
 public:
  ~ProgressLine();
  void show(const Progress& progress);

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now(), last_ = begin_;
  bool drawn_ = false;
  std::string what_;
};

/// Says on standard error.
void remark(const std::string& text);
/// What an operation's failure says.
[[nodiscard]] std::string what_failed(const std::exception_ptr& failure);
/// Asks for the PIN on the terminal.
[[nodiscard]] Bytes ask_pin(const std::string& what);
/// Standard error as the library's log, a ProgressLine, the terminal for the PIN.
[[nodiscard]] Callbacks callbacks(ProgressLine& line);

[[nodiscard]] Json to_json(const Device& device);
/// "token", "sealed", "awaits-officer" (wrapped under the enrolment key); "-": nowhere.
[[nodiscard]] std::string_view place_of(const Key& key);
[[nodiscard]] Json to_json(const Key& key);
[[nodiscard]] Json to_json(const KeyTransfer& transfer);

}  // namespace smets1kms::cli
