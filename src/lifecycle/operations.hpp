#pragma once
#include "lifecycle/core.hpp"

/// The operations, one file each. Public meaning: key_manager.hpp.
namespace smets1kms::lifecycle {

void rotate(Core& core, std::span<const RotationRequest> requests, const std::function<void(RotationResult)>& each);
ReplyResult record_reply(Core& core, DeviceId device, std::uint32_t transfer, const std::optional<Bytes>& action_response);
void resolve(Core& core, const KeyRef& key, Held held, const std::string& evidence, const Authority& authority, const std::string& operation_id);
void retire(Core& core, const KeyRef& key, const Authority& authority, const std::string& operation_id);
void destroy(Core& core, std::span<const KeyRef> keys, const Authority& authority, const std::string& operation_id);
CompromiseResult compromise(Core& core, const KeyRef& key, const std::string& suspicion, const Authority& authority, const std::string& operation_id);
/// On first use of a token: tries what must fail, records the result, refuses a token that lacks what is needed
/// (TokenUnavailable, each by name) unless the configuration takes it for testing.
void check_protections(Core& core);
/// Settles every intent without an outcome by what the token holds. Run on opening, before anything else.
void settle(Core& core);

/// Compares the registry with the heads that are anchored elsewhere. Throws NotRecorded where it is an older copy or went
/// another way, unless `after_restore` takes it: then the gap is recorded (Refused: not two identities).
void open_heads(Core& core, const Authority* after_restore);
/// A sign of life and the map of all devices' last records go into the trail, the head is signed and kept in the token.
/// Returns the signed head. Throws Refused before 'init'.
std::string checkpoint(Core& core);
/// On opening: a sign of life where one is due. It costs the same however many devices there are.
void beat_if_due(Core& core);
/// On closing: the map, where it is due and the devices are few.
void map_if_due(Core& core);
/// A new audit key; one head is signed by both. Returns its public half, PEM. Throws Refused.
std::string renew_audit_key(Core& core, const Authority& authority);

/// Tells a repeat of the same request from another one.
[[nodiscard]] registry::Hash digest_of(std::initializer_list<std::string_view> parts);
[[nodiscard]] std::string_view name_of(const KeyRef& key, std::string& storage);

}  // namespace smets1kms::lifecycle
