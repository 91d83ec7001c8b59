// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "lifecycle/key_rules.hpp"
#include "lifecycle/open_intents.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/targets.hpp"
#include "vault/audit_key.hpp"

namespace smets1kms::lifecycle {
namespace {

using registry::Operation;

/// State of the token for one intent of a process that died.
struct IntentState {
  std::optional<Key> key;
  KeyId id;
  std::size_t objects;  ///< found under the id that the intent fixed
};

trail::AuditContext act_of(const Operation& operation) {
  return {.name = op::operation_settle, .operation_id = operation.id};
}

/// Returns how many objects the token has under this id.
std::size_t objects_of(Context& context, const KeyId& id) {
  return vault::with_token([&] { return context.vault->count(id); });
}

/// Returns how many of these objects the token did not destroy.
std::size_t destroy_objects(Context& context, std::span<const KeyId> ids) {
  return vault::with_token([&] { return context.vault->destroy(ids); });
}

/// Records what became of an intent. Returns the record's index.
std::uint64_t record_recovery(Context& context, const Operation& operation,
                              const IntentState& finding, std::string_view result,
                              KeyState from = KeyState::none, KeyState to = KeyState::none) {
  const auto act = act_of(operation);
  const std::string detail = operation.kind + ", objects found " + std::to_string(finding.objects);
  if (finding.key)
    return static_cast<std::uint64_t>(
        context.append(context.trail.record(act, Phase::outcome, *finding.key, from, to),
                       finding.key->device, {{Field::result, result}, {Field::detail, detail}}));
  return static_cast<std::uint64_t>(context.append(context.trail.record(act, Phase::outcome), {},
                                                   {{Field::key_id, finding.id.to_string()},
                                                    {Field::state_from, to_string(from)},
                                                    {Field::state_to, to_string(to)},
                                                    {Field::result, result},
                                                    {Field::detail, detail}}));
}

/// Destroys keys whose outcome was never recorded, and which were thus never released: they are
/// worthless, as their transfer blobs died with the process. The record says that they were there.
std::string recover_made_keys(Context& context, const Operation& operation,
                              std::vector<IntentState>& findings) {
  bool conflict = false;
  std::vector<KeyId> ids;
  for (const auto& finding : findings) {
    conflict = conflict || finding.objects > (operation.before_gap ? 0 : 1);
    ids.push_back(finding.id);
  }
  const bool gone = conflict || ids.empty() || destroy_objects(context, ids) == 0;
  if (!gone)
    throw TokenUnavailable("the token did not destroy what operation " + operation.id +
                           " left; open again when it answers");
  context.in_transaction(act_of(operation), operation.device, [&] {
    for (auto& finding : findings) {
      if (conflict) {  // two objects under one random id: somebody else made one. A person
                       // decides; the operation stays open
        (void)record_recovery(context, operation, finding, "conflict");
      } else if (finding.key && finding.key->state != KeyState::none) {
        Key& key = *finding.key;
        key.record = record_recovery(context, operation, finding,
                                     finding.objects == 0 ? "not-executed" : "taken-back",
                                     key.state, key.state);
        context.registry.update_key(key);
      } else if (finding.objects == 0 || !finding.key || finding.key->transfer == 0) {
        (void)record_recovery(context, operation, finding,
                              finding.objects == 0 ? "not-executed" : "recovered-executed");
        if (finding.key) context.registry.drop_planned_key(*finding.key);
      } else {
        Key& key = *finding.key;
        context.set_state(key, KeyState::pre_active);
        context.set_state(key, KeyState::destroyed);
        key.delivery = Delivery::not_held;
        key.created_at = context.clock.now().utc;
        key.record = record_recovery(context, operation, finding, "recovered-executed",
                                     KeyState::none, KeyState::destroyed);
        context.registry.update_key(key);
        context.registry.detach_from_operation(key);
      }
    }
    if (!conflict) context.end_operation(operation.id, OperationState::failed);
  });
  return conflict ? "CONFLICT, more than one object under one key id; have it looked at"
                  : "nothing of it had been released, and nothing of it is left in the token; run "
                    "it again";
}

/// Completes a destruction that two identities decided before the process died; the token shows
/// what became of each key.
std::string recover_destruction(Context& context, const Operation& operation) {
  std::vector<IntentState> findings;
  std::size_t conflicts = 0;
  for (auto& key : context.registry.listed_keys(operation.id)) {
    const auto objects =
        key.is_sealed ? 1 : objects_of(context, key.id);  // its blob goes with the outcome
    findings.push_back({.key = key, .id = key.id, .objects = objects});
  }
  context.in_transaction(act_of(operation), std::nullopt, [&] {
    for (auto& finding : findings) {
      Key& key = *finding.key;
      const auto from = key.state, to = destroyed_from(from);
      if (is_destroyed(from)) continue;  // an earlier operation destroyed it
      const bool gone = finding.objects == 0,
                 conflict =
                     gone && !is_legal(from,
                                       to);  // somebody has changed its state since it was decided
      if (gone && !conflict) context.set_state(key, to);
      conflicts += conflict ? 1 : 0;
      const auto record = record_recovery(context, operation, finding,
                                          conflict ? "conflict"
                                          : gone   ? "recovered-executed"
                                                   : "not-executed",
                                          from, key.state);
      if (conflict) continue;
      key.record = record;
      context.registry.update_key(key);
      if (gone) context.registry.forget_wrapped(key);
    }
    context.end_operation(operation.id, OperationState::failed);
  });
  context.empty_log();
  if (conflicts != 0)
    return "CONFLICT, " + std::to_string(conflicts) +
           " keys are gone from the token and in use by the registry; have it looked at";
  return "keys gone from the token are recorded as destroyed; run it again for the others";
}

/// Destroys a former audit or storage key, as two identities decided.
std::string recover_former_key(Context& context, const Operation& operation) {
  const KeyId id = KeyId::parse(operation.detail);
  const auto found = objects_of(context, id);
  const auto left = found == 0 ? 0 : destroy_objects(context, std::span(&id, 1));
  if (left != 0)
    throw TokenUnavailable("the token did not destroy the former key " + operation.detail +
                           "; open again when it answers");
  context.in_transaction(act_of(operation), std::nullopt, [&] {
    (void)record_recovery(context, operation, {.key = {}, .id = id, .objects = found},
                          "recovered-executed");
    context.end_operation(operation.id, OperationState::done);
  });
  return "it is gone from the token now";
}

std::string recover_creation(Context& context, const Operation& operation) {
  std::vector<IntentState> findings;
  const auto look = [&](std::optional<Key> key, const KeyId& id) {
    findings.push_back({.key = std::move(key), .id = id, .objects = objects_of(context, id)});
  };
  if (operation.kind == "token-key") {
    look(std::nullopt, KeyId::parse(operation.detail));
    findings.front().objects =
        std::min<std::size_t>(findings.front().objects, 1);  // a pair is two objects under one id
  } else if (operation.kind == op::key_enrol) {  // the blob that waits is kept until the outcome:
                                                 // what was copied is destroyed, and admitted again
    for (const auto& key : context.registry.listed_keys(operation.id))
      if (key.awaits_enrolment) look(key, key.id);
  } else {
    for (const auto& key : operation.device
                               ? context.registry.keys_of_operation(operation.id, *operation.device)
                               : context.registry.listed_keys(operation.id))
      if (key.state == KeyState::none) look(key, key.id);
  }
  return recover_made_keys(context, operation, findings);
}

/// Function that recovers an operation of its kind and says what became of it; any other kind makes
/// keys.
using Recoverer = std::pair<std::string_view, std::string (*)(Context&, const Operation&)>;
constexpr Recoverer recoverers[] = {{op::key_destroy, recover_destruction},
                                    {op::token_compromise, recover_token_compromise},
                                    {target_end, recover_target_end},
                                    {op::audit_key_destroy, recover_former_key},
                                    {token_key_destruction, recover_former_key}};

/// Recovered operations by kind and end; one line tells of all that a batch left in the same way.
using Recovered = std::map<std::pair<std::string, std::string>, std::vector<std::string>>;

/// Records that nothing is done of an operation for which the log does not vouch, and tells the
/// host.
void refuse(Context& context, const Operation& operation, const std::string& why) {
  trail::AuditContext act{.name = op::operation_settle, .operation_id = {}};
  try {
    check_operation_id(act.operation_id = operation.id);
  } catch (const BadInput&) {  // a row that nobody here wrote
    act.operation_id.clear();
  }
  context.transact(
      [&] { context.append_refusal(act, {}, Refused(RefusalReason::differs_from_trail, why)); });
  context.log({.level = LogLevel::warning,
               .event = "operation-without-intent",
               .text = "the registry says that operation " + audit::printable(operation.id, 64) +
                       " (" + audit::printable(operation.kind, 64) + ") is open, and " + why +
                       ": nothing of it is done. Restore the registry from its backup and find out "
                       "who can write to it"});
}

void log_recovered(const Context& context, const Recovered& recovered) {
  for (const auto& [what, ids] : recovered) {
    const auto& [kind, end] = what;
    const std::string which = ids.size() == 1
                                  ? "operation " + ids.front() + " (" + kind + ") was"
                                  : std::to_string(ids.size()) + " operations (" + kind + ", " +
                                        ids.front() + " to " + ids.back() + ") were";
    context.log({.event = "operations-recovered",
                 .text = which + " left unfinished by a process that ended: " + end});
  }
}

void recover(Context& context, std::span<const Operation> open, std::uint64_t covered) {
  Recovered recovered;
  try {
    OpenIntents intents(context, open, covered);
    for (std::size_t done = 0; const auto& operation : open) {
      if (const auto why = intents.contradiction(operation); !why.empty()) {
        refuse(context, operation, why);
        continue;
      }
      const auto* recoverer = std::ranges::find(recoverers, operation.kind, &Recoverer::first);
      recovered[{operation.kind,
                 (recoverer == std::end(recoverers) ? recover_creation : recoverer->second)(
                     context, operation)}]
          .push_back(operation.id);
      context.report("unfinished operations settled", ++done, open.size());
    }
  } catch (...) {
    log_recovered(context, recovered);
    throw;
  }
  log_recovered(context, recovered);
}

}  // namespace

void recover(Context& context) {
  recover(context, context.registry.open_operations(), context.checkpoints.covered_on_opening());
}

void recover_left_open(Context& context) {
  std::set<std::string> ids;
  std::vector<Operation> open;
  context.locked([&] {
    ids = std::exchange(context.left_open, {});
    for (const auto& id : ids)
      if (auto operation = context.registry.operation(id);
          operation && operation->state == OperationState::open)
        open.push_back(*std::move(operation));
  });
  try {
    recover(context, open, UINT64_MAX);
  } catch (...) {
    context.locked([&] { context.left_open.merge(ids); });
    throw;
  }
}

}  // namespace smets1kms::lifecycle
