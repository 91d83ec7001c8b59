// SPDX-License-Identifier: Apache-2.0
#include "registry/schema_check.hpp"

#include <algorithm>
#include <map>

#include "registry/schema.hpp"

namespace smets1kms::registry {
namespace {

/// An object of a schema: the table that it is on, and its text.
struct Object {
  std::string table, text;
  bool operator==(const Object&) const = default;
};
using Objects = std::map<std::string, Object>;

/// Returns a statement without comments, and with one space where there are blanks.
std::string without_comments(std::string_view sql) {
  std::string text;
  for (std::size_t at = 0; at < sql.size(); ++at) {
    if (sql.substr(at, 2) == "--") at = std::min(sql.find('\n', at), sql.size());
    const bool is_blank = at >= sql.size() || sql[at] == ' ' || sql[at] == '\n';
    if (!is_blank)
      text += sql[at];
    else if (!text.ends_with(' '))
      text += ' ';
  }
  return text;
}

Objects objects_of(sqlite::Database& database) {
  Objects objects;
  for (auto row = database.query("SELECT lower(name),lower(tbl_name),type,sql FROM sqlite_schema");
       row.step();)
    objects.emplace(
        row.text(0),
        Object{.table = row.text(1), .text = row.text(2) + ": " + without_comments(row.text(3))});
  return objects;
}

Objects our_objects() {
  sqlite::Database database(":memory:", sqlite::Mode::create);
  database.execute(schema);
  return objects_of(database);
}

}  // namespace

void check_schema(sqlite::Database& database, std::initializer_list<std::string_view> tables) {
  static const Objects ours = our_objects();
  for (const auto& [name, object] : objects_of(database)) {
    const bool is_asked = tables.size() == 0 ? ours.contains(object.table)
                                             : std::ranges::count(tables, object.table) != 0;
    const auto found = ours.find(name);
    if (is_asked && (found == ours.end() || found->second != object))
      throw sqlite::Damaged("the registry: its schema was changed: '" + name + "', on the table '" +
                            object.table + "', is not as this program makes it");
  }
}

}  // namespace smets1kms::registry
