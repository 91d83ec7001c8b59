// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sqlite3.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

/// Number of findings so far.
extern int findings;
void finding(const std::string& text);

[[nodiscard]] std::string hex(const void* bytes, std::size_t count);
/// SHA-256, lower-case hex.
[[nodiscard]] std::string digest_of(const std::string& bytes);

/// A registry as it stands.
class Database {
 public:
  explicit Database(const std::string& file) {
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
    handle_.reset(raw);
    if (code != SQLITE_OK) throw std::runtime_error(file + ": " + sqlite3_errstr(code));
  }
  // Rows as text; a blob comes as hex through SQL's lower(hex()), NULL as "-".
  std::vector<std::vector<std::string>> rows(const char* sql) {
    std::vector<std::vector<std::string>> all;
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(handle_.get(), sql, -1, &raw, nullptr) != SQLITE_OK)
      throw std::runtime_error(std::string(sql) + ": " + sqlite3_errmsg(handle_.get()));
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(raw, sqlite3_finalize);
    int code = 0;
    while ((code = sqlite3_step(raw)) == SQLITE_ROW) {
      std::vector<std::string> row;
      for (int i = 0; i < sqlite3_column_count(raw); ++i) {
        const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(raw, i));
        row.emplace_back(text == nullptr ? "-" : text);
      }
      all.push_back(std::move(row));
    }
    if (code != SQLITE_DONE)
      throw std::runtime_error(std::string(sql) + ": " + sqlite3_errmsg(handle_.get()));
    return all;
  }

 private:
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> handle_{nullptr, sqlite3_close};
};

/// Compares keys that were handed over with the trail: rows are as recorded, and no transfer was
/// released before its receipts.
void check_handovers(Database& database);
