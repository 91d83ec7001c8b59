// SPDX-License-Identifier: Apache-2.0
#include "registry/registry.hpp"

#include <cerrno>

#include "base/clock.hpp"
#include "registry/columns.hpp"
#include "registry/schema.hpp"
#include "registry/schema_check.hpp"

namespace smets1kms::registry {

bool Registry::is_empty() { return count(database_, "SELECT count(*) FROM sqlite_master") == 0; }

void Registry::check_version(const std::filesystem::path& file) {
  auto row = database_.query("PRAGMA user_version");
  if (!row.step() || row.integer(0) != schema_version)
    throw StorageError(file.string() + " is not a registry of this version (" +
                       std::to_string(schema_version) +
                       "); name the right file under registry.database");
  check_schema(database_);
}

Registry Registry::create(const std::filesystem::path& file) {
  // The file is made here, empty and for this user alone; SQLite gives its log files the same mode.
  // A file that is there is not touched: closing a descriptor of it would end the locks that this
  // process has on it.
  try {
    (void)create_file(file);
  } catch (const FileError& error) {
    if (error.code() != EEXIST) throw StorageError(std::string("the registry ") + error.what());
  }
  Registry registry(sqlite::Database(file, sqlite::Mode::create));
  {
    sqlite::Transaction transaction(registry.database_);
    if (registry.is_empty()) {  // new, or a process died that had made the file and nothing in it
      registry.database_.execute(schema);
      registry.database_.execute(("PRAGMA user_version=" + std::to_string(schema_version)).c_str());
      registry.set_setting(setting::store, make_uuid(Clock().now().utc));
    }
    transaction.commit();
  }
  registry.check_version(file);
  return registry;
}

Registry Registry::open(const std::filesystem::path& file, sqlite::Mode mode) {
  const std::string none =
      "there is no registry at " + file.string() +
      ": 'smets1-kms enrol' makes one ('smets1-kms init' under plain enrolment)";
  if (!std::filesystem::exists(file)) throw StorageError(none);
  Registry registry(sqlite::Database(file, mode));
  if (registry.is_empty()) throw StorageError(none);
  registry.check_version(file);
  return registry;
}

std::optional<std::string> Registry::setting(std::string_view name) {
  return first(query(database_, "SELECT value FROM setting WHERE name=?", name),
               [](const sqlite::Query& row) { return row.text(0); });
}

void Registry::set_setting(std::string_view name, std::string_view value) {
  run(database_,
      "INSERT INTO setting VALUES(?,?) ON CONFLICT(name) DO UPDATE SET value=excluded.value", name,
      value);
}

void Registry::for_each_setting(std::string_view prefix,
                                const std::function<void(const std::string& value)>& visit) {
  for (auto row = query(
           database_, "SELECT value FROM setting WHERE substr(name,1,length(?1))=?1 ORDER BY name",
           prefix);
       row.step();)
    visit(row.text(0));
}

void Registry::forget_setting(std::string_view name) {
  run(database_, "DELETE FROM setting WHERE name=?", name);
}

}  // namespace smets1kms::registry
