// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/version.hpp"

namespace smets1kms {

std::string_view version() { return SMETS1KMS_VERSION; }

}  // namespace smets1kms
