// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>

#include "lifecycle/context.hpp"

namespace smets1kms::lifecycle {

/// A key of the token itself, not of a device: the words that record its making, and the settings
/// that name it.
struct TokenKey {
  std::string_view act, mechanism;
  std::string_view setting;  ///< its CKA_ID
  /// For a pair: the index of the record with the digest of its public half.
  std::string_view record{};
  std::string_view pem{};     ///< for a pair: its public half
  std::string_view detail{};  ///< tells keys of one kind apart, for the record
};

/// A key of the sealed vault. Settings `older` name former ones, under which rows remain.
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

/// Makes a token key: records the intent, calls `make` (which returns a pair's public half, PEM),
/// records outcome and settings, with `also` in the same transaction. A process that dies on the
/// way leaves an intent, and `recover` destroys what it made.
void make_token_key(Context& context, const trail::AuditContext& act, const TokenKey& key,
                    const std::function<std::string(const KeyId&)>& make,
                    const std::function<void(const KeyId&, const std::string& pem)>& also = {});

/// Records, in the caller's transaction, the intent to destroy a former key of the token. A process
/// that dies before its end leaves an operation of this kind, and `recover` destroys the key.
void begin_key_destruction(Context& context, const trail::AuditContext& act, std::string_view kind,
                           const std::string& id);
/// Destroys that key and records the outcome; false if the token has not destroyed it.
bool end_key_destruction(Context& context, const trail::AuditContext& act, const std::string& id);

}  // namespace smets1kms::lifecycle
