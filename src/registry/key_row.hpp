// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "registry/columns.hpp"

/// SQL and a reader for rows of `key`.
namespace smets1kms::registry {

#define KEY_COLUMNS                                                                              \
  "device,role,generation,id,state,delivery,predecessor,kek,transfer,operation,created_at,made," \
  "record"
/// Condition for a KEK that the officer may admit: nobody else knows it (its state is pre-active),
/// and its device is not known not to hold it.
#define MAY_BE_ADMITTED "awaiting IS NOT NULL AND state=1 AND delivery<>5"
#define SELECT_KEYS                           \
  "SELECT " KEY_COLUMNS "," MAY_BE_ADMITTED   \
  ",sealed IS NOT NULL,in_doubt_at,confirmed" \
  "_at,not_held_at,compromised_at FROM key "
#define ONE_KEY " WHERE device=? AND role=? AND generation=?"
/// The same in a statement whose other parameters have numbers, from ?4 on.
#define THIS_KEY " WHERE device=?1 AND role=?2 AND generation=?3"
/// With the key before, or nullopt, and a limit.
#define KEYS_AFTER "(device,role,generation)>(?,?,?) ORDER BY device,role,generation LIMIT ?"

/// Returns the keys of a query that begins with SELECT_KEYS.
[[nodiscard]] std::vector<Key> read_keys(sqlite::Query row);

}  // namespace smets1kms::registry
