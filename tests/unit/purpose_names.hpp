// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <string_view>

#include "vault/templates.hpp"

namespace smets1kms::vault {

/// Returns the name of a purpose, for snapshots and messages of tests.
inline std::string_view to_string(ObjectPurpose which) {
  static constexpr std::array<std::string_view, purpose_count> names{"import_public_key",
                                                                     "import_private_key",
                                                                     "transport_key",
                                                                     "enrolment_key",
                                                                     "admitted_kek",
                                                                     "admitted_kek_to_rest",
                                                                     "imported_kek",
                                                                     "fresh_kek",
                                                                     "kek_to_rest",
                                                                     "fresh_encryption_key",
                                                                     "encryption_key_to_rest",
                                                                     "fresh_authentication_key",
                                                                     "authentication_key_to_rest",
                                                                     "storage_key",
                                                                     "restored_encryption_key",
                                                                     "restored_authentication_key",
                                                                     "audit_public_key",
                                                                     "audit_private_key",
                                                                     "sealable_kek",
                                                                     "kek_storage",
                                                                     "encryption_storage",
                                                                     "authentication_storage",
                                                                     "mac_key",
                                                                     "opened_kek",
                                                                     "opened_encryption_key",
                                                                     "opened_authentication_key",
                                                                     "handover_target"};
  return names.at(static_cast<std::size_t>(which));
}

}  // namespace smets1kms::vault
