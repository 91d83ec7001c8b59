// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "audit/text.hpp"
#include "base/text_reader.hpp"
#include "lifecycle/key_manager_impl.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/rows_against_log.hpp"
#include "lifecycle/targets.hpp"

/// End of a handover target: by its renewal, its retirement, or a suspicion.
namespace smets1kms::lifecycle {
namespace {

constexpr std::size_t keys_at_once = 500;  // share a transaction

/// Marks keys that the target was handed, as many as share a transaction; false: these were the
/// last.
bool mark_some(Context& context, registry::Operation& operation, TargetEnd& end) {
  const auto act = suspicion_act(op::key_compromise, operation.id, end.authority);
  return context.in_transaction(act, std::nullopt, [&] {
    registry::HandoverTables tables(context.registry.database());
    const auto keys = tables.handed_to(end.name, end.marked, keys_at_once);
    const auto moment = context.trail.moment();
    for (const auto& key : keys) {
      end.marked = key.ref();
      if (is_compromised(key.state)) continue;
      const auto handed = tables.of_key(key.ref());
      const auto label = std::ranges::find(handed, end.name, &registry::HandedKey::target)->label();
      try {
        check_handed(context, key, label);
        mark_compromised(context, act, key, "compromised-through-target", end.suspicion, moment,
                         label);
        ++end.keys;
      } catch (const Refused& refusal) {  // its rows contradict the log; the others are marked
        context.append_refusal(act, key.device, refusal);
      }
    }
    operation.detail = end.text();
    context.registry.put_operation(operation);
    return keys.size() == keys_at_once;
  });
}

void destroy_object(Context& context, const trail::AuditContext& act, const std::string& id) {
  const auto key = KeyId::parse(id);
  if (with_token(act, [&] { return context.vault->destroy(std::span(&key, 1)); }) != 0)
    throw RefusedByToken("C_DestroyObject", "CKR_OK",
                         "the public key " + id +
                             " of a handover target is still in the token; the operation stays "
                             "open, and opening the registry anew settles it");
}

}  // namespace

std::string TargetEnd::text() const {
  return name + "\n" + label + "\n" + id + "\n" + (forget ? "forget" : "") + "\n" +
         (marked ? name_of(*marked) : "") + "\n" + std::to_string(keys) + "\n" +
         authority.requested_by + "\n" + authority.authorised_by + "\n" + authority.reference +
         "\n" + suspicion;
}

TargetEnd TargetEnd::parse(const std::string& detail) {
  auto lines = split(detail, '\n');
  lines.resize(10);
  const auto text = [&](std::size_t i) { return std::string(lines[i]); };
  TargetEnd end{.name = text(0),
                .label = text(1),
                .id = text(2),
                .forget = lines[3] == "forget",
                .keys = audit::parse_number(lines[5]).value_or(0),
                .authority = {text(6), text(7), text(8)},
                .suspicion = text(9)};
  if (const auto key = split(lines[4], '/'); key.size() == 3)
    end.marked = {DeviceId::parse(key[0]), parse_role(key[1]),
                  static_cast<std::uint32_t>(audit::parse_number(key[2]).value_or(0))};
  return end;
}

void begin_target_end(Context& context, const trail::AuditContext& act, const TargetEnd& end,
                      std::int64_t intent, const registry::Hash& digest) {
  if (!end.id.empty()) {
    const auto index =
        context.append(context.trail.record(act.as(op::target_destroy), Phase::intent), {},
                       {{Field::key_id, end.id}, {Field::target, end.label}});
    if (intent < 0) intent = index;
  }
  context.put_operation(act, intent,
                        {.kind = std::string(target_end), .digest = digest, .detail = end.text()});
}

TargetEnd end_target(Context& context, registry::Operation operation) {
  auto end = TargetEnd::parse(operation.detail);
  const trail::AuditContext act{
      .name = op::target_destroy, .operation_id = operation.id, .authority = end.authority};
  if (!end.id.empty()) destroy_object(context, act, end.id);
  while (!end.suspicion.empty() && mark_some(context, operation, end))
    context.report("keys marked", end.keys);
  std::optional<registry::HandedAfter> last;
  if (end.forget) do
      context.in_transaction(act, std::nullopt, [&] {
        last = registry::HandoverTables(context.registry.database())
                   .forget_some(end.name, last, keys_at_once);
      });
    while (last);
  context.in_transaction(act, std::nullopt, [&] {
    if (!end.id.empty())
      context.append(context.trail.record(act, Phase::outcome), {},
                     {{Field::key_id, end.id},
                      {Field::target, end.label},
                      {Field::result, "ok"},
                      {Field::detail, "absence-checked"}});
    context.end_operation(operation.id, OperationState::done);
  });
  if (end.forget) context.empty_log();
  return end;
}

std::string recover_target_end(Context& context, const registry::Operation& operation) {
  const auto end = end_target(context, operation);
  return "the handover target " + end.name + " is ended now" +
         (end.suspicion.empty() ? "" : ", " + std::to_string(end.keys) + " keys are marked");
}

}  // namespace smets1kms::lifecycle

namespace smets1kms {

TargetCompromiseResult KeyManager::compromise_target(const std::string& name,
                                                     const std::string& suspicion,
                                                     const Authority& authority,
                                                     const std::string& given_id) {
  auto& context = impl_->context;
  check_suspicion(suspicion);
  const auto act = suspicion_act(op::target_compromise, context.operation_id(given_id), authority);
  const auto begin = [&] {
    check_authority(authority);
    const auto digest = digest_of({act.name, name, suspicion});
    const auto known = context.registry.operation(act.operation_id);
    if (known && known->digest == digest) return *known;
    (void)context.is_repeat(act.operation_id, target_end, digest);  // throws for another request
    TargetEnd end{
        .name = name, .label = {}, .id = {}, .authority = authority, .suspicion = suspicion};
    const auto* last = newest_target(context, name);
    if (last == nullptr)
      throw Refused(RefusalReason::unknown_target,
                    "there never was a handover target '" + name + "'");
    if (last->info.status == TargetStatus::compromised)
      throw Refused(RefusalReason::illegal_transition,
                    "the handover target " + name + " is suspected already: nothing was changed");
    if (last->info.status == TargetStatus::admitted) {
      end.label = last->info.label();
      end.id = last->info.id.to_string();
    }
    const auto intent = context.append(context.trail.record(act, Phase::note), {},
                                       {{Field::target, last->info.label()},
                                        {Field::result, "compromised"},
                                        {Field::detail, suspicion},
                                        {Field::notify, to_notify}});
    registry::HandoverTables tables(context.registry.database());
    for (auto& target : context.targets)  // at once: outcomes of other threads follow
      if (target.info.name == name)
        tables.set_status(target.info, target.info.status = TargetStatus::compromised);
    begin_target_end(context, act, end, intent, digest);
    return *context.registry.operation(act.operation_id);
  };
  registry::Operation operation;
  try {
    operation = context.in_transaction(act, std::nullopt, begin);
  } catch (...) {
    use_targets(context);
    throw;
  }
  use_targets(context);
  const auto done = operation.state == OperationState::open ? end_target(context, operation)
                                                            : TargetEnd::parse(operation.detail);
  return {.operation_id = operation.id, .keys = done.keys};
}

}  // namespace smets1kms
