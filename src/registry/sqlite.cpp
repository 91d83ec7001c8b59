// SPDX-License-Identifier: Apache-2.0
#include "registry/sqlite.hpp"

#include <sys/stat.h>

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
  bool is_damaged = false;
  switch (code & 0xFF) {
    case SQLITE_FULL: what += ". Make room on its disk; what was not recorded was not done"; break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      what +=
          ". Check that its file and directory can be written (to read one on a medium that can't, "
          "copy it)";
      break;
    case SQLITE_NOMEM: is_damaged = sqlite3_hard_heap_limit64(-1) > 0; break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_TOOBIG:
    case SQLITE_INTERRUPT:
      what += ". Restore it from a backup; do not go on with this file";
      is_damaged = true;
      break;
    default: break;
  }
  if (is_damaged) throw Damaged(what);
  throw StorageError(what);
}

/// Opening anything else may wait for ever (a FIFO), or lead out of the directory (a link).
void need_regular(std::filesystem::path file) {
  const auto refuse = [&file](const std::filesystem::file_status& status) {
    if (exists(status) && !is_regular_file(status))
      throw Damaged("the registry: " + file.string() + " is not a regular file");
  };
  std::error_code ignored;
  refuse(std::filesystem::status(file, ignored));
  const auto name = file;
  for (const char* part : {"-wal", "-shm", "-journal"})
    refuse(std::filesystem::symlink_status(file = name.string() + part, ignored));
}

/// The least that our own statements and rows get by with, several times over.
constexpr std::pair<int, int> limits[] = {
    {SQLITE_LIMIT_LENGTH, 32 << 20},  // bytes of a value, or a row: a policy document is the
                                      // largest
    {SQLITE_LIMIT_SQL_LENGTH, 1 << 20},
    {SQLITE_LIMIT_COLUMN, 100},
    {SQLITE_LIMIT_EXPR_DEPTH, 100},
    {SQLITE_LIMIT_COMPOUND_SELECT, 20},
    {SQLITE_LIMIT_VDBE_OP, 100'000},
    {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
    {SQLITE_LIMIT_ATTACHED, 0},
    {SQLITE_LIMIT_WORKER_THREADS, 0}};
/// Code in a schema: whoever wrote the file wrote it.
constexpr std::pair<int, int> settings[] = {{SQLITE_DBCONFIG_DEFENSIVE, 1},
                                            {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                                            {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
                                            {SQLITE_DBCONFIG_ENABLE_VIEW, 0}};

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

Database::Database(const std::filesystem::path& file, Mode mode) : file_(file) {
  need_regular(file);
  const int flags = (mode == Mode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                    (mode == Mode::create ? SQLITE_OPEN_CREATE : 0) | SQLITE_OPEN_NOMUTEX |
                    SQLITE_OPEN_EXRESCODE;
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &handle, flags, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) fail(handle, code);
  sqlite3_busy_timeout(handle, 5000);
  for (const auto& [limit, value] : limits) sqlite3_limit(handle, limit, value);
  for (const auto& [setting, value] : settings) sqlite3_db_config(handle, setting, value, nullptr);
  // KiB; the file may ask for more. A writer holds what a group touches in a large registry, and
  // the way to it.
  execute(mode == Mode::read_only ? "PRAGMA cache_size=-2048" : "PRAGMA cache_size=-16384");
  if (mode == Mode::read_only) {
    execute("PRAGMA cell_size_check=ON");
  } else {
    execute("PRAGMA journal_mode=WAL");
    execute("PRAGMA synchronous=FULL");
    execute("PRAGMA wal_autocheckpoint=4096");  // pages: a batch is a few hundred, and folding the
                                                // log in costs a sync of the file
    execute("PRAGMA secure_delete=ON");  // a destroyed key's blob is overwritten, not only unlinked
    execute("PRAGMA foreign_keys=ON");
  }
}

void Database::limit_work() {
  struct stat status {};
  work_ = std::make_unique<std::uint64_t>(20'000);  // and 4 instructions for each byte
  for (const char* part : {"", "-wal"})
    if (::stat((file_.string() + part).c_str(), &status) == 0)
      *work_ += static_cast<std::uint64_t>(status.st_blocks) * 512 * 4 / 1000;
  const auto count = [](void* left) {
    auto& work = *static_cast<std::uint64_t*>(left);
    return work == 0 ? 1 : (--work, 0);
  };
  sqlite3_progress_handler(handle_.get(), 1000, count, work_.get());
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
