// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "lifecycle/context.hpp"

/// Operations, one file each. key_manager.hpp says what they do for the caller.
namespace smets1kms::lifecycle {

Rotation rotate(Context& context, RotationRequest request);
BatchSummary rotate(Context& context, const Fleet& fleet, const BatchRequest& request,
                    const std::function<void(RotationResult)>& each,
                    const std::function<bool()>& stop);
BatchSummary resume(Context& context, const Fleet& fleet, const std::string& name,
                    const std::function<void(RotationResult)>& each,
                    const std::function<bool()>& stop);
void transfers(Context& context, const std::string& batch,
               const std::function<void(RotationResult)>& each,
               const std::function<bool(DeviceId, std::uint32_t)>& is_wanted);
KeyTransfer transfer(Context& context, DeviceId device, std::uint32_t number);
void record_replies(Context& context, const ReplySource& next,
                    const std::function<void(const ReplyOutcome&)>& each);
void resolve(Context& context, const KeyRef& key, ProbeResult held, const std::string& evidence,
             const Authority& authority, const std::string& operation_id);
void retire(Context& context, std::span<const KeyRef> keys, const Authority& authority,
            const std::string& operation_id);
SelectionSummary retire(Context& context, const Fleet& fleet, const Selection& selection,
                        const Authority& authority, const std::function<bool()>& stop);
void destroy(Context& context, std::span<const KeyRef> keys, const Authority& authority,
             const std::string& operation_id);
SelectionSummary destroy(Context& context, const Fleet& fleet, const Selection& selection,
                         const Authority& authority, const std::function<bool()>& stop);
CompromiseResult compromise(Context& context, const KeyRef& key, const std::string& suspicion,
                            const Authority& authority, const std::string& operation_id);
/// Tests a token's protections on its first use: tries what must fail, records the result, and
/// refuses a token that lacks what is needed (TokenUnavailable, each by name) unless the
/// configuration accepts it for testing.
void check_protections(Context& context);
/// Records the policy where it is another than the one recorded last, and keeps its document for
/// exports.
void record_policy(Context& context);
/// Recovers every intent without an outcome, by what the token holds. Runs on opening, before
/// anything else.
void recover(Context& context);

/// Compares the registry with the heads that are anchored elsewhere. Throws StorageError where the
/// registry is an older copy or went another way, unless `after_restore` accepts it: then the gap
/// is recorded (Refused: not two identities).
void open_heads(Context& context, const Authority* after_restore);
/// Returns the mismatch in words, with the way out.
[[nodiscard]] std::string in_words(const trail::CheckpointLog::AnchorMismatch& mismatch,
                                   const Config& config);
/// Records a heartbeat and the map of all devices' last records, signs the head and keeps it in the
/// token. Returns the signed head. Throws Refused before 'init'.
std::string checkpoint(Context& context);
/// Records a heartbeat on opening, where one is due. Costs the same however many devices there are.
void beat_if_due(Context& context);
/// Records the map on closing, where it is due and the devices are few.
void map_if_due(Context& context);
/// Makes a new audit key; both keys sign one head. Returns the new public half, PEM. Throws
/// Refused.
std::string renew_audit_key(Context& context, const Authority& authority);

TokenCompromiseResult compromise_token(Context& context, const std::string& suspicion,
                                       const Authority& authority, const std::string& operation_id);
/// Completes a token compromise that a process began which died, and returns what became of it. It
/// was decided, and wrapping stays stopped until it is done.
std::string recover_token_compromise(Context& context, const registry::Operation& operation);
void change_device(Context& context, DeviceId device, DeviceChange change, Time at,
                   const Authority& authority, const std::string& operation_id);

/// Returns the keys of a transfer that was released. Throws Refused (not_released, unknown_device).
[[nodiscard]] std::vector<Key> keys_of_transfer(Context& context, DeviceId device,
                                                std::uint32_t transfer);

/// Throws Refused (operation_open) for a key that an operation which has not ended is destroying.
void check_not_being_destroyed(Context& context, const KeyRef& key);

/// Runs a part of an operation: errors of the library get its id.
template <class Part>
auto under_operation(const std::string& id, Part&& part) -> decltype(part()) {
  try {
    return part();
  } catch (Error& error) {
    error.set_operation_id(id);
    throw;
  }
}

/// Runs token calls of an operation: pkcs11's errors become the library's own and get its id.
template <class Calls>
auto with_token(const trail::AuditContext& act, Calls&& calls) -> decltype(calls()) {
  return under_operation(act.operation_id, [&] { return vault::with_token(calls); });
}
/// Sets the operation's id on a failure that is kept.
inline void set_operation_id(const std::exception_ptr& failure, const std::string& id) {
  try {
    under_operation(id, [&] { std::rethrow_exception(failure); });
  } catch (...) {  // the kept failure is changed in place
  }
}

/// Returns a digest by which a repeat of a request is told from another request.
[[nodiscard]] registry::Hash digest_of(std::initializer_list<std::string_view> parts);
/// Returns "00-DB-…/gak/2".
[[nodiscard]] std::string name_of(const KeyRef& key);

}  // namespace smets1kms::lifecycle
