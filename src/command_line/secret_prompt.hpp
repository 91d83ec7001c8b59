// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "smets1kms/types.hpp"

namespace smets1kms::command_line {

/// Asks for a secret of 1 to 256 bytes on the terminal of this process, which does not show it.
/// Blocks until it is typed. The caller wipes what is returned. Throws TokenUnavailable: there is
/// no terminal, or nothing was given.
[[nodiscard]] Bytes ask_secret(const std::string& what);

}  // namespace smets1kms::command_line
