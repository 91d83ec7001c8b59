// SPDX-License-Identifier: Apache-2.0
#include <openssl/crypto.h>

#include <algorithm>

#include "lifecycle/key_change.hpp"
#include "lifecycle/key_manager_impl.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/named_batch.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/recorded_keys.hpp"
#include "lifecycle/rows_against_log.hpp"
#include "lifecycle/targets.hpp"

/// Receipts of handover targets, and what is handed out to them once more.
namespace smets1kms::lifecycle {
namespace {

using registry::HandedKey;
using registry::HandoverTables;

constexpr std::size_t handed_out_together = 256;

/// A receipt on its way: the key that it is about, and whether its proof is the token's.
struct Checked {
  ReceiptOutcome outcome;
  std::optional<Key> key{};
  std::optional<vault::KeyAtRest> at_rest{};
  std::optional<HandedKey> handed{};
  Bytes challenge{};
};

void keep_failure(Checked& checked) {
  checked.outcome.failure = std::current_exception();
  if (checked.key) set_operation_id(checked.outcome.failure, checked.key->operation);
}

/// Returns the challenge: the digest that the trail has of what was wrapped. Throws Refused where
/// the registry says of the handover what the trail does not.
Bytes recorded_challenge(Context& context, const Key& key, const HandedKey& handed) {
  const auto making = recorded_making(context, key);
  const auto recorded = making.handover(handed.label());
  const bool is_received = making.is_received_by(handed.label());
  if (!recorded || is_received != handed.received_at.has_value())
    throw Refused(RefusalReason::differs_from_trail,
                  "by the trail " + in_words(key) + " was not " +
                      (!recorded ? "wrapped for " : "received by ") + handed.label() +
                      ", and the registry says that it was: restore the registry from its backup "
                      "and find out who can write to it");
  return from_hex(recorded->sha256);
}

void check_not_destroyed(const Key& key) {
  if (is_destroyed(key.state))
    throw Refused(RefusalReason::destroyed, in_words(key) + " has been destroyed");
}

/// Finds what a receipt is about. Throws Refused.
void find(Context& context, Checked& checked) {
  const auto& receipt = checked.outcome.receipt;
  if (receipt.role == KeyRole::kek)
    throw Refused(RefusalReason::unknown_target, "a KEK is never handed over");
  checked.key = context.key({receipt.device, receipt.role, receipt.generation});
  const Key& key = *checked.key;
  checked.outcome.operation_id = key.operation;
  for (auto& handed : HandoverTables(context.registry.database()).of_key(key.ref()))
    if (handed.target == receipt.target) checked.handed = std::move(handed);
  if (!checked.handed)
    throw Refused(RefusalReason::unknown_target,
                  in_words(key) + " was not handed to a target '" + receipt.target + "'");
  check_not_destroyed(key);
  check_row(context, context.device(key.device));
  check_row(context, key);
  const auto& profile = context.token->token_profile().profile;
  if (key.role != KeyRole::gak && !profile.gcm_iv_from_host)
    throw Refused(RefusalReason::gcm_iv_by_token,
                  "this token makes the IV of AES-GCM itself (profile " + profile.name +
                      "): it can't check the proof of " + in_words(key));
  checked.challenge = recorded_challenge(context, key, *checked.handed);
  checked.at_rest = at_rest_checked_against_trail(context, key, context.device(key.device).suite);
}

/// Releases the transfer of a key where nothing withholds it any more.
void release_received(Context& context, Checked& checked) {
  const auto& received = *checked.key;
  if (received.delivery == Delivery::released)
    checked.outcome.released_before = waits_for_answer(received) ? received.transfer : 0;
  if (received.delivery != Delivery::withheld || received.state != KeyState::pre_active) return;
  RotationPlan plan({.device = received.device, .reason = {}});
  plan.device = context.device(received.device);
  plan.act = {.name = op::transfer_release, .operation_id = received.operation};
  for (auto& key : context.registry.keys(received.device))
    if (key.transfer == received.transfer) plan.keys.push_back(std::move(key));
  if (!std::ranges::all_of(plan.keys, [&](const Key& key) {
        return key.state == KeyState::pre_active && recorded_making(context, key).is_received();
      }))
    return;
  read_recorded(context, plan);
  for (auto& key : plan.keys)
    key =
        change_key(context, plan.act, key, {.delivery = Delivery::released, .result = "released"});
  checked.outcome.released = release(context.config, plan).transfers().front();
}

/// Records a receipt whose proof is right, in the caller's transaction.
void record(Context& context, Checked& checked) {
  const auto key = context.key(checked.key->ref());  // as it is by now
  const auto handed = HandoverTables(context.registry.database()).of_key(key.ref());
  const auto now = std::ranges::find(handed, checked.handed->target, &HandedKey::target);
  checked.key = key;
  check_not_destroyed(key);
  if (now->received_at) {
    checked.outcome.repeated = true;
  } else {
    const trail::AuditContext act{.name = op::handover_receive, .operation_id = key.operation};
    const auto moment = context.trail.moment();
    context.append(context.trail.record(act, Phase::note, key), key.device,
                   {{Field::target, now->label()}, {Field::result, "received"}}, moment);
    HandoverTables(context.registry.database()).set_received(*now, moment.utc);
  }
  release_received(context, checked);
}

/// Checks a group's receipts: reads, asks the token, records.
void check_group(Context& context, std::vector<Checked>& group) {
  context.locked([&] {
    for (auto& each : group) try {
        find(context, each);
      } catch (const Error&) {
        keep_failure(each);
      }
  });
  for (auto& each : group) {
    if (each.outcome.failure) continue;
    try {
      const auto proof =
          vault::with_token([&] { return context.vault->prove(*each.at_rest, each.challenge); });
      const auto& given = each.outcome.receipt.proof;
      if (given.size() != proof.size() ||
          CRYPTO_memcmp(given.data(), proof.data(), proof.size()) != 0)
        throw Refused(RefusalReason::proof_wrong,
                      "the proof of " + in_words(*each.key) + " by " + each.handed->label() +
                          " is not that key's over its challenge: nothing is released for it");
    } catch (const TokenUnavailable&) {
      throw;
    } catch (const Error&) {
      keep_failure(each);
    }
  }
  context.transact([&] {
    for (auto& each : group) {
      const trail::AuditContext act{.name = op::handover_receive,
                                    .operation_id = each.key ? each.key->operation : std::string()};
      try {
        if (each.outcome.failure) std::rethrow_exception(each.outcome.failure);
        record(context, each);
      } catch (const Refused& refusal) {
        if (!each.outcome.failure) keep_failure(each);
        each.outcome.released.reset();
        context.append_refusal(act, each.outcome.receipt.device, refusal);
      } catch (const RefusedByToken&) {  // kept
      } catch (const BadInput&) {        // kept
      }
    }
  });
}

/// Pages of handed keys that a selection names.
class StoredKeys {
 public:
  StoredKeys(Context& context, const HandoverSelection& selection)
      : context_(context), selection_(selection) {
    context_.locked([&] {
      for (const auto device : selection.devices) (void)context_.device(device);
      if (!selection.batch.empty()) (void)known_batch(context_, selection.batch);
      if (!selection.target.empty() && newest_target(context_, selection.target) == nullptr)
        throw Refused(RefusalReason::unknown_target,
                      "there never was a handover target '" + selection.target + "'");
    });
    after_operation_ = selection.batch + ":";
  }
  /// Returns the next page, in the caller's transaction; empty: there are no more.
  std::vector<HandedKey> next() {
    if (!selection_.devices.empty()) return of_devices();
    if (!selection_.batch.empty()) return of_batch();
    auto page = tables().stored(selection_.target, last_, handed_out_together);
    if (!page.empty()) last_ = {page.back().key, page.back().target};
    return page;
  }

