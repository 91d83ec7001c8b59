// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <sstream>

#include "audit/text.hpp"
#include "lifecycle/key_change.hpp"
#include "lifecycle/key_manager_impl.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {

trail::AuditContext suspicion_act(std::string_view name, const std::string& operation_id,
                                  const Authority& authority) {
  return {.name = name,
          .operation_id = operation_id,
          .authority = authority,
          .reason = "suspected-compromise"};
}

void check_suspicion(const std::string& suspicion) {
  if (suspicion.empty() || suspicion.size() > 200 || audit::printable(suspicion, 200) != suspicion)
    throw BadInput(
        "the suspicion is 1 to 200 printable ASCII characters without quotes, backslashes or a "
        "blank at an end: what "
        "happened?");
}

void mark_compromised(Context& context, const trail::AuditContext& act, const Key& key,
                      std::string_view result, const std::string& suspicion, const Instant& moment,
                      std::string_view target) {
  change_key(
      context, act, key,
      {.state = is_destroyed(key.state) ? KeyState::destroyed_compromised : KeyState::compromised,
       .result = result,
       .detail = suspicion,
       .notify = to_notify,
       .target = target},
      moment);
}

namespace {

constexpr std::size_t devices_marked_at_once =
    500;  // share a transaction when a token's keys are marked

/// Returns a key and all keys that its thief can read: those wrapped under it, its successor as
/// KEK, and those wrapped under that; a KEK that was moved is the same key under another id.
std::vector<Key> known_with(const Key& first, std::vector<Key> all) {
  std::vector<Key> known{first};
  for (std::size_t i = 0; i < known.size(); ++i)
    for (const auto& each : all) {
      const bool goes_with =
          each.kek == known[i].id || is_moved(each, known[i]) || is_moved(known[i], each);
      if (goes_with && each.state != KeyState::none &&
          std::ranges::none_of(known, [&](const Key& one) { return one.id == each.id; }))
        known.push_back(each);
    }
  return known;
}

/// Marking of a token's keys: what it has done, and who decided it. Kept with its operation.
struct Marking {
  TokenCompromiseResult done{};
  std::optional<DeviceId> last{};  ///< marked by this process
  Authority authority;
  std::string suspicion;

  [[nodiscard]] std::string text() const {
    return std::to_string(done.devices) + "\n" + std::to_string(done.keys) + "\n" +
           authority.requested_by + "\n" + authority.authorised_by + "\n" + authority.reference +
           "\n" + suspicion;
  }
  /// A row's progress is not believed: marking begins with the first device, and passes over what
  /// is marked. The counts are the row's.
  static Marking parse(const registry::Operation& operation) {
    std::istringstream in(operation.detail);
    Marking result;
    std::string devices, keys;
    for (auto* line :
         {&devices, &keys, &result.authority.requested_by, &result.authority.authorised_by,
          &result.authority.reference, &result.suspicion})
      std::getline(in, *line);
    result.done = {.operation_id = operation.id,
                   .devices = audit::parse_number(devices).value_or(0),
                   .keys = audit::parse_number(keys).value_or(0)};
    return result;
  }
};

/// Marks the keys of one transaction; false where these were the last.
bool mark_some(Context& context, const trail::AuditContext& act, registry::Operation& operation,
               Marking& marking) {
  const auto devices = context.registry.devices_after(marking.last, devices_marked_at_once);
  const auto moment = context.trail.moment();
  for (const auto& device : devices) {
    const auto before = marking.done.keys;
    for (const auto& key : context.registry.keys(device.id)) {
      // Also one that its device uses no longer, or that is destroyed: a thief who has its KEK can
      // read what was sent once.
      if (key.state == KeyState::none || is_compromised(key.state)) continue;
      try {
        mark_compromised(context, act, key, "compromised-through-token", marking.suspicion, moment);
        ++marking.done.keys;
      } catch (const Refused& refusal) {  // its row contradicts the log; the others are marked
        context.append_refusal(act, device.id, refusal);
      }
    }
    marking.done.devices += marking.done.keys != before ? 1 : 0;
    marking.last = device.id;
  }
  const bool more = devices.size() == devices_marked_at_once;
  operation.state = more ? OperationState::open : OperationState::done;
  operation.outcome = more ? 0 : static_cast<std::uint64_t>(context.trail.last_index());
  operation.detail = marking.text();
  context.registry.put_operation(operation);
  return more;
}

/// Marks all keys. Nothing is wrapped before it has ended; the next opening completes the marking
/// of a process that dies.
TokenCompromiseResult mark_all(Context& context, registry::Operation operation) {
  ++context.token_suspected;  // also where the marking fails
  Marking marking = Marking::parse(operation);
  const trail::AuditContext act =
      suspicion_act(op::key_compromise, operation.id, marking.authority);
  const auto total = context.locked([&] { return context.registry.device_count(); });
  for (std::size_t seen = 0;; seen += devices_marked_at_once) {
    const bool more = context.in_transaction(
        act, std::nullopt, [&] { return mark_some(context, act, operation, marking); });
    context.report("devices whose keys are marked", more ? seen + devices_marked_at_once : total,
                   total);
    if (!more) break;
  }
  --context.token_suspected;
  return marking.done;
}

}  // namespace

