// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

/// Values of a record's field `op`, for the writer and the verifier. record_rules.cpp has the table
/// of what each may say.
namespace smets1kms::audit::op {

// Events of a key.
inline constexpr std::string_view key_generate = "key.generate";
inline constexpr std::string_view key_import = "key.import";
inline constexpr std::string_view key_enrol = "key.enrol";
inline constexpr std::string_view key_prove = "key.prove";
inline constexpr std::string_view key_reseal = "key.reseal";
inline constexpr std::string_view key_retire = "key.retire";
inline constexpr std::string_view key_compromise = "key.compromise";
inline constexpr std::string_view key_destroy = "key.destroy";
inline constexpr std::string_view transfer_reply = "transfer.reply";
inline constexpr std::string_view transfer_release_again = "transfer.release-again";
inline constexpr std::string_view transfer_resolve = "transfer.resolve";
inline constexpr std::string_view transfer_release = "transfer.release";  // after receipts
inline constexpr std::string_view handover_receive = "handover.receive";
inline constexpr std::string_view handover_release_again = "handover.release-again";
inline constexpr std::string_view batch_run = "batch.run";  // for its refusals

// Events of a device.
inline constexpr std::string_view device_register = "device.register";
inline constexpr std::string_view device_commission = "device.commission";
inline constexpr std::string_view device_suspend = "device.suspend";
inline constexpr std::string_view device_resume = "device.resume";
inline constexpr std::string_view device_decommission = "device.decommission";
inline constexpr std::string_view device_recommission = "device.recommission";
inline constexpr std::string_view fleet_import = "fleet.import";

// The token's own keys and the token.
inline constexpr std::string_view import_key_generate = "import-key.generate";
inline constexpr std::string_view enrolment_key_generate = "enrolment-key.generate";
inline constexpr std::string_view storage_key_generate = "storage-key.generate";
inline constexpr std::string_view storage_key_destroy = "storage-key.destroy";
inline constexpr std::string_view audit_key_generate = "audit-key.generate";
inline constexpr std::string_view audit_key_destroy = "audit-key.destroy";
inline constexpr std::string_view target_admit = "target.admit";
inline constexpr std::string_view target_retire = "target.retire";
inline constexpr std::string_view target_compromise = "target.compromise";
inline constexpr std::string_view target_destroy = "target.destroy";
inline constexpr std::string_view token_compromise = "token.compromise";
inline constexpr std::string_view token_orphan = "token.orphan";
inline constexpr std::string_view token_self_test = "token.self-test";

// The log about itself; registry.create is its first record.
inline constexpr std::string_view registry_create = "registry.create";
inline constexpr std::string_view operation_settle = "operation.settle";
inline constexpr std::string_view audit_anchor = "audit.anchor";
inline constexpr std::string_view audit_device_map = "audit.device-map";
inline constexpr std::string_view audit_document = "audit.document";
inline constexpr std::string_view audit_gap = "audit.gap";
inline constexpr std::string_view audit_heartbeat = "audit.heartbeat";
inline constexpr std::string_view clock_step = "clock.step";

}  // namespace smets1kms::audit::op
