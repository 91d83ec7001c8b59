// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/rotation.hpp"

#include <map>

#include "dlms/key_transfer_bytes.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/recorded_keys.hpp"
#include "lifecycle/rows_against_log.hpp"
#include "lifecycle/targets.hpp"

namespace smets1kms::lifecycle {
namespace {

registry::Hash digest_of_request(const RotationRequest& request) {
  std::string roles;
  for (const auto role : request.roles) roles += std::string(to_string(role)) + "+";
  return digest_of({"rotate", request.device.to_string(), roles, to_string(request.reason),
                    request.authority.requested_by, request.authority.authorised_by,
                    request.authority.reference, request.single_action ? "together" : "",
                    request.wrap_under == WrapUnder::proven ? "proven" : "",
                    request.justification});
}

/// Refuses an unknown model: without its logical name no transfer can be made, nor handed out
/// again.
void check_model(const Context& context, const Device& device) {
  if (!context.config.models.contains(device.model))
    throw Refused(RefusalReason::unknown_model,
                  "model " + device.model + " of " + device.id.to_string() +
                      " is not in the configuration; name its logical name under models");
}

/// Releases again what the same request made under the same id.
void repeat(Context& context, RotationPlan& plan) {
  plan.keys = context.registry.keys_of_operation(plan.act.operation_id, plan.request.device);
  for (const auto& key : plan.keys) {
    if (is_destroyed(key.state))
      throw Refused(RefusalReason::destroyed,
                    "operation " + plan.act.operation_id +
                        " was done, and its keys have been destroyed since: there is "
                        "no transfer to hand out again");
    if (key.state == KeyState::compromised)
      throw Refused(RefusalReason::compromised,
                    "operation " + plan.act.operation_id +
                        " was done, and its keys are suspected of compromise since: "
                        "they are not handed out again");
  }
  re_release(context, plan);
}

/// Decides whether a rotation may be done and under which ids, and records its intents.
void plan_device(Context& context, RotationPlan& plan) {
  auto& request = plan.request;
  plan.act.operation_id = context.operation_id(request.operation_id);
  check_authority(request.authority);
  plan.device = context.device(request.device);
  check_model(context, *plan.device);
  add_default_roles(request, *plan.device);
  const auto digest = digest_of_request(request);
  // An id that was made here is new.
  if (!request.operation_id.empty() && context.is_repeat(plan.act.operation_id, "rotate", digest))
    return repeat(context, plan);
  check_policy(context, request.reason, request.justification);
  check_targets(context);
  check_roles(request, *plan.device);
  const auto existing = context.registry.keys(request.device);
  check_row(context, *plan.device);
  check_newest_rows(context, request.roles, existing);
  check_doubts(request, existing);
  plan.kek = choose_kek(request, existing);
  check_row(context, *plan.kek);
  plan.kek_at_rest = at_rest_checked_against_trail(context, *plan.kek, plan.device->suite);
  check_targets_fit(context, plan);
  plan.keys = plan_keys(request, *plan.kek, existing, plan.act.operation_id);
  plan.stage = Stage::planned;
  for (auto& key : plan.keys) {
    key.made = key.record = static_cast<std::uint64_t>(context.append(
        context.trail.record(plan.act, Phase::intent, key, KeyState::none, KeyState::pre_active),
        key.device,
        {{Field::mechanism, "CKM_AES_KEY_GEN,CKM_AES_KEY_WRAP"},
         {Field::justification, request.justification}}));
    context.registry.add_key(key);
  }
  context.put_operation(plan.act, static_cast<std::int64_t>(plan.keys.front().record),
                        {.kind = "rotate", .device = request.device, .digest = digest});
}

std::string code_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const RefusedByToken& error) {
    return error.function() + ":" + error.code();
  } catch (const Refused& error) {
    return std::string(error.reason());
  } catch (const std::exception&) {
    return "token-unavailable";
  }
}