 private:
  HandoverTables tables() { return HandoverTables(context_.registry.database()); }
  void add(std::vector<HandedKey>& page, const KeyRef& key) {
    for (auto& handed : tables().of_key(key))
      if (!handed.wrapped.empty() &&
          (selection_.target.empty() || handed.target == selection_.target))
        page.push_back(std::move(handed));
  }
  std::vector<HandedKey> of_devices() {
    std::vector<HandedKey> page;
    for (; page.empty() && position_ < selection_.devices.size(); ++position_)
      for (const auto& key : context_.registry.keys(selection_.devices[position_]))
        add(page, key.ref());
    return page;
  }
  std::vector<HandedKey> of_batch() {
    std::vector<HandedKey> page;
    while (page.empty()) {
      const auto operations = context_.registry.operations_after(
          selection_.batch + ":", after_operation_, handed_out_together);
      if (operations.empty()) break;
      for (const auto& id : operations)
        if (const auto operation = parse_operation(selection_.batch, after_operation_ = id))
          for (const auto& key : context_.registry.keys_of_operation(id, operation->first))
            add(page, key.ref());
    }
    return page;
  }
  Context& context_;
  const HandoverSelection& selection_;
  std::size_t position_ = 0;
  std::string after_operation_;
  std::optional<registry::HandedAfter> last_;
};

/// Records that a key is handed out once more, in the caller's transaction, or keeps why not.
HandoverResult hand_out(Context& context, const HandedKey& handed) {
  HandoverResult result{.device = handed.key.device, .handover = {}, .failure = {}};
  trail::AuditContext act{.name = op::handover_release_again, .operation_id = {}};
  try {
    check_token(context);
    const auto key = context.key(handed.key);
    act.operation_id = key.operation;
    check_not_being_destroyed(context, handed.key);
    result.handover = stored_handover(context, key, handed);
    record_handed_out_again(context, key, *result.handover);
  } catch (const Refused& refusal) {
    context.append_refusal(act, handed.key.device, refusal);
    result.failure = std::current_exception();
    set_operation_id(result.failure, act.operation_id);
  }
  return result;
}

}  // namespace
}  // namespace smets1kms::lifecycle

namespace smets1kms {

void KeyManager::record_receipts(const ReceiptSource& next,
                                 const std::function<void(const ReceiptOutcome&)>& each) {
  auto& context = impl_->context;
  const auto checked = [](Receipt receipt) {
    return Checked{.outcome = {.receipt = std::move(receipt)}};
  };
  const auto done = in_groups(context, "receipts recorded", next, checked, [&](auto& group) {
    check_group(context, group);
    for (const auto& receipt : group) each(receipt.outcome);
  });
  if (done != 0) context.empty_log();  // of what was deleted
}

void KeyManager::handovers(
    const HandoverSelection& selection, const std::function<void(HandoverResult)>& each,
    const std::function<bool(const KeyRef&, const std::string&)>& is_wanted) {
  auto& context = impl_->context;
  StoredKeys stored(context, selection);
  std::size_t done = 0;
  for (;;) {
    auto page = context.locked([&] { return stored.next(); });
    if (page.empty()) break;
    done += page.size();
    if (is_wanted)
      std::erase_if(page,
                    [&](const HandedKey& handed) { return !is_wanted(handed.key, handed.target); });
    std::vector<HandoverResult> results;
    if (!page.empty())
      context.transact([&] {
        results.clear();
        for (const auto& handed : page) results.push_back(hand_out(context, handed));
      });
    for (auto& result : results) each(std::move(result));
    context.report("handovers looked at", done);
  }
}

}  // namespace smets1kms
