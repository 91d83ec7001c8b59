// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "lifecycle/key_manager_impl.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/named_batch.hpp"
#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {
namespace {

/// A rotation of a batch, and its transfers that may be handed out again.
struct WaitingRotation {
  std::string operation;
  DeviceId device;
  std::set<std::uint32_t> transfers;
};

/// Returns those of a rotation's keys whose transfers wait for an answer, every key of them.
std::vector<Key> waiting_keys(Context& context, const std::string& operation, DeviceId device) {
  auto keys = context.registry.keys_of_operation(operation, device);
  std::set<std::uint32_t> answered;
  for (const auto& key : keys)
    if (!waits_for_answer(key)) answered.insert(key.transfer);
  std::erase_if(keys, [&](const Key& key) { return answered.contains(key.transfer); });
  return keys;
}

/// Reads the batch's next rotations behind `after`, which it moves on; those that have something to
/// hand out become the page. Returns how many there were.
std::size_t read_page(Context& context, const std::string& batch, std::string& after,
                      std::vector<WaitingRotation>& page) {
  const std::lock_guard lock(context.registry_mutex);
  page.clear();
  const auto operations = context.registry.operations_after(batch + ":", after, 256);
  for (const auto& id : operations) {
    const auto operation = parse_operation(batch, after = id);
    if (!operation) continue;
    std::set<std::uint32_t> transfers;
    for (const auto& key : waiting_keys(context, id, operation->first))
      transfers.insert(key.transfer);
    if (!transfers.empty()) page.push_back({id, operation->first, std::move(transfers)});
  }
  return operations.size();
}

/// In a transaction: releases them once more, or keeps why not.
RotationPlan release_one(Context& context, const trail::AuditContext& act,
                         const WaitingRotation& which) {
  RotationPlan plan(RotationRequest{.device = which.device, .roles = {}, .reason = {}});
  plan.act = act;
  plan.act.operation_id = which.operation;
  plan.keys = waiting_keys(context, which.operation, which.device);
  std::erase_if(plan.keys, [&](const Key& key) { return !which.transfers.contains(key.transfer); });
  try {
    if (!plan.keys.empty()) re_release(context, plan);
  } catch (const Refused& refusal) {
    context.append_refusal(plan.act, which.device, refusal);
    plan.failure = std::current_exception();
    set_operation_id(plan.failure, which.operation);
  }
  return plan;
}

}  // namespace

}  // namespace smets1kms::lifecycle

namespace smets1kms {

void KeyManager::transfers(const std::string& batch,
                           const std::function<void(RotationResult)>& each,
                           const std::function<bool(DeviceId, std::uint32_t)>& is_wanted) {
  auto& context = impl_->context;
  check_batch_name(batch);
  trail::AuditContext act{.name = op::transfer_release_again, .operation_id = batch};
  std::shared_ptr<void> claimed;
  context.in_transaction(act, std::nullopt, [&] {
    act.authority = known_batch(context, batch).info.request.authority;
    claimed = context.claim_batch(batch);
  });
  std::string after = batch + ":";
  std::vector<WaitingRotation> page;
  std::size_t seen = 0;
  while (const auto count = read_page(context, batch, after, page)) {
    context.report("rotations looked at", seen += count);
    std::erase_if(page, [&](WaitingRotation& one) {
      if (is_wanted)
        std::erase_if(one.transfers, [&](auto number) { return !is_wanted(one.device, number); });
      return one.transfers.empty();
    });
    if (page.empty()) continue;
    std::vector<RotationPlan> plans;
    context.in_transaction(act, std::nullopt, [&] {
      plans.clear();
      for (const auto& one : page) plans.push_back(release_one(context, act, one));
    });
    for (const auto& plan : plans) {
      RotationResult result{.device = plan.request.device, .rotation = {}, .failure = plan.failure};
      if (!plan.failure && plan.keys.empty()) continue;  // answered meanwhile
      if (!plan.failure) result.rotation = release(context.config, plan);
      each(std::move(result));
    }
  }
}

KeyTransfer KeyManager::transfer(DeviceId device, std::uint32_t number) {
  auto& context = impl_->context;
  RotationPlan plan({.device = device, .reason = {}});
  plan.act = {.name = op::transfer_release_again, .operation_id = {}};
  context.in_transaction(plan.act, device, [&] {
    plan.keys = keys_of_transfer(context, device, number);
    plan.act.operation_id = plan.keys.front().operation;
    under_operation(plan.act.operation_id, [&] {
      if (context.is_running([&](const std::string& name) {
            return name == plan.act.operation_id ||
                   parse_operation(name, plan.act.operation_id).has_value();
          }))
        throw Refused(RefusalReason::operation_open,
                      "operation " + plan.act.operation_id +
                          " is under way: its caller is about to get this transfer");
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

}  // namespace smets1kms
