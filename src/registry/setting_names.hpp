// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

/// Names of the registry's settings.
namespace smets1kms::registry::setting {

/// UUID of the store, made with the file; the log's first record and the token's anchor have it.
inline constexpr std::string_view store = "store";
// The log: its name, the CKA_ID of the key that signs it, that key's public half (PEM).
inline constexpr std::string_view origin = "audit.origin";
inline constexpr std::string_view audit_key = "audit_key";
inline constexpr std::string_view audit_key_pem = "audit_key_pem";
/// Prefix of former audit keys, whose heads still stand in the log and in anchors.
inline constexpr std::string_view former_audit_keys = "audit_key_former/";
[[nodiscard]] inline std::string former_audit_key(const std::string& id) {
  return std::string(former_audit_keys) + id;
}
// The last device-head map: records it covers; when it was made, ms since 1970. The last heartbeat.
inline constexpr std::string_view device_map = "audit.device_map";
inline constexpr std::string_view device_map_time = "audit.device_map_at";
inline constexpr std::string_view heartbeat_time = "audit.heartbeat_at";

/// Request for a time stamp that waits for its response, and prefix of the responses that are kept,
/// each under the SHA-256 of its head: records of the head, a space, base64.
inline constexpr std::string_view timestamp_request = "audit.timestamp_request";
inline constexpr std::string_view timestamps = "audit.timestamp/";

// Documents, each under its SHA-256; the policy in force by its SHA-256.
inline constexpr std::string_view policy_documents = "policy/";
inline constexpr std::string_view policy_in_force = "policy_in_force";
inline constexpr std::string_view policy_record = "policy_record";  // the record of that one
inline constexpr std::string_view policy_begins = "policy_begins";  // Policy::begins of that one
/// Prefix of the results of tokens' self-tests.
inline constexpr std::string_view protections = "protections/";

// CKA_ID of the token's own keys; of the import key the record with the digest of its public half.
inline constexpr std::string_view import_key = "import_key";
inline constexpr std::string_view import_key_record = "import_key_record";
inline constexpr std::string_view enrolment_key = "enrolment_key";
inline constexpr std::string_view kek_storage_key = "storage_key.kek";
inline constexpr std::string_view encryption_storage_key = "storage_key.encryption";
inline constexpr std::string_view authentication_storage_key = "storage_key.authentication";
inline constexpr std::string_view mac_key = "storage_key.mac";
/// Returns the name under which the index of the record of a token key's making is kept.
[[nodiscard]] inline std::string record_of_key(std::string_view id) {
  return "record_of_key/" + std::string(id);
}
/// Returns the name under which an older key of a setting is kept; with an empty id the prefix of
/// all.
[[nodiscard]] inline std::string older(std::string_view setting, std::string_view id) {
  return std::string(setting) + "/old/" + std::string(id);
}

}  // namespace smets1kms::registry::setting
