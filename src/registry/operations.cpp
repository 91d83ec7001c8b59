// SPDX-License-Identifier: Apache-2.0
#include "registry/columns.hpp"

namespace smets1kms::registry {
namespace {

#define OPERATION_COLUMNS "id,kind,device,digest,state,detail,before_gap,intent,outcome"

Operation read_operation(const sqlite::Query& row) {
  return {
      .id = row.text(0),
      .kind = row.text(1),
      .device = optional(row, 2, [](const auto& at, int i) { return device_id(at.integer(i)); }),
      .digest = hash(row.blob(3)),
      .state = read<OperationState>(row, 4),
      .detail = row.text(5),
      .before_gap = row.integer(6) != 0,
      .intent = read<std::uint64_t>(row, 7),
      .outcome = read<std::uint64_t>(row, 8)};
}

}  // namespace

std::optional<Operation> Registry::operation(const std::string& id) {
  return first(query(database_, "SELECT " OPERATION_COLUMNS " FROM operation WHERE id=?", id),
               read_operation);
}

void Registry::put_operation(const Operation& operation, std::span<const KeyRef> keys) {
  run(database_,
      "INSERT OR REPLACE INTO operation(" OPERATION_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?)",
      operation.id, operation.kind, operation.device, operation.digest, operation.state,
      operation.detail, operation.before_gap, operation.intent, operation.outcome);
  run(database_, "DELETE FROM operation_key WHERE operation=?", operation.id);
  for (const auto& key : keys)
    run(database_, "INSERT INTO operation_key VALUES(?,?,?,?)", key, operation.id);
}

void Registry::end_operation(const std::string& id, OperationState state, std::uint64_t outcome) {
  run(database_, "UPDATE operation SET state=?,outcome=? WHERE id=?", state, outcome, id);
}

std::vector<Operation> Registry::open_operations(std::string_view after, std::size_t most) {
  return all(query(database_,
                   "SELECT " OPERATION_COLUMNS
                   " FROM operation WHERE state=0 AND id>? ORDER BY id LIMIT ?",
                   after, limit(most)),
             read_operation);
}

void Registry::mark_open_operations_before_gap() {
  run(database_, "UPDATE operation SET before_gap=1 WHERE state=0");
}

bool Registry::is_listed_by_open(std::string_view kind, const KeyRef& key) {
  return query(database_,
               "SELECT 1 FROM operation_key JOIN operation ON id=operation WHERE "
               "operation_key.device=? AND role=? AND generation=? AND state=0 AND kind=?",
               key, kind)
      .step();
}

std::vector<std::string> Registry::operations_after(std::string_view prefix, std::string_view after,
                                                    std::size_t most) {
  return all(query(database_,
                   "SELECT id FROM operation WHERE id>?2 AND substr(id,1,length(?1))=?1 AND "
                   "state=1 AND id<?1||'\x7f' ORDER BY id LIMIT ?3",
                   prefix, after, limit(most)),
             [](const sqlite::Query& row) { return row.text(0); });
}

}  // namespace smets1kms::registry
