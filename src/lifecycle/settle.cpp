#include <algorithm>
#include <map>
#include <sstream>

#include "lifecycle/operations.hpp"
#include "lifecycle/rules.hpp"
#include "vault/audit_key.hpp"

namespace smets1kms::lifecycle {
namespace {

using audit::Field;
using Phase = Trail::Phase;
using registry::Operation;
using registry::OperationState;

/// What the token showed about one intent of a process that died.
struct Finding {
  std::optional<Key> key;
  KeyId id;
  std::size_t objects;  ///< found under the id that the intent fixed
};

void record_settlement(Core& core, const Operation& operation, const Finding& finding, std::string_view result, KeyState from, KeyState to) {
  const Act act{.name = "operation.settle", .operation_id = operation.id, .authority = {}};
  auto record = finding.key ? core.trail.record(act, Phase::outcome, *finding.key, from, to) : core.trail.record(act, Phase::outcome);
  if (!finding.key) record.set(Field::key_id, finding.id.to_string()).set(Field::state_from, to_string(from)).set(Field::state_to, to_string(to));
  record.set(Field::result, result).set(Field::detail, operation.kind + ", objects found " + std::to_string(finding.objects));
  core.trail.append(record, finding.key ? std::optional(finding.key->device) : std::nullopt);
}

/// Keys whose outcome was never recorded were never released: what the token made of them is worthless
/// (its transfer blob died with the process), so it is destroyed and the record says that it was there.
std::string settle_made_keys(Core& core, const Operation& operation, std::vector<Finding>& findings) {
  bool conflict = false;
  std::vector<KeyId> ids;
  const bool restored = core.registry.setting(before_gap_setting).value_or("").find(operation.id + ";") != std::string::npos;
  for (const auto& finding : findings) {
    conflict = conflict || finding.objects > (restored ? 0 : 1);
    ids.push_back(finding.id);
  }
  const bool gone = conflict || ids.empty() || with_token([&] { return core.vault->destroy(ids); }) == 0;
  if (!gone) throw TokenUnavailable("the token did not destroy what operation " + operation.id + " left; open again when it answers");
  core.record_change({.name = "operation.settle", .operation_id = operation.id, .authority = {}}, operation.device, [&] {
    for (auto& finding : findings) {
      if (conflict) {  // two objects under one random id: somebody else made one. A person decides; the operation stays open
        record_settlement(core, operation, finding, "conflict", KeyState::none, KeyState::none);
      } else if (finding.key && finding.key->state != KeyState::none) {
        record_settlement(core, operation, finding, finding.objects == 0 ? "not-executed" : "taken-back", finding.key->state, finding.key->state);
      } else if (finding.objects == 0 || !finding.key || finding.key->transfer == 0) {
        record_settlement(core, operation, finding, finding.objects == 0 ? "not-executed" : "recovered-executed", KeyState::none, KeyState::none);
        if (finding.key) core.registry.drop_planned_key(*finding.key);
      } else {
        Key& key = *finding.key;
        core.set_state(key, KeyState::pre_active);
        core.set_state(key, KeyState::destroyed);
        key.delivery = Delivery::not_held;
        key.created_at = core.clock.now().utc;
        core.registry.update_key(key);
        core.registry.detach_from_operation(key);
        record_settlement(core, operation, finding, "recovered-executed", KeyState::none, KeyState::destroyed);
      }
    }
    if (!conflict) core.registry.end_operation(operation.id, OperationState::failed);
  });
  return conflict ? "CONFLICT, more than one object under one key id; have it looked at"
                  : "nothing of it had been released, and nothing of it is left in the token; run it again";
}

std::vector<KeyRef> parse_list(const std::string& list) {
  std::vector<KeyRef> refs;
  std::stringstream in(list);
  for (std::string device, role, generation; std::getline(in, device, '/') && std::getline(in, role, '/') && std::getline(in, generation, ';');)
    refs.push_back({.device = DeviceId::parse(device), .role = parse_role(role), .generation = static_cast<std::uint32_t>(std::stoul(generation))});
  return refs;
}

/// A destruction was decided, by two identities, before the process died: each key is what the token shows.
std::string settle_destruction(Core& core, const Operation& operation) {
  std::vector<Finding> findings;
  std::size_t conflicts = 0;
  for (const auto& ref : parse_list(operation.detail)) {
    Key key = core.key(ref);
    const auto objects = key.is_sealed ? 1 : with_token([&] { return core.vault->count(key.id); });  // its blob goes with the outcome
    findings.push_back({.key = key, .id = key.id, .objects = objects});
  }
  core.record_change({.name = "operation.settle", .operation_id = operation.id, .authority = {}}, std::nullopt, [&] {
    for (auto& finding : findings) {
      Key& key = *finding.key;
      const auto from = key.state, to = from == KeyState::compromised ? KeyState::destroyed_compromised : KeyState::destroyed;
      if (from == KeyState::destroyed || from == KeyState::destroyed_compromised) continue;  // by an earlier operation
      const bool gone = finding.objects == 0, conflict = gone && !is_legal(from, to);        // somebody has changed its state since it was decided
      if (gone && !conflict) {
        core.set_state(key, to);
        core.registry.update_key(key);
        core.registry.forget_wrapped(key);
      }
      conflicts += conflict ? 1 : 0;
      record_settlement(core, operation, finding, conflict ? "conflict" : gone ? "recovered-executed" : "not-executed", from, key.state);
    }
    core.registry.end_operation(operation.id, OperationState::failed);
  });
  core.empty_log();
  if (conflicts != 0) return "CONFLICT, " + std::to_string(conflicts) + " keys are gone from the token and in use by the registry; have it looked at";
  return "keys gone from the token are recorded as destroyed; run it again for the others";
}

/// A former audit or storage key: that it goes was decided by two identities.
std::string settle_former_key(Core& core, const Operation& operation) {
  const KeyId id = KeyId::parse(operation.detail);
  const auto found = with_token([&] { return core.vault->count(id); });
  const auto left = found == 0 ? 0 : with_token([&] { return core.vault->destroy(std::span(&id, 1)); });
  if (left != 0) throw TokenUnavailable("the token did not destroy the former key " + operation.detail + "; open again when it answers");
  core.record_change({.name = "operation.settle", .operation_id = operation.id, .authority = {}}, std::nullopt, [&] {
    record_settlement(core, operation, {.key = {}, .id = id, .objects = found}, "recovered-executed", KeyState::none, KeyState::none);
    core.registry.end_operation(operation.id, OperationState::done);
  });
  return "it is gone from the token now";
}

std::string settle_making(Core& core, const Operation& operation) {
  std::vector<Finding> findings;
  const auto look = [&](std::optional<Key> key, const KeyId& id) {
    findings.push_back({.key = std::move(key), .id = id, .objects = with_token([&] { return core.vault->count(id); })});
  };
  if (operation.kind == "token-key") {
    look(std::nullopt, KeyId::parse(operation.detail));
    findings.front().objects = std::min<std::size_t>(findings.front().objects, 1);  // a pair is two objects under one id
  } else if (operation.kind == "key.enrol") {  // the blob that waits is kept until the outcome: what was copied is destroyed, and admitted again
    for (const auto& ref : parse_list(operation.detail))
      if (const Key key = core.key(ref); key.awaits_enrolment) look(key, key.id);
  } else {
    for (const auto& key : core.registry.keys_of_operation(operation.id, operation.device))
      if (key.state == KeyState::none) look(key, key.id);
  }
  return settle_made_keys(core, operation, findings);
}

/// What settles an operation and says what became of it, by its kind; any other makes keys.
using Settler = std::pair<std::string_view, std::string (*)(Core&, const Operation&)>;
constexpr Settler settlers[] = {{key_destruction, settle_destruction},
                                {"token.compromise", settle_token_compromise},
                                {audit_key_destruction, settle_former_key},
                                {token_key_destruction, settle_former_key}};

/// What became of what, by kind and end; a batch leaves many in the same way, and one line tells of them.
using Settled = std::map<std::pair<std::string, std::string>, std::vector<std::string>>;

void tell(const Core& core, const Settled& settled) {
  if (!core.surroundings.log) return;
  for (const auto& [what, ids] : settled) {
    const auto& [kind, end] = what;
    const std::string which = ids.size() == 1 ? "operation " + ids.front() + " (" + kind + ") was"
                                              : std::to_string(ids.size()) + " operations (" + kind + ", " + ids.front() + " to " + ids.back() + ") were";
    core.surroundings.log(which + " left unfinished by a process that ended: " + end);
  }
}

}  // namespace

void settle(Core& core) {
  Settled settled;
  try {
    for (const auto& operation : core.registry.open_operations()) {
      const auto* settler = std::ranges::find(settlers, operation.kind, &Settler::first);
      settled[{operation.kind, (settler == std::end(settlers) ? settle_making : settler->second)(core, operation)}].push_back(operation.id);
    }
  } catch (...) {
    tell(core, settled);
    throw;
  }
  tell(core, settled);
}

}  // namespace smets1kms::lifecycle
