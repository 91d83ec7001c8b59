// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "dlms/key_transfer_bytes.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/recorded_keys.hpp"
#include "lifecycle/rotation.hpp"

namespace smets1kms::lifecycle {
namespace {

using audit::Field;
using Phase = trail::RecordWriter::Phase;

registry::Hash digest_of_request(const RotationRequest& request) {
  std::string roles;
  for (const auto role : request.roles) roles += std::string(to_string(role)) + "+";
  return digest_of({"rotate", request.device.to_string(), roles, to_string(request.reason),
                    request.authority.requested_by, request.authority.authorised_by,
                    request.authority.reference, request.single_action ? "together" : "",
                    request.wrap_under == WrapUnder::proven ? "proven" : "",
                    request.justification});
}

/// Without roles: all that the device has, but the KEK.
void default_roles(RotationRequest& request, const Device& device) {
  if (!request.roles.empty()) return;
  for (const auto role : device.supports)
    if (role != KeyRole::kek) request.roles.push_back(role);
}

/// Without its logical name no transfer can be made, nor handed out once more.
void check_model(const Context& context, const Device& device) {
  if (!context.config.models.contains(device.model))
    throw Refused(RefusalReason::unknown_model,
                  "model " + device.model + " of " + device.id.to_string() +
                      " is not in the configuration; name its logical name under models");
}

void check_roles(const RotationRequest& request, const Device& device) {
  if (request.roles.empty())
    throw Refused(
        RefusalReason::role_not_supported,
        device.id.to_string() +
            " supports no GUEK, GBEK or GAK (its fleet file says so): nothing to replace");
  const std::set<KeyRole> distinct(request.roles.begin(), request.roles.end());
  if (distinct.size() != request.roles.size()) throw BadInput("a role is given twice");
  if (distinct.contains(KeyRole::kek) && distinct.size() > 1)
    throw Refused(RefusalReason::kek_alone,
                  "the KEK is rotated alone: other keys of the same operation would be wrapped "
                  "under a KEK that the device may no longer hold");
  for (const auto role : request.roles)
    if (!device.supports_role(role))
      throw Refused(RefusalReason::role_not_supported,
                    device.id.to_string() + " does not support a " + std::string(to_string(role)) +
                        " (its fleet file says so)");
  if (device.status == DeviceStatus::decommissioned)
    throw Refused(RefusalReason::decommissioned, device.id.to_string() + " is decommissioned");
}

/// What the policy says of the reason, and what stops all wrapping.
void check_policy(const Context& context, const RotationRequest& request) {
  const auto& text = request.justification;
  if (text.size() > 200 || audit::printable(text, 200) != text)
    throw BadInput(
        "a justification is 1 to 200 printable ASCII characters without quotes or backslashes");
  if (const auto why = policy::refuses(request.reason, context.trail.edition(), text))
    throw Refused(RefusalReason::policy, *why);
  if (context.token_suspected)
    throw Refused(
        RefusalReason::token_suspected,
        "the token is suspected of compromise, and its keys are being marked: nothing is wrapped");
}

/// A suspected KEK wraps nothing, so that no GAK can prove it.
std::string after_lost_kek(std::span<const Key> keys) {
  return newest(keys, KeyRole::kek, KeyState::active) != nullptr
             ? "rotate the GAK alone under the one before (--under-proven-kek): its success shows "
               "that the device never took the new one"
             : "its manufacturer must provide another, and the import of its fleet file brings it";
}

/// No third key while two may be in use: a device whose answer was lost must never be locked out.
void check_doubts(const RotationRequest& request, std::span<const Key> keys) {
  for (const auto& key : keys) {
    if (!is_pending(key)) continue;
    const std::string which = std::string(to_string(key.role)) + " " +
                              std::to_string(key.generation) + " of " + key.device.to_string();
    if (key.role == KeyRole::kek) {
      const bool sent = key.delivery == Delivery::in_doubt || key.delivery == Delivery::unproven;
      if (sent && request.roles == std::vector{KeyRole::gak}) continue;
      if (key.state == KeyState::compromised && sent)
        throw Refused(RefusalReason::no_usable_kek,
                      which + " is suspected of compromise while it is " +
                          std::string(to_string(key.delivery)) + ": " + after_lost_kek(keys));
      throw Refused(RefusalReason::kek_unproven,
                    which + " is " + std::string(to_string(key.delivery)) +
                        ": a KEK can't be probed; once its answer is recorded, " +
                        (key.state == KeyState::compromised
                             ? after_lost_kek(keys)
                             : "rotate the GAK alone: its success under the new KEK proves it"));
    }
    const bool same_role = std::ranges::find(request.roles, key.role) != request.roles.end();
    if (!same_role && request.roles.front() != KeyRole::kek) continue;
    throw Refused(RefusalReason::in_doubt,
                  which + " is " + std::string(to_string(key.delivery)) +
                      ": record the device's answer (confirm), or probe the device and say which "
                      "key it holds (resolve); no third key is made meanwhile");
  }
}

Key choose_kek(const RotationRequest& request, std::span<const Key> keys) {
  const Key* candidate = kek_candidate(keys);
  const Key* proven = newest(keys, KeyRole::kek, KeyState::active);
  const Key* kek =
      candidate != nullptr && request.wrap_under == WrapUnder::automatic ? candidate : proven;
  if (kek == nullptr || kek->state == KeyState::compromised)
    throw Refused(
        RefusalReason::no_usable_kek,
        request.device.to_string() +
            " has no KEK that may wrap (it is compromised or destroyed): " + after_lost_kek(keys));
  if (kek->awaits_enrolment)
    throw Refused(RefusalReason::kek_not_enrolled,
                  "KEK " + std::to_string(kek->generation) + " of " + request.device.to_string() +
                      " waits for the security officer ('smets1-kms enrol'); until then it wraps "
                      "nothing, and the old one stays usable (--under-proven-kek)");
  return *kek;
}

std::uint32_t next_generation(std::span<const Key> keys, KeyRole role) {
  std::uint32_t last = 0;
  for (const auto& key : keys)
    if (key.role == role) last = std::max(last, key.generation);
  return last + 1;
}

void plan_keys(RotationPlan& plan, std::span<const Key> existing) {
  std::uint32_t transfer = 0;
  for (const auto& key : existing) transfer = std::max(transfer, key.transfer);
  for (const auto role : plan.request.roles) {
    if (plan.keys.empty() || !plan.request.single_action) ++transfer;
    const Key* predecessor = newest(existing, role, KeyState::active);
    plan.keys.push_back(
        {.device = plan.device->id,
         .role = role,
         .generation = next_generation(existing, role),
         .id = KeyId::random(),
         .state = KeyState::none,
         .delivery = Delivery::planned,
         .predecessor = predecessor == nullptr ? std::nullopt : std::optional(predecessor->id),
         .kek = plan.kek->id,
         .transfer = transfer,
         .operation = plan.act.operation_id,
         .created_at = {}});
  }
}

/// The same request under the same id again: what it released is handed out once more.
void re_release(Context& context, RotationPlan& plan) {
  const auto& roles = plan.request.roles;
  plan.keys = context.registry.keys_of_operation(plan.act.operation_id, plan.request.device);
  const auto place = [&](const Key& key) {
    return std::ranges::find(roles, key.role) - roles.begin();
  };
  std::ranges::sort(plan.keys, {}, place);  // as they were asked for: the same bytes again
  for (const auto& key : plan.keys) {
    if (key.state == KeyState::destroyed || key.state == KeyState::destroyed_compromised)
      throw Refused(RefusalReason::destroyed,
                    "operation " + plan.act.operation_id +
                        " was done, and its keys have been destroyed since: there is "
                        "no transfer to hand out again");
    if (key.state == KeyState::compromised)
      throw Refused(RefusalReason::compromised,
                    "operation " + plan.act.operation_id +
                        " was done, and its keys are suspected of compromise since: "
                        "they are not handed out again");
    plan.made.push_back(
        {.wrapped = wrapped_checked_against_trail(context, key), .attributes = {}, .awaiting = {}});
  }
  for (const auto& key : plan.keys) {
    auto again = context.trail.record(plan.act, Phase::note, key);
    again.set(Field::result, "handed-out-again");
    context.trail.append(again, key.device);
  }
}

/// May it be done, under which ids; the intents.
void plan_device(Context& context, RotationPlan& plan) {
  auto& request = plan.request;
  plan.act.operation_id = context.operation_id(request.operation_id);
  check_authority(request.authority);
  plan.device = context.device(request.device);
  check_model(context, *plan.device);
  default_roles(request, *plan.device);
  const auto digest = digest_of_request(request);
  // An id that was made here is new.
  if (!request.operation_id.empty() && context.is_repeat(plan.act.operation_id, "rotate", digest)) {
    plan.repeat = true;
    re_release(context, plan);
    return;
  }
  check_policy(context, request);
  check_roles(request, *plan.device);
  const auto existing = context.registry.keys(request.device);
  check_doubts(request, existing);
  plan.kek = choose_kek(request, existing);
  plan.kek_at_rest = at_rest_checked_against_trail(context, *plan.kek, plan.device->suite);
  plan_keys(plan, existing);
  context.registry.put_operation(
      {.id = plan.act.operation_id, .kind = "rotate", .device = request.device, .digest = digest});
  for (const auto& key : plan.keys) {
    context.registry.add_key(key);
    auto intent =
        context.trail.record(plan.act, Phase::intent, key, KeyState::none, KeyState::pre_active);
    intent.set(Field::mechanism, "CKM_AES_KEY_GEN,CKM_AES_KEY_WRAP");
    if (!request.justification.empty()) intent.set(Field::justification, request.justification);
    context.trail.append(intent, key.device);
  }
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
  return {plan.device->id,        number,           std::move(keys),
          *plan.keys.front().kek, model.activation, std::move(parameter),
          std::move(request),     plan.repeat};
}

}  // namespace

RotationPlan::RotationPlan(RotationRequest request_)
    : request(std::move(request_)),
      act{.name = op::key_generate,
          .operation_id = request.operation_id,
          .authority = request.authority,
          .reason = to_string(request.reason)} {}

void record_intent(Context& context, RotationPlan& plan) {
  try {
    plan_device(context, plan);
  } catch (const Refused& refusal) {
    context.append_refusal(plan.act, plan.request.device, refusal);
    plan.failure = std::current_exception();
  } catch (const BadInput&) {
    plan.failure = std::current_exception();
  }
  plan.settled = plan.failure || plan.repeat;
}

void check_repeat(Context& context, RotationRequest request) {
  const std::lock_guard lock(context.registry_mutex);
  default_roles(request, context.device(request.device));
  (void)context.is_repeat(request.operation_id, "rotate", digest_of_request(request));
}

void make_keys(Context& context, RotationPlan& plan) {
  plan.passing_fault = false;
  try {
    vault::with_token([&] {
      try {
        std::vector<vault::KeyName> names;
        for (const auto& key : plan.keys) names.push_back(context.name(key, plan.device->suite));
        plan.made = context.vault->make(names, *plan.kek_at_rest);
      } catch (const pkcs11::Error& error) {
        plan.passing_fault = error.reaction() == pkcs11::Reaction::back_off ||
                             error.reaction() == pkcs11::Reaction::resource_exhausted;
        throw;
      } catch (const pkcs11::TokenUnavailable&) {
        plan.token_lost = true;
        throw;
      }
    });
  } catch (const Error&) {
    plan.failure = std::current_exception();
  }
}

void take_back(Context& context, RotationPlan& plan) {
  if (context.config.keep == VaultKind::sealed)
    return;  // what was to be sealed left nothing in the token
  std::vector<KeyId> ids;
  for (const auto& key : plan.keys) ids.push_back(key.id);
  try {
    plan.left_behind = vault::with_token([&] { return context.vault->destroy(ids); }) != 0;
  } catch (const Error&) {
    plan.left_behind = true;
  }
}

void record_outcome(Context& context, RotationPlan& plan) {
  if (!plan.failure && (context.token_suspected ||
                        context.registry.key_state(*plan.kek) !=
                            plan.kek->state)) {  // nothing that it wrapped is released from then on
    plan.failure = std::make_exception_ptr(
        Refused(RefusalReason::kek_changed,
                "the KEK of " + plan.device->id.to_string() +
                    " changed its state while keys were wrapped under it: they are not released"));
    return;
  }
  plan.settled = true;
  if (plan.left_behind) return;  // the operation stays open, and the next opening settles it
  const Time now = context.clock.now().utc;
  for (std::size_t i = 0; i < plan.keys.size(); ++i) {
    auto& key = plan.keys[i];
    if (!plan.failure) context.set_state(key, KeyState::pre_active);
    auto outcome = context.trail.record(plan.act, Phase::outcome, key, KeyState::none, key.state);
    if (plan.failure) {
      outcome.set(Field::result, "failed").set(Field::ckr, code_of(plan.failure));
      context.registry.drop_planned_key(key);
    } else {
      const auto& made = plan.made[i];
      key.delivery = Delivery::released;
      key.created_at = now;
      context.registry.update_key(key, made.wrapped);
      outcome.set(Field::result, "ok")
          .set(Field::ckr, "CKR_OK")
          .set(Field::mechanism, "CKM_AES_KEY_GEN,CKM_AES_KEY_WRAP")
          .set(Field::attributes, made.attributes)
          .set(Field::wrapped_len, made.wrapped.size())
          .set(Field::wrapped_sha256, digest_of_bytes(made.wrapped));
      if (!made.awaiting.empty()) {
        context.registry.set_awaiting(key, made.awaiting);
        outcome.set(Field::sealed_sha256, digest_of_bytes(made.awaiting));
      }
      if (made.sealed) outcome.set(Field::sealed_sha256, digest_of_bytes(made.sealed->blob));
    }
    const auto record = context.trail.append(outcome, key.device);
    if (!plan.failure && plan.made[i].sealed)
      context.registry.set_sealed(key, *plan.made[i].sealed, record);
  }
  context.registry.end_operation(plan.act.operation_id,
                                 plan.failure ? OperationState::failed : OperationState::done);
}

Rotation release(const Config& config, const RotationPlan& plan) {
  std::set<std::uint32_t> numbers;
  for (const auto& key : plan.keys) numbers.insert(key.transfer);
  std::vector<KeyTransfer> transfers;
  for (const auto number : numbers) transfers.push_back(transfer_of(config, plan, number));
  return {plan.act.operation_id, std::move(transfers)};
}

}  // namespace smets1kms::lifecycle