KeyTransfer transfer_of(const Config& config, const RotationPlan& plan, std::uint32_t number) {
  const auto& model = config.models.at(plan.device->model);
  std::vector<dlms::WrappedKey> wrapped;
  std::vector<TransferredKey> keys;
  for (std::size_t i = 0; i < plan.keys.size(); ++i) {
    const auto& key = plan.keys[i];
    if (key.transfer != number) continue;
    wrapped.push_back({key.role, plan.made[i].wrapped});
    keys.push_back({.role = key.role, .id = key.id, .generation = key.generation});
  }
  auto parameter = dlms::key_transfer_parameter(plan.device->suite, wrapped);
  auto request = dlms::action_request(model.logical_name, parameter);
  return {plan.device->id,    number,
          std::move(keys),    *plan.keys.front().kek,
          model.activation,   std::move(parameter),
          std::move(request), plan.stage == Stage::repeated};
}

}  // namespace

RotationPlan::RotationPlan(RotationRequest request_)
    : request(std::move(request_)),
      act{.name = op::key_generate,
          .operation_id = request.operation_id,
          .authority = request.authority,
          .reason = to_string(request.reason)} {}

void check_policy(const Context& context, Reason reason, const std::string& justification) {
  if (const auto why = policy::refuses(reason, context.trail.edition(), justification))
    throw Refused(RefusalReason::policy, *why);
  if (justification.size() > 200 || audit::printable(justification, 200) != justification)
    throw BadInput(
        "a justification is 1 to 200 printable ASCII characters without quotes, backslashes or a "
        "blank at an end");
  check_token(context);
}

void check_token(const Context& context) {
  if (context.token_suspected)
    throw Refused(RefusalReason::token_suspected,
                  "the token is suspected of compromise, and its keys are being marked: nothing is "
                  "wrapped or released");
}

void record_intent(Context& context, RotationPlan& plan) {
  try {
    if (plan.refusal) throw *plan.refusal;
    return plan_device(context, plan);
  } catch (const registry::DamagedRow&) {
    if (plan.stage == Stage::planned) throw;  // of what was written some may stand already
    plan.failure = std::current_exception();
  } catch (const Refused& refusal) {
    context.append_refusal(plan.act, plan.request.device, refusal);
    plan.failure = std::current_exception();
  } catch (const BadInput&) {
    plan.failure = std::current_exception();
  }
  plan.stage = Stage::refused;
}

TokenAnswer make_keys(Context& context, RotationPlan& plan) {
  auto answer = TokenAnswer::final;
  try {
    vault::with_token([&] {
      try {
        std::vector<vault::KeyName> names;
        for (const auto& key : plan.keys) names.push_back(context.name(key, plan.device->suite));
        plan.made = context.vault->make(names, *plan.kek_at_rest);
      } catch (const pkcs11::Error& error) {
        if (error.reaction() == pkcs11::Reaction::back_off ||
            error.reaction() == pkcs11::Reaction::resource_exhausted)
          answer = TokenAnswer::passing_fault;
        throw;
      } catch (const pkcs11::TokenUnavailable&) {
        answer = TokenAnswer::token_lost;
        throw;
      }
    });
    plan.stage = Stage::made;
  } catch (const Error&) {
    plan.failure = std::current_exception();
    plan.stage = Stage::unwanted;
  }
  return answer;
}

void take_back(Context& context, RotationPlan& plan) {
  plan.stage = Stage::taken_back;
  if (context.config.keep == VaultKind::sealed)
    return;  // nothing of a key that was to be sealed is in the token
  std::vector<KeyId> ids;
  for (const auto& key : plan.keys) ids.push_back(key.id);
  try {
    if (vault::with_token([&] { return context.vault->destroy(ids); }) == 0) return;
  } catch (const Error&) {  // the failure that the plan has already says why
  }
  plan.stage = Stage::left_open;
}

