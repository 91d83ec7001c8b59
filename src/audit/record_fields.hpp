// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "audit/record_rules.hpp"

/// Fields of each record type, and the grammar of each field.
namespace smets1kms::audit {

/// Checks that a record has every field that its type must have and none that it may not have, each
/// in its grammar. Throws std::invalid_argument that names the field and what it has to be.
void check_fields(const RecordView& record, const RecordType& type);

/// True if a record's field may hold this text: input is held to the same grammar.
[[nodiscard]] bool fits_field(Field field, std::string_view text);

/// Returns the policy's rule that a record names, of an operation on a key's or a device's life for
/// this reason; empty for every other record.
[[nodiscard]] std::string_view rule_of(std::string_view operation, std::string_view reason);

/// True if a text fits one of the patterns, which '|' separates; an empty one stands for no text.
/// In a pattern '#' stands for a number, '@' for a SHA-256 (64 lower-case hex digits), '&' for a
/// key id (32), '%' for a word of [A-Za-z0-9._-], '^' for a time, '*' for a text with no blank at
/// its ends.
[[nodiscard]] bool fits_pattern(std::string_view patterns, std::string_view text);

/// Returns the table of all record types with their fields, and of the fields with their grammar,
/// in Markdown.
[[nodiscard]] std::string table_of_records();

}  // namespace smets1kms::audit
