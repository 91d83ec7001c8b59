// SPDX-License-Identifier: Apache-2.0
#include "registry/sqlite.hpp"

#include "smets1kms/errors.hpp"

namespace smets1kms::sqlite {
namespace {

[[noreturn]] void fail(sqlite3* handle, int code) {
  std::string what = "the registry: ";
  what += handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
  what += " (" + std::string(sqlite3_errstr(code)) + ")";
  // A reader can't roll back. The log of a whole registry is no rollback journal, so a process died
  // while it made this one.
  if (code == SQLITE_READONLY_ROLLBACK)
    throw StorageError(
        what +
        ". A process ended while it made the registry; run 'smets1-kms init' again, which goes on");
  switch (code & 0xFF) {
    case SQLITE_FULL: what += ". Make room on its disk; what was not recorded was not done"; break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      what +=
          ". Check that its file and directory can be written (to read one on a medium that can't, "
          "copy it)";
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: what += ". Restore it from a backup; do not go on with this file"; break;
    default: break;
  }
  if (const int kind = code & 0xFF; kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB)
    throw Damaged(what);
  throw StorageError(what);
}

}  // namespace

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Query::check(int code) const {
  if (code != SQLITE_OK) fail(sqlite3_db_handle(statement_), code);
}

Query& Query::bind(std::int64_t value) {
  check(sqlite3_bind_int64(statement_, ++bound_, value));
  return *this;
}

// SQLITE_TRANSIENT: what is bound is copied, so a temporary may be bound.
Query& Query::bind(std::string_view text) {
  check(sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()),
                          SQLITE_TRANSIENT));
  return *this;
}

Query& Query::bind(std::span<const std::uint8_t> blob) {
  static const std::uint8_t nothing = 0;  // a null pointer would bind NULL
  check(sqlite3_bind_blob(statement_, ++bound_, blob.empty() ? &nothing : blob.data(),
                          static_cast<int>(blob.size()), SQLITE_TRANSIENT));
  return *this;
}

Query& Query::bind(std::nullptr_t) {
  check(sqlite3_bind_null(statement_, ++bound_));
  return *this;
}

bool Query::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) fail(sqlite3_db_handle(statement_), code);
  return false;
}

void Query::run() {
  while (step()) {
  }
}

std::int64_t Query::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Query::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return text == nullptr
             ? std::string()
             : std::string(text,
                           static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)));
}

std::span<const std::uint8_t> Query::blob(int column) const {
  const auto* bytes = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

bool Query::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

bool Query::is_integer(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_INTEGER;
}

std::string Query::name(int column) const {
  const char* name = sqlite3_column_name(statement_, column);
  return name == nullptr ? "a column" : name;
}

Database::Database(const std::filesystem::path& file, Mode mode) {
  const int flags = (mode == Mode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                    (mode == Mode::create ? SQLITE_OPEN_CREATE : 0) | SQLITE_OPEN_NOMUTEX |
                    SQLITE_OPEN_EXRESCODE;
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &handle, flags, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) fail(handle, code);
  sqlite3_busy_timeout(handle, 5000);
  if (mode != Mode::read_only) {
    execute("PRAGMA journal_mode=WAL");
    execute("PRAGMA synchronous=FULL");
    execute("PRAGMA wal_autocheckpoint=4096");  // pages: a batch is a few hundred, and folding the
                                                // log in costs a sync of the file
    execute("PRAGMA cache_size=-16384");  // KiB: what a group touches in a large registry, and the
                                          // way to it
    execute("PRAGMA secure_delete=ON");  // a destroyed key's blob is overwritten, not only unlinked
    execute("PRAGMA foreign_keys=ON");
  }
}

Query Database::query(const char* sql) {
  auto& statement = statements_[sql];
  if (!statement) {
    sqlite3_stmt* raw = nullptr;
    if (const int code =
            sqlite3_prepare_v3(handle_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
        code != SQLITE_OK)
      fail(handle_.get(), code);
    statement.reset(raw);
  }
  return Query(statement.get());
}

void Database::execute(const char* sql) {
  if (const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
      code != SQLITE_OK)
    fail(handle_.get(), code);
}

bool Database::empty_log() {
  auto row = query("PRAGMA wal_checkpoint(TRUNCATE)");
  return row.step() && row.integer(0) == 0;
}

Transaction::Transaction(Database& database) : database_(database) {
  database_.execute("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (!open_) return;
  try {
    database_.execute("ROLLBACK");
  } catch (const StorageError&) {  // SQLite has rolled back by itself (full disk): nothing is left
                                   // to undo
  }
}

ReadTransaction::~ReadTransaction() {
  try {
    database_.execute("COMMIT");
  } catch (const StorageError&) {  // nothing was written
  }
}

void Transaction::commit() {
  database_.execute("COMMIT");
  open_ = false;
}

}  // namespace smets1kms::sqlite
