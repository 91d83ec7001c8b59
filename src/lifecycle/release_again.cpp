// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include "lifecycle/key_rules.hpp"
#include "lifecycle/named_batch.hpp"
#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {
void transfers(Context& context, const std::string& batch,
               const std::function<void(KeyTransfer)>& each) {
  constexpr std::size_t together = 256;  // operations that share a transaction
  trail::AuditContext act{
      .name = op::transfer_release_again, .operation_id = batch, .authority = {}};
  context.in_transaction(
      act, std::nullopt,
      [&] { act.authority = known_batch(context, batch).info.request.authority; },
      SignCheckpoint::deferred);
  std::vector<std::string> operations;
  std::size_t seen = 0;
  for (std::string after = batch + ":";; after = operations.back()) {
    std::vector<RotationPlan> released;
    context.in_transaction(act, std::nullopt, [&] {
      operations = context.registry.operations_after(batch + ":", after, together);
      for (const auto& id : operations) {
        const auto operation = parse_operation(batch, id);
        if (!operation) continue;
        RotationPlan plan({.device = operation->first, .reason = operation->second});
        plan.act = act;
        plan.act.operation_id = id;
        const auto keys = context.registry.keys_of_operation(id, operation->first);
        std::ranges::copy_if(keys, std::back_inserter(plan.keys), [&](const Key& key) {
          return std::ranges::all_of(keys, [&](const Key& other) {
            return other.transfer != key.transfer || waits_for_answer(other);
          });
        });
        if (plan.keys.empty()) continue;
        under_operation(id, [&] { re_release(context, plan); });
        released.push_back(std::move(plan));
      }
    });
    for (const auto& plan : released) {
      const auto rotation = release(context.config, plan);
      for (const auto& transfer : rotation.transfers()) each(transfer);
    }
    if (operations.empty()) return;
    context.report("rotations looked at", seen += operations.size());
  }
}

KeyTransfer transfer(Context& context, DeviceId device, std::uint32_t number) {
  RotationPlan plan({.device = device, .reason = {}});
  plan.act = {.name = op::transfer_release_again, .operation_id = {}, .authority = {}};
  context.in_transaction(plan.act, device, [&] {
    plan.keys = keys_of_transfer(context, device, number);
    plan.act.operation_id = plan.keys.front().operation;
    under_operation(plan.act.operation_id, [&] {
      for (const auto& key : plan.keys) {
        const auto which = "transfer " + std::to_string(number) + " of " + device.to_string();
        if (key.delivery != Delivery::released)
          throw Refused(RefusalReason::not_unanswered, which + " is " +
                                                           std::string(to_string(key.delivery)) +
                                                           ": it is not handed out again");
        if (key.state != KeyState::pre_active)
          throw Refused(
              is_destroyed(key.state) ? RefusalReason::destroyed : RefusalReason::compromised,
              which + " carries a key that is " + std::string(to_string(key.state)) +
                  ": it is not handed out again");
      }
      re_release(context, plan);
    });
  });
  return release(context.config, plan).transfers().front();
}

}  // namespace smets1kms::lifecycle
