// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/targets.hpp"

#include <algorithm>

#include "base/enum_names.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/recorded_keys.hpp"
#include "lifecycle/rows_against_log.hpp"
#include "lifecycle/target_certificate.hpp"

namespace smets1kms {

static constexpr EnumNames<TargetStatus, 4> target_statuses{
    {"admitted", "replaced", "retired", "compromised"}};
std::string_view to_string(TargetStatus status) { return target_statuses.name(status); }

bool HandoverTarget::takes(KeyRole role) const {
  return role != KeyRole::kek && std::ranges::find(roles, role) != roles.end();
}

Bytes Handover::challenge() const {
  const auto digest = audit::sha256(wrapped);
  return {digest.begin(), digest.end()};
}

namespace lifecycle {
namespace {

bool is_admitted(const registry::Target& target) {
  return target.info.status == TargetStatus::admitted;
}

/// True if what is stored for a target may still be handed out.
bool is_served(const registry::Target* target) {
  return target != nullptr &&
         (is_admitted(*target) || target->info.status == TargetStatus::replaced);
}

/// Returns in what a target's row differs from the record that it names; empty: in nothing.
std::string difference(Context& context, const registry::Target& target,
                       const TargetCertificate& certificate) {
  const auto entry = context.registry.record(target.record);
  audit::Record record;
  try {
    if (entry) record = audit::Record::decode(entry->bytes);
  } catch (const std::invalid_argument&) {  // equal to nothing
  }
  const auto& info = target.info;
  const auto facts = admission_facts(info, target.keep);
  const bool same =
      record.text(Field::op) == op::target_admit && record.text(Field::phase) == "outcome" &&
      record.text(Field::result) == "ok" && record.text(Field::key_id) == info.id.to_string() &&
      record.text(Field::certificate_sha256) == certificate.fingerprint &&
      record.text(Field::public_key_sha256) ==
          audit::to_hex(audit::sha256(certificate.public_key)) &&
      std::ranges::all_of(facts,
                          [&](const auto& fact) { return record.text(fact.first) == fact.second; });
  return same ? ""
              : "the handover target " + info.label() +
                    " in the registry is not the one that the trail recorded when it was admitted";
}

/// Calls `visit` with each admitted target that takes a role.
template <class Visit>
void for_each_target(const Context& context, KeyRole role, Visit visit) {
  for (const auto& target : context.targets)
    if (is_admitted(target) && target.info.takes(role)) visit(target.info);
}

Handover handover_of(const HandoverTarget& target, const Key& key, Bytes wrapped) {
  return {.device = key.device,
          .role = key.role,
          .generation = key.generation,
          .key = key.id,
          .target = target.name,
          .target_generation = target.generation,
          .hash = target.hash,
          .wrapped = std::move(wrapped),
          .transfer = key.transfer};
}

}  // namespace

vault::TargetKey key_of(const registry::Target& target, const TargetCertificate& certificate) {
  return {.id = target.info.id,
          .label = target.info.label(),
          .modulus = certificate.modulus,
          .public_exponent = certificate.public_exponent,
          .roles = target.info.roles,
          .hash = vault::parse_oaep_hash(target.info.hash),
          .keep = target.keep};
}

AdmissionFacts admission_facts(const HandoverTarget& target, VaultKind keep) {
  return {{Field::target, target.label()},
          {Field::roles, names_of(target.roles)},
          {Field::mechanism, "CKM_RSA_PKCS_OAEP," + target.hash},
          {Field::detail, std::string("vault ") + (keep == VaultKind::token ? "token" : "sealed") +
                              (target.before_transfer ? ", before-transfer" : "")}};
}

void use_targets(Context& context) {
  std::vector<vault::TargetKey> keys;
  context.locked([&] {
    context.targets = registry::HandoverTables(context.registry.database()).targets();
    context.target_fault.clear();
    for (const auto& target : context.targets) {
      try {
        const auto certificate = read_certificate(target.certificate);
        if (context.target_fault.empty())
          context.target_fault = difference(context, target, certificate);
        if (!is_admitted(target)) continue;
        if (&target != newest_target(context, target.info.name) && context.target_fault.empty())
          context.target_fault = "the handover target " + target.info.label() +
                                 " in the registry is admitted, and another took its place";
        keys.push_back(key_of(target, certificate));
      } catch (const BadInput& error) {
        context.target_fault = "the handover target " + target.info.label() + ": " + error.what();
      }
    }
  });
  if (context.vault) context.vault->targets().use(std::move(keys));
}

void check_targets(const Context& context) {
  if (context.target_fault.empty()) return;
  throw Refused(RefusalReason::differs_from_trail,
                context.target_fault +
                    ": the registry was changed behind our back. Nothing is wrapped; restore the "
                    "registry from its backup and find out who can write to it");
}

void check_targets_fit(const Context& context, const RotationPlan& plan) {
  if (!plan.kek_at_rest->sealed || context.config.token.enrolment == EnrolmentMode::plain) return;
  for (const auto& target : context.targets)
    for (const auto role : plan.request.roles)
      if (is_admitted(target) && target.keep == VaultKind::token && target.info.takes(role))
        throw Refused(RefusalReason::target_of_other_vault,
                      "the handover target " + target.info.label() +
                          " was admitted while keys rested in the token, and the KEK of " +
                          plan.device->id.to_string() +
                          " is sealed: what is made under it can't be wrapped for that public key. "
                          "Have the security officer admit its certificate again");
}

const registry::Target* find_target(const Context& context, std::string_view label) {
  const auto found = std::ranges::find_if(
      context.targets, [&](const auto& target) { return target.info.label() == label; });
  return found == context.targets.end() ? nullptr : &*found;
}

const registry::Target* newest_target(const Context& context, std::string_view name) {
  const registry::Target* last = nullptr;
  for (const auto& target : context.targets)
    if (target.info.name == name) last = &target;
  return last;
}

registry::Target admitted_target(const Context& context, const std::string& name) {
  for (const auto& target : context.targets)
    if (is_admitted(target) && target.info.name == name) return target;
  throw Refused(RefusalReason::unknown_target,
                "there is no handover target '" + name + "' that is admitted");
}

bool waits_for_receipts(const Context& context, const RotationPlan& plan, std::uint32_t transfer) {
  bool waits = false;
  for (const auto& key : plan.keys)
    if (key.transfer == transfer)
      for_each_target(context, key.role,
                      [&](const auto& target) { waits = waits || target.before_transfer; });
  return waits;
}

std::string store_handovers(Context& context, RotationPlan& plan, const Key& key,
                            const std::vector<vault::WrappedForTarget>& wrapped) {
  registry::HandoverTables tables(context.registry.database());
  std::string text;
  for (const auto& each : wrapped) {
    const auto& target = find_target(context, each.label)->info;
    text += (text.empty() ? "" : ",") + each.label + ":" + target.hash + ":" +
            digest_of_bytes(each.wrapped) + (target.before_transfer ? ":before-transfer" : "");
    tables.add({.key = key.ref(),
                .target = target.name,
                .target_generation = target.generation,
                .wrapped = each.wrapped,
                .received_at = {}});
    plan.handovers.push_back(handover_of(target, key, each.wrapped));
  }
  return text;
}

bool is_for_all_targets(const Context& context, const RotationPlan& plan) {
  for (std::size_t i = 0; i < plan.keys.size(); ++i) {
    std::vector<std::string> now, then;
    for_each_target(context, plan.keys[i].role,
                    [&](const auto& target) { now.push_back(target.label()); });
    for (const auto& each : plan.made[i].handovers) then.push_back(each.label);
    if (now != then) return false;
  }
  return true;
}

Handover stored_handover(Context& context, const Key& key, const registry::HandedKey& handed) {
  const auto* target = find_target(context, handed.label());
  if (!is_served(target))
    throw Refused(RefusalReason::unknown_target, in_words(key) + " was wrapped for the target " +
                                                     handed.label() +
                                                     ", which is not admitted any more");
  if (is_destroyed(key.state) || is_compromised(key.state))
    throw Refused(
        is_destroyed(key.state) ? RefusalReason::destroyed : RefusalReason::compromised,
        in_words(key) + " is " + std::string(to_string(key.state)) + ": it is not handed over");
  check_row(context, key);
  const auto making = recorded_making(context, key);
  const auto recorded = making.handover(handed.label());
  if (!recorded || recorded->hash != target->info.hash ||
      recorded->sha256 != digest_of_bytes(handed.wrapped))
    throw Refused(RefusalReason::differs_from_trail,
                  in_words(key) + " wrapped for " + handed.label() +
                      " in the registry is not what the trail recorded when it was made: the "
                      "registry was changed behind our back. It is not handed out; restore the "
                      "registry from its backup and find out who can write to it");
  return handover_of(target->info, key, handed.wrapped);
}

void add_stored_handovers(Context& context, RotationPlan& plan, const Key& key) {
  for (const auto& handed : registry::HandoverTables(context.registry.database()).of_key(key.ref()))
    if (is_served(find_target(context, handed.label())) && !handed.wrapped.empty())
      plan.handovers.push_back(stored_handover(context, key, handed));
}

void record_handed_out_again(Context& context, const Key& key, const Handover& handover) {
  const trail::AuditContext act{.name = op::handover_release_again, .operation_id = key.operation};
  const auto label = target_label(handover.target, handover.target_generation);
  context.append(context.trail.record(act, Phase::note, key), key.device,
                 {{Field::target, label}, {Field::result, "handed-out-again"}});
}

}  // namespace lifecycle
}  // namespace smets1kms
