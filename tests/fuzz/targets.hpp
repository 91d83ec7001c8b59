// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

/// What is fuzzed: whatever the bytes, they are refused by an exception of the reader's own, or
/// read; and what is read is written again as the same bytes. Anything else ends the process.
namespace fuzz {

void record(std::string_view bytes);
void note(std::string_view bytes);
void bundle(std::string_view bytes);
/// The bytes are cut into the files of an export at lines that begin with "== NAME".
void exported(std::string_view bytes);

}  // namespace fuzz