void record_outcome(Context& context, RotationPlan& plan) {
  if (plan.stage == Stage::left_open) return;
  const bool made = plan.stage == Stage::made;
  const auto withdraw = [&](const Refused& why) {
    plan.failure = std::make_exception_ptr(why);
    plan.stage = Stage::unwanted;
  };
  if (made && (context.token_suspected ||
               context.registry.key_state(*plan.kek) !=
                   plan.kek->state))  // nothing that it wrapped is released from then on
    return withdraw(
        Refused(RefusalReason::kek_changed,
                "the KEK of " + plan.device->id.to_string() +
                    " changed its state while keys were wrapped under it: they are not released"));
  if (made && !is_for_all_targets(context, plan))
    return withdraw(Refused(RefusalReason::targets_changed,
                            "a handover target was admitted or ended while keys of " +
                                plan.device->id.to_string() + " were made: they are not released"));
  plan.stage = made                              ? Stage::released
               : plan.stage == Stage::given_back ? Stage::not_begun
                                                 : Stage::failed;
  const auto moment = context.trail.moment();
  for (std::size_t i = 0; i < plan.keys.size(); ++i) {
    auto& key = plan.keys[i];
    if (made) context.set_state(key, KeyState::pre_active);
    auto outcome = context.trail.record(plan.act, Phase::outcome, key, KeyState::none, key.state);
    if (!made) {
      outcome.set(Field::result, "failed").set(Field::ckr, code_of(plan.failure));
      context.registry.drop_planned_key(key);
    } else {
      const auto& result = plan.made[i];
      const bool withheld = waits_for_receipts(context, plan, key.transfer);
      key.delivery = withheld ? Delivery::withheld : Delivery::released;
      key.created_at = moment.utc;
      if (const auto handed = store_handovers(context, plan, key, result.handovers);
          !handed.empty())
        outcome.set(Field::handovers, handed);
      outcome.set(Field::result, withheld ? "withheld" : "ok")
          .set(Field::ckr, "CKR_OK")
          .set(Field::mechanism, "CKM_AES_KEY_GEN,CKM_AES_KEY_WRAP")
          .set(Field::attributes, result.attributes)
          .set(Field::wrapped_len, result.wrapped.size())
          .set(Field::wrapped_sha256, digest_of_bytes(result.wrapped));
      if (!result.awaiting.empty())
        outcome.set(Field::sealed_sha256, digest_of_bytes(result.awaiting));
      if (result.sealed) outcome.set(Field::sealed_sha256, digest_of_bytes(result.sealed->blob));
    }
    plan.record = context.trail.append(outcome, key.device, moment);
    if (!made) continue;
    const auto& result = plan.made[i];
    key.made = key.record = static_cast<std::uint64_t>(plan.record);
    context.registry.update_key(key, result.wrapped);
    if (!result.awaiting.empty()) context.registry.set_awaiting(key, result.awaiting);
    if (result.sealed) context.registry.set_sealed(key, *result.sealed, plan.record);
  }
  context.end_operation(plan.act.operation_id,
                        made ? OperationState::done : OperationState::failed);
}

Rotation release(const Config& config, const RotationPlan& plan) {
  std::map<std::uint32_t, bool> transfers;  // true: withheld
  for (const auto& key : plan.keys) transfers[key.transfer] = key.delivery == Delivery::withheld;
  std::vector<KeyTransfer> released;
  std::vector<std::uint32_t> withheld;
  for (const auto& [number, is_withheld] : transfers)
    if (is_withheld)
      withheld.push_back(number);
    else
      released.push_back(transfer_of(config, plan, number));
  return {plan.act.operation_id, std::move(released), plan.handovers, std::move(withheld)};
}

void read_recorded(Context& context, RotationPlan& plan) {
  check_token(context);
  check_commissioned(*plan.device);
  check_model(context, *plan.device);
  std::map<std::uint64_t, std::pair<Key, Bytes>> as_recorded;  // as they were asked for
  check_row(context, *plan.device);
  for (auto& key : plan.keys) {
    check_not_being_destroyed(context, key.ref());
    check_row(context, key);
    auto blob = wrapped_checked_against_trail(context, key);
    as_recorded.try_emplace(blob.sequence, std::move(key), std::move(blob.bytes));
  }
  plan.keys.clear();
  for (auto& [sequence, made] : as_recorded) {
    plan.keys.push_back(std::move(made.first));
    plan.made.push_back({.wrapped = std::move(made.second), .attributes = {}, .awaiting = {}});
  }
}

void re_release(Context& context, RotationPlan& plan) {
  if (!plan.device) plan.device = context.device(plan.request.device);
  read_recorded(context, plan);
  for (const auto& key : plan.keys) add_stored_handovers(context, plan, key);
  for (const auto& key : plan.keys) {
    if (key.delivery != Delivery::withheld)
      plan.record = context.append(context.trail.record(plan.act, Phase::note, key),
                                   plan.device->id, {{Field::result, "handed-out-again"}});
    for (const auto& handover : plan.handovers)
      if (handover.key == key.id) record_handed_out_again(context, key, handover);
  }
  plan.stage = Stage::repeated;
}

}  // namespace smets1kms::lifecycle
