// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/context.hpp"

#include <algorithm>

#include "lifecycle/fleet_duties.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/rows_against_log.hpp"
#include "lifecycle/token_keys.hpp"

namespace smets1kms::lifecycle {

Context::Context(Config config_, Callbacks callbacks_, vault::Pins pins_, registry::Registry opened)
    : config(std::move(config_)),
      callbacks(std::move(callbacks_)),
      pins(std::move(pins_)),
      clock(callbacks.clock),
      lock(config.database, clock.now().utc),
      registry(std::move(opened)),
      policy(policy_of(config)),
      trail(registry, clock, policy),
      checkpoints(registry) {
  if (config.token.unprotected_for_testing) trail.mark_unprotected();
}

Context::~Context() {
  try {
    (void)checkpoints.anchor_in_token();
  } catch (const std::exception&) {  // the file has the head
  }
  try {
    if (log_is_full) (void)registry.database().empty_log();
  } catch (const std::exception&) {  // empty_log has warned the host
  }
}

bool Context::anchor_in_token() {
  return locked([&] { return checkpoints.anchor_in_token(); });
}

std::int64_t Context::append(audit::Record record, const std::optional<DeviceId>& device,
                             std::initializer_list<std::pair<Field, std::string_view>> facts,
                             const std::optional<Instant>& moment) {
  for (const auto& [field, text] : facts)
    if (!text.empty()) record.set(field, text);
  return moment ? trail.append(record, device, *moment) : trail.append(record, device);
}

void Context::append_refusal(const trail::AuditContext& act, std::optional<DeviceId> device,
                             const Refused& refusal) {
  if (device && refusal.refusal() == RefusalReason::differs_from_trail &&
      !has_sound_head(*this, *device))
    device.reset();  // nothing is chained to a head that contradicts the log
  append(trail.record(act, Phase::note), device,
         {{Field::result, "refused"}, {Field::detail, refusal.reason()}});
}

/// Returns an exception for each thread, to which it adds its operation's id.
static std::exception_ptr copy_of_current_exception() {
  try {
    throw;
  } catch (const TokenUnavailable& error) {
    return std::make_exception_ptr(error);
  } catch (const RefusedByToken& error) {
    return std::make_exception_ptr(error);
  } catch (const Refused& error) {
    return std::make_exception_ptr(error);
  } catch (const std::exception& error) {
    return std::make_exception_ptr(StorageError(error.what()));
  }
}

void Context::commit_group(const std::vector<GroupCommit::Member*>& group) {
  const std::lock_guard lock_registry(registry_mutex);
  try {
    trail.begin();
    sqlite::Transaction transaction(registry.database());
    checkpoints.check_covered();
    for (auto* member : group) {
      const auto new_signer = checkpoints.new_signer();
      trail.end();
      transaction.set_savepoint();
      const auto undo = [&] {
        member->failure = std::current_exception();
        if (transaction.is_ended()) throw;  // by SQLite itself, as on a full disk: with the cause
        transaction.roll_back_to_savepoint();
        trail.begin();
        checkpoints.set_new_signer(new_signer);
      };
      try {
        member->change();
      } catch (const Refused& refusal) {
        undo();
        try {
          if (member->on_refusal) member->on_refusal(refusal);
        } catch (...) {
          undo();
        }
      } catch (...) {
        undo();
      }
    }
    checkpoints.retry_anchor();
    trail.end();
    const auto note = checkpoints.sign();
    transaction.commit();
    if (note) checkpoints.publish(*note);
  } catch (...) {  // nothing of the group is recorded, or its results are withheld
    for (auto* member : group) member->failure = copy_of_current_exception();
  }
}

void Context::set_state(Key& key, KeyState to) const {
  if (!is_legal(key.state, to)) {
    const auto which = in_words(key) + " is " + std::string(to_string(key.state));
    throw Refused(RefusalReason::illegal_transition,
                  key.state == to ? which + " already: nothing was changed"
                                  : which + ": it can't become " + std::string(to_string(to)) +
                                        " (SP 800-57 Part 1, key states)");
  }
  key.state = to;
}

void Context::empty_log() {
  const bool empty = locked([&] { return registry.database().empty_log(); });
  if (!log_is_full.exchange(!empty) && !empty)
    log({.level = LogLevel::warning,
         .event = "write-ahead-log-kept",
         .text = "a reader keeps " + config.database.string() +
                 "-wal open, where what was destroyed may still stand as a blob: end it (a "
                 "listing, an export); the next command that writes empties it"});
}

std::shared_ptr<void> Context::claim_batch(const std::string& name) {
  const std::lock_guard lock_running(running_mutex_);
  if (running_.contains(name))
    throw Refused(RefusalReason::operation_open,
                  "the batch " + name + " is being run by another call");
  return add_running(name);
}

std::shared_ptr<void> Context::claim(const std::string& name) {
  const std::lock_guard lock_running(running_mutex_);
  return add_running(name);
}

std::shared_ptr<void> Context::add_running(const std::string& name) {
  return {nullptr, [this, place = running_.insert(name)](void*) {
            const std::lock_guard lock_running(running_mutex_);
            running_.erase(place);
          }};
}

bool Context::is_running(const std::function<bool(const std::string& name)>& is_meant) {
  const std::lock_guard lock_running(running_mutex_);
  return std::ranges::any_of(running_, is_meant);
}

Device Context::device(DeviceId id) {
  if (auto device = registry.device(id)) return *std::move(device);
  throw Refused(
      RefusalReason::unknown_device,
      id.to_string() + " is not in the registry; 'device import' brings devices with their KEKs");
}

Key Context::key(const KeyRef& ref) {
  (void)device(ref.device);
  for (auto& key : registry.keys(ref.device))
    if (key.role == ref.role && key.generation == ref.generation && key.state != KeyState::none)
      return key;
  throw Refused(RefusalReason::unknown_key, ref.device.to_string() + " has no " +
                                                std::string(to_string(ref.role)) +
                                                " of generation " + std::to_string(ref.generation) +
                                                "; 'device show' lists its keys");
}

vault::KeyName Context::name(const Key& key, SecuritySuite suite) const {
  return {.id = key.id,
          .device = key.device,
          .role = key.role,
          .generation = key.generation,
          .suite = suite,
          .sent = key.transfer == 0};
}

std::string Context::operation_id(const std::string& given) const {
  if (given.empty()) return make_uuid(clock.now().utc);
  check_operation_id(given);
  return given;
}

void Context::put_operation(const trail::AuditContext& act, std::int64_t intent,
                            registry::Operation operation, std::span<const KeyRef> keys) {
  operation.id = act.operation_id;
  if (operation.kind.empty()) operation.kind = act.name;
  operation.intent = static_cast<std::uint64_t>(intent);
  if (operation.state == OperationState::done)
    operation.outcome = static_cast<std::uint64_t>(trail.last_index());
  registry.put_operation(operation, keys);
}

bool Context::is_repeat(const std::string& id, std::string_view kind,
                        const registry::Hash& digest) {
  const auto known = registry.operation(id);
  if (!known || known->state == OperationState::failed) return false;
  if (known->kind != kind || known->digest != digest)
    throw Refused(
        RefusalReason::operation_id_reused,
        "operation id " + id + " was given to another request before; give each request its own");
  const auto record = registry.record(static_cast<std::int64_t>(known->intent));
  if (known->state == OperationState::done &&
      (!record || audit::RecordView::parse(record->bytes).text(Field::op_id) != id))
    throw Refused(
        RefusalReason::differs_from_trail,
        "the registry says that operation " + id +
            " was done, and its audit trail does not: the registry was changed behind our "
            "back. Restore it from its backup and find out who can write to it");
  if (known->state == OperationState::open)
    throw Refused(RefusalReason::operation_open,
                  "operation " + id +
                      " is under way, or was left open by a lost token; opening "
                      "the registry anew settles it");
  return true;
}

}  // namespace smets1kms::lifecycle
