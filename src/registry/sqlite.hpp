// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "smets1kms/errors.hpp"

/// A thin, typed layer over SQLite's C API. Every failure is a StorageError that says what was
/// done.

namespace smets1kms::sqlite {

enum class Mode { read_only, read_write, create };

/// A prepared statement in use; reset when it goes. Columns are read by position.
class Query {
 public:
  explicit Query(sqlite3_stmt* statement) : statement_(statement) {}
  Query(Query&& other) noexcept
      : statement_(std::exchange(other.statement_, nullptr)), bound_(other.bound_) {}
  ~Query();
  Query& bind(std::int64_t value);
  Query& bind(std::string_view text);
  Query& bind(std::span<const std::uint8_t> blob);
  Query& bind(std::nullptr_t);
  template <class T>
  Query& bind(const std::optional<T>& value) {
    return value ? bind(*value) : bind(nullptr);
  }
  template <class... Values>
  Query& bind_all(const Values&... values) {
    return (bind(values), ...);
  }
  /// True while there is a row.
  bool step();
  /// Runs a statement without rows.
  void run();
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::span<const std::uint8_t> blob(int column) const;
  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] bool is_integer(int column) const;
  [[nodiscard]] std::string name(int column) const;

 private:
  void check(int code) const;
  sqlite3_stmt* statement_;
  int bound_ = 0;
};

/// A file that is not as SQLite wrote it.
class Damaged : public StorageError {
 public:
  using StorageError::StorageError;
};

/// A connection to a file whose schema is not trusted: it runs no code of the file's own (triggers,
/// views, functions in a schema), and what one value, one statement and its expressions may take is
/// limited. A file that is not a regular one, or has such a one as its log, is Damaged.
class Database {
 public:
  Database(const std::filesystem::path& file, Mode mode);
  /// Bounds the work of all that follows by the room that the file takes on its disk; what takes
  /// more goes in circles, and is Damaged.
  void limit_work();
  /// Returns a statement, prepared once and kept. `sql` is a literal: its address names it.
  Query query(const char* sql);
  void execute(const char* sql);
  /// Folds the write-ahead log in and cuts it to nothing. False: a reader is in the way.
  [[nodiscard]] bool empty_log();
  [[nodiscard]] bool is_in_transaction() const {
    return sqlite3_get_autocommit(handle_.get()) == 0;
  }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::filesystem::path file_;
  std::unique_ptr<std::uint64_t> work_;  ///< thousands of instructions that are left
  std::unique_ptr<sqlite3, Close> handle_;
  std::unordered_map<const char*, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;
};

/// Scope of BEGIN IMMEDIATE; rolled back unless committed. Durable when commit returns
/// (synchronous=FULL).
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  void commit();
  /// Marks a place in the transaction; a rollback goes to the last one marked.
  void set_savepoint() { database_.query("SAVEPOINT change").run(); }
  void roll_back_to_savepoint() { database_.query("ROLLBACK TO change").run(); }
  /// True where SQLite has rolled back by itself.
  [[nodiscard]] bool is_ended() const { return !database_.is_in_transaction(); }

 private:
  Database& database_;
  bool open_ = true;
};

/// Scope of several reads of one state, beside a writer.
class ReadTransaction {
 public:
  explicit ReadTransaction(Database& database) : database_(database) { database_.execute("BEGIN"); }
  ~ReadTransaction();
  ReadTransaction(const ReadTransaction&) = delete;

 private:
  Database& database_;
};

}  // namespace smets1kms::sqlite
