// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <p11-kit/pkcs11.h>

#include <string>

namespace shim {

/// The function list of the module at this path. Loaded for good: unloading a PKCS#11 module that
/// other threads may still be in is nobody's to decide here. Throws std::runtime_error.
CK_FUNCTION_LIST* load_real_module(const std::string& path);

}  // namespace shim
