#pragma once
#include "lifecycle/core.hpp"

/// The operations, one file each. Public meaning: key_manager.hpp.
namespace smets1kms::lifecycle {

BatchSummary rotate(Core& core, const RequestSource& next, const std::function<void(RotationResult)>& each, const std::function<bool()>& stop = {});
void check_repeat(Core& core, RotationRequest request);
void record_replies(Core& core, const ReplySource& next, const std::function<void(const ReplyOutcome&)>& each);
void resolve(Core& core, const KeyRef& key, Held held, const std::string& evidence, const Authority& authority, const std::string& operation_id);
void retire(Core& core, const KeyRef& key, const Authority& authority, const std::string& operation_id);
void destroy(Core& core, std::span<const KeyRef> keys, const Authority& authority, const std::string& operation_id);
CompromiseResult compromise(Core& core, const KeyRef& key, const std::string& suspicion, const Authority& authority, const std::string& operation_id);
/// On first use of a token: tries what must fail, records the result, refuses a token that lacks what is needed
/// (TokenUnavailable, each by name) unless the configuration takes it for testing.
void check_protections(Core& core);
/// Where the policy is another than the one recorded last, its document is kept for exports, vouched for by a record.
void record_policy(Core& core);
inline constexpr std::string_view policy_settings = "policy/";
/// Settles every intent without an outcome by what the token holds. Run on opening, before anything else.
void settle(Core& core);

/// Compares the registry with the heads that are anchored elsewhere. Throws NotRecorded where it is an older copy or went
/// another way, unless `after_restore` takes it: then the gap is recorded (Refused: not two identities).
void open_heads(Core& core, const Authority* after_restore);
/// What does not fit, and the way out.
[[nodiscard]] std::string in_words(const HeadLog::Amiss& amiss, const Config& config);
/// A sign of life and the map of all devices' last records go into the trail, the head is signed and kept in the token.
/// Returns the signed head. Throws Refused before 'init'.
std::string checkpoint(Core& core);
/// On opening: a sign of life where one is due. It costs the same however many devices there are.
void beat_if_due(Core& core);
/// On closing: the map, where it is due and the devices are few.
void map_if_due(Core& core);
/// A new audit key; one head is signed by both. Returns its public half, PEM. Throws Refused.
std::string renew_audit_key(Core& core, const Authority& authority);

TokenCompromiseResult compromise_token(Core& core, const std::string& suspicion, const Authority& authority, const std::string& operation_id);
/// Goes on with one that a process which died had begun, and says what became of it: it was decided, and wrapping stays stopped until it is done.
std::string settle_token_compromise(Core& core, const registry::Operation& operation);
void change_device(Core& core, DeviceId device, DeviceChange change, Time at, const Authority& authority, const std::string& operation_id);

/// One step, no token call: state and record, inside a transaction.
void change_state(Core& core, const Act& act, Key key, KeyState to, std::string_view result, std::string_view detail = {});

/// Throws Refused ("operation-open") for a key that an operation which has not ended is destroying.
void check_not_being_destroyed(Core& core, const KeyRef& key);

/// Tells a repeat of the same request from another one.
[[nodiscard]] registry::Hash digest_of(std::initializer_list<std::string_view> parts);
/// "00-DB-…/gak/2"
[[nodiscard]] std::string name_of(const KeyRef& key);

}  // namespace smets1kms::lifecycle