std::string compromise_differs(const registry::Operation& operation,
                               const audit::Record& decision) {
  const auto marking = Marking::parse(operation);
  const auto& [requested_by, authorised_by, reference] = marking.authority;
  return decision.text(Field::requested_by) == requested_by &&
                 decision.text(Field::authorised_by) == authorised_by &&
                 decision.text(Field::reference) == reference &&
                 decision.text(Field::detail) == marking.suspicion
             ? ""
             : "the log says otherwise of who decided it, and why";
}

std::string recover_token_compromise(Context& context, const registry::Operation& operation) {
  const auto done = mark_all(context, operation);
  return "it is done now, " + std::to_string(done.keys) + " keys of " +
         std::to_string(done.devices) + " devices are marked";
}

}  // namespace smets1kms::lifecycle

namespace smets1kms {

CompromiseResult KeyManager::compromise(const KeyRef& ref, const std::string& suspicion,
                                        const Authority& authority, const std::string& given_id) {
  auto& context = impl_->context;
  check_suspicion(suspicion);
  const trail::AuditContext act =
      suspicion_act(op::key_compromise, context.operation_id(given_id), authority);
  return context.in_transaction(act, ref.device, [&] {
    check_authority(authority);
    CompromiseResult result;
    const auto digest = digest_of({act.name, name_of(ref), suspicion});
    const Key key = context.key(ref);
    const bool repeat = context.is_repeat(act.operation_id, act.name, digest);
    const auto moment = context.trail.moment();
    const auto intent = context.trail.last_index() + 1;
    for (const auto& each : known_with(key, context.registry.keys(ref.device))) {
      const bool is_meant = each.id == key.id;
      if (!is_compromised(each.state))
        mark_compromised(context, act, each, is_meant ? "compromised" : "compromised-through-kek",
                         suspicion, moment);
      else if (is_meant && !repeat)
        throw Refused(RefusalReason::illegal_transition,
                      name_of(ref) + " is " + std::string(to_string(each.state)) + " already");
      result.compromised.push_back(each.ref());
    }
    if (!repeat)
      context.put_operation(act, intent,
                            {.device = ref.device, .digest = digest, .state = OperationState::done},
                            result.compromised);
    return result;
  });
}

TokenCompromiseResult KeyManager::compromise_token(const std::string& suspicion,
                                                   const Authority& authority,
                                                   const std::string& given_id) {
  auto& context = impl_->context;
  check_suspicion(suspicion);
  const trail::AuditContext act =
      suspicion_act(op::token_compromise, context.operation_id(given_id), authority);
  bool begun_here = false;
  const auto begin = [&] {
    check_authority(authority);
    const auto digest = digest_of({act.name, suspicion});
    if (context.is_repeat(act.operation_id, act.name, digest))
      return *context.registry.operation(act.operation_id);
    const Marking marking{.authority = authority, .suspicion = suspicion};
    const auto intent = context.append(
        context.trail.record(act, Phase::note), {},
        {{Field::result, "compromised"}, {Field::detail, suspicion}, {Field::notify, to_notify}});
    context.put_operation(act, intent, {.digest = digest, .detail = marking.text()});
    ++context.token_suspected;
    begun_here = true;
    return *context.registry.operation(act.operation_id);
  };
  registry::Operation operation;
  try {
    operation = context.in_transaction(act, std::nullopt, begin);
  } catch (...) {
    const std::lock_guard lock(context.registry_mutex);
    // Nothing has begun unless it is recorded; it may be recorded although its head could not be
    // anchored.
    if (begun_here && !context.registry.operation(act.operation_id)) --context.token_suspected;
    throw;
  }
  if (operation.state == OperationState::done) return Marking::parse(operation).done;
  const auto done = mark_all(context, operation);
  if (begun_here) --context.token_suspected;
  return done;
}

}  // namespace smets1kms
