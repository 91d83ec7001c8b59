// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "lifecycle/context.hpp"

/// Operations, one file each. key_manager.hpp says what they do for the caller.
namespace smets1kms::lifecycle {

void retire(Context& context, std::span<const KeyRef> keys, const Authority& authority,
            const std::string& operation_id);
void destroy(Context& context, std::span<const KeyRef> keys, const Authority& authority,
             const std::string& operation_id);
/// Tests a token's protections on its first use: tries what must fail, records the result, and
/// refuses a token that lacks what is needed (TokenUnavailable, each by name) unless the
/// configuration accepts it for testing.
void check_protections(Context& context);
/// Records the policy where it is another than the one recorded last, and keeps its document for
/// exports.
void record_policy(Context& context);
/// Recovers every intent without an outcome, by what the token holds. Runs on opening, before
/// anything else. An operation for which the log does not vouch stays open: nothing of it is done,
/// and that is recorded as a refusal and told the host.
void recover(Context& context);
/// Does the same for the rotations that this process itself left open: the log or the token failed
/// under them. Throws as `recover`; what is not settled then is tried again by the next call.
void recover_left_open(Context& context);

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

/// Parties to notify of a suspicion, by the regulator's rules; that the record names them is a
/// project rule.
inline constexpr std::string_view to_notify = "SMKI PMA, SSC";
/// Checks the words of a suspicion. Throws BadInput.
void check_suspicion(const std::string& suspicion);
/// Returns the context under which keys are marked as suspected.
[[nodiscard]] trail::AuditContext suspicion_act(std::string_view name,
                                                const std::string& operation_id,
                                                const Authority& authority);
/// Marks a key as suspected of compromise, in the caller's transaction. `target`: label of the
/// handover target through which it is.
void mark_compromised(Context& context, const trail::AuditContext& act, const Key& key,
                      std::string_view result, const std::string& suspicion, const Instant& moment,
                      std::string_view target = {});
/// Completes a token compromise that a process began which died, and returns what became of it. It
/// was decided, and wrapping stays stopped until it is done.
std::string recover_token_compromise(Context& context, const registry::Operation& operation);

/// Returns in what a marking's row differs from the record that decided it; empty: in nothing.
[[nodiscard]] std::string compromise_differs(const registry::Operation& operation,
                                             const audit::Record& decision);

/// Returns the keys of a transfer that was released. Throws Refused (not_released, unknown_device).
[[nodiscard]] std::vector<Key> keys_of_transfer(Context& context, DeviceId device,
                                                std::uint32_t transfer);

/// Checks dual control before anything else, and has a refusal in the trail.
void check_authority_recorded(Context& context, const trail::AuditContext& act);
/// Throws Refused (operation_open) for a key that an operation which has not ended is destroying.
void check_not_being_destroyed(Context& context, const KeyRef& key);

/// Calls `work` with groups of what `next` returns until there is no more, each item as `make` has
/// it, and reports progress after the groups of a long run. Returns the number of items.
template <class Source, class Make, class Work>
std::size_t in_groups(const Context& context, std::string_view what, const Source& next, Make make,
                      Work work) {
  constexpr std::size_t together = 256;  // share a transaction and a signed head
  std::size_t done = 0;
  for (bool more = true; more;) {
    std::vector<decltype(make(*next()))> group;
    while (group.size() < together) {
      auto item = next();
      if (!(more = item.has_value())) break;
      group.push_back(make(*std::move(item)));
    }
    if (group.empty()) break;
    work(group);
    done += group.size();
    if (done >= together) context.report(what, done);
  }
  return done;
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
/// Returns "guek+gak", as records name roles; empty: there are none.
[[nodiscard]] std::string names_of(std::span<const KeyRole> roles);

}  // namespace smets1kms::lifecycle
