// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>

#include "lifecycle/context.hpp"

namespace smets1kms::lifecycle {

/// A key of the token itself, not of a device: how its making is recorded, and which settings name
/// it.
struct TokenKey {
  std::string_view act, mechanism;
  std::string_view setting;  ///< its CKA_ID
  std::string_view
      record{};  ///< of a pair: the index of the record with the digest of its public half
  std::string_view pem{};     ///< of a pair: its public half
  std::string_view detail{};  ///< which of several it is, for the record
};

/// The sealed vault's keys. Older ones, under which rows remain: settings `older`.
struct StorageKeySetting {
  vault::ObjectPurpose which;
  std::string_view setting;
};
inline constexpr std::array storage_keys{
    StorageKeySetting{vault::ObjectPurpose::kek_storage, setting::kek_storage_key},
    StorageKeySetting{vault::ObjectPurpose::encryption_storage, setting::encryption_storage_key},
    StorageKeySetting{vault::ObjectPurpose::authentication_storage,
                      setting::authentication_storage_key},
    StorageKeySetting{vault::ObjectPurpose::mac_key, setting::mac_key}};

/// The pair that signs the heads of the audit trail.
inline constexpr TokenKey audit_pair{.act = op::audit_key_generate,
                                     .mechanism = "CKM_EC_KEY_PAIR_GEN",
                                     .setting = setting::audit_key,
                                     .pem = setting::audit_key_pem};

/// Intent, the token's work (`make` gives a pair's public half, PEM), outcome and settings. `also`:
/// what belongs into the transaction of the outcome. A process that dies on the way leaves an
/// intent, and `settle` destroys what it made.
void make_token_key(Context& context, const trail::AuditContext& act, const TokenKey& key,
                    const std::function<std::string(const KeyId&)>& make,
                    const std::function<void(const KeyId&, const std::string& pem)>& also = {});

}  // namespace smets1kms::lifecycle
