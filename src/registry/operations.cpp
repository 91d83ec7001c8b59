// SPDX-License-Identifier: Apache-2.0
#include "registry/columns.hpp"

namespace smets1kms::registry {
namespace {

#define OPERATION_COLUMNS "id,kind,device,digest,state,detail,before_gap"
#define OPEN_OPERATIONS "SELECT " OPERATION_COLUMNS " FROM operation WHERE state=0"

Operation read_operation(const sqlite::Query& row) {
  return {.id = row.text(0),
          .kind = row.text(1),
          .device = row.is_null(2) ? std::nullopt : std::optional(device_id(row.integer(2))),
          .digest = hash(row.blob(3)),
          .state = read<OperationState>(row, 4),
          .detail = row.text(5),
          .before_gap = row.integer(6) != 0};
}

}  // namespace

std::optional<Operation> Registry::operation(const std::string& id) {
  auto row = database_.query("SELECT " OPERATION_COLUMNS " FROM operation WHERE id=?");
  row.bind(id);
  return row.step() ? std::optional(read_operation(row)) : std::nullopt;
}

void Registry::put_operation(const Operation& operation, std::span<const KeyRef> keys) {
  database_.query("INSERT OR REPLACE INTO operation(" OPERATION_COLUMNS ") VALUES(?,?,?,?,?,?,?)")
      .bind(operation.id)
      .bind(operation.kind)
      .bind(column(operation.device))
      .bind(std::span<const std::uint8_t>(operation.digest))
      .bind(column(operation.state))
      .bind(operation.detail)
      .bind(std::int64_t{operation.before_gap})
      .run();
  database_.query("DELETE FROM operation_key WHERE operation=?").bind(operation.id).run();
  for (const auto& key : keys)
    bind_key(database_.query("INSERT INTO operation_key VALUES(?,?,?,?)"), key)
        .bind(operation.id)
        .run();
}

void Registry::end_operation(const std::string& id, OperationState state) {
  database_.query("UPDATE operation SET state=? WHERE id=?").bind(column(state)).bind(id).run();
}

std::vector<Operation> Registry::open_operations(std::string_view after, std::size_t most) {
  auto row = database_.query(OPEN_OPERATIONS " AND id>? ORDER BY id LIMIT ?");
  row.bind(after).bind(limit(most));
  std::vector<Operation> open;
  while (row.step()) open.push_back(read_operation(row));
  return open;
}

void Registry::mark_open_operations_before_gap() {
  database_.query("UPDATE operation SET before_gap=1 WHERE state=0").run();
}

bool Registry::is_listed_by_open(std::string_view kind, const KeyRef& key) {
  auto row = database_.query(
      "SELECT 1 FROM operation_key JOIN operation ON id=operation WHERE operation_key.device=? AND "
      "role=? AND generation=? AND state=0 AND kind=?");
  return bind_key(row, key).bind(kind).step();
}

std::vector<std::string> Registry::operations_after(std::string_view prefix, std::string_view after,
                                                    std::size_t most) {
  auto row = database_.query(
      "SELECT id FROM operation WHERE id>?2 AND substr(id,1,length(?1))=?1 AND state=1 AND "
      "id<?1||'\x7f' ORDER BY id LIMIT ?3");
  row.bind(prefix).bind(after).bind(limit(most));
  std::vector<std::string> ids;
  while (row.step()) ids.push_back(row.text(0));
  return ids;
}

}  // namespace smets1kms::registry
