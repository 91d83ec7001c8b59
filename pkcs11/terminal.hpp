// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "pkcs11/secret.hpp"

namespace pkcs11 {

/// Asks on the terminal (/dev/tty) with echo off; blocks until a line was typed. Throws
/// TokenUnavailable where there is none, where nothing was given, and for more than 256 bytes.
[[nodiscard]] Secret prompt_on_terminal(const std::string& what);

}  // namespace pkcs11
