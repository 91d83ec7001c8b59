// SPDX-License-Identifier: Apache-2.0
/// @file
/// Reasons of refusals. The audit trail, JSON output and scripts use a reason's word (`to_string`);
/// words are never changed, only added.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace smets1kms {

enum class RefusalReason : std::uint8_t {
  already_confirmed,      ///< the transfer was answered with success before
  already_resolved,       ///< the doubt about the transfer has been resolved
  altered,                ///< a signed file is not as its signer left it
  batch_changed,          ///< the batch of this name was begun with another request
  compromised,            ///< the key is suspected of compromise
  decommissioned,         ///< the device is out of service for good
  destroyed,              ///< the key no longer exists
  differs_from_trail,     ///< a row of the registry differs from the audit trail
  dual_control,           ///< requester and authoriser are not two identities
  fingerprint_differs,    ///< a certificate is not the one whose fingerprint was given
  foreign_signature,      ///< a file is signed by nobody whom the configuration names
  gcm_iv_by_token,        ///< the token makes AES-GCM IVs itself: no proof of an encryption key
  illegal_device_change,  ///< a device of this status can't become that
  illegal_transition,     ///< SP 800-57 has no such step between key states
  import_key_replaced,    ///< the import key in the token is not the one that was made here
  in_doubt,               ///< the device's answer to an earlier transfer is missing
  in_the_future,          ///< a moment lies ahead
  in_use,                 ///< the device may still use the key
  interrupted,            ///< the batch was stopped before this device's turn
  kek_alone,              ///< a KEK is rotated alone
  kek_changed,            ///< the KEK is no longer what it was when the rotation began
  kek_not_enrolled,       ///< the KEK waits for the security officer
  kek_not_probable,       ///< a KEK can't be probed or proved by a challenge
  kek_unproven,           ///< a new KEK has to be proved first
  key_in_use,             ///< a certificate's key serves another purpose here
  no_audit_key,           ///< nothing signs the audit trail yet
  no_import_key,          ///< there is no import key yet
  no_storage_keys,        ///< the sealed vault's storage keys have not been made
  no_usable_kek,          ///< the device has no KEK that may wrap
  not_commissioned,       ///< the device is not in service yet
  not_in_doubt,           ///< there is no doubt to resolve
  not_released,           ///< no such transfer was released
  not_unanswered,         ///< the transfer waits for its answer no longer
  operation_id_reused,    ///< the operation id was given to another request
  operation_open,         ///< another operation on the key has not ended
  out_of_order,           ///< a device event lies before the last one known
  plain_enrolment,        ///< plain enrolment has no such step
  policy,                 ///< the policy's edition in force has no such reason
  proof_wrong,            ///< a receipt proves another key than the one handed over
  refused_by_token,       ///< the token refused what was asked of it
  role_not_supported,     ///< the device does not support the key role
  target_of_other_vault,  ///< a handover target was admitted for keys of the other vault
  targets_changed,        ///< a handover target was admitted or ended while keys were made
  token_suspected,        ///< the token is suspected of compromise
  too_many_targets,       ///< 8 handover targets are admitted
  unfit_certificate,      ///< a certificate can't be a handover target's
  unfit_token,            ///< the token lacks what is asked of it
  unknown_batch,          ///< no batch of this name
  unknown_device,         ///< no device of this id in the registry
  unknown_key,            ///< the device has no such key
  unknown_model,          ///< the configuration does not name the device's model
  unknown_operation,      ///< no operation of this id
  unknown_target,         ///< no handover target of this name, or it was not handed the key
  unsigned_file,          ///< a file has no signature
  withheld,               ///< the transfer is kept back until its keys are received
};

/// Returns the word of a reason: "in-doubt".
[[nodiscard]] std::string_view to_string(RefusalReason reason);
/// Returns every reason, in the order of the enumeration.
[[nodiscard]] std::span<const RefusalReason> all_refusal_reasons();
/// Returns what the caller can do; empty where only the message says it.
[[nodiscard]] std::string_view remedy(RefusalReason reason);

}  // namespace smets1kms
