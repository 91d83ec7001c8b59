// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <initializer_list>
#include <string_view>

#include "registry/sqlite.hpp"

namespace smets1kms::registry {

/// Throws sqlite::Damaged where something on one of these tables (none named: on any of ours) is
/// not as the schema of this version makes it: another column, a generated one, a view or a virtual
/// table in its place, a trigger or an index. Tables that are not ours are nobody's business.
void check_schema(sqlite::Database& database, std::initializer_list<std::string_view> tables = {});

}  // namespace smets1kms::registry
