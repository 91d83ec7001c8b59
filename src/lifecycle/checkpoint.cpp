#include "audit/log.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/rules.hpp"
#include "lifecycle/token_key.hpp"
#include "vault/audit_key.hpp"

namespace smets1kms::lifecycle {
namespace {

using audit::Field;
using Phase = Trail::Phase;

constexpr std::string_view map_setting = "audit.device_map", map_time_setting = "audit.device_map_at";

void note(Core& core, std::string_view name, const std::string& detail) {
  auto record = core.trail.record({.name = name, .operation_id = core.operation_id({}), .authority = {}}, Phase::note);
  record.set(Field::detail, detail);
  core.trail.append(record, std::nullopt);
}

/// Every device's last record, as one hash: that a device had these records and no others.
void state_map(Core& core) {
  registry::LogTables tables(core.registry.database());
  audit::CompactRange lines;
  tables.each_last_record([&](const registry::LastRecord& last) {
    lines.append(audit::leaf_hash(audit::DeviceHead{.device = last.device, .sequence = last.sequence, .index = last.index, .leaf = last.leaf}.format()));
  });
  const auto covered = core.trail.append_map({.name = "audit.device-map", .operation_id = core.operation_id({}), .authority = {}}, [&](std::uint64_t index) {
    return audit::MapStatement{.records = index, .devices = lines.size(), .root = lines.root()}.format();
  });
  core.registry.set_setting(map_setting, std::to_string(covered));
  core.registry.set_setting(map_time_setting, std::to_string(core.clock.now().utc.time_since_epoch().count()));
}

void check_authority_recorded(Core& core, const Act& act) {
  core.record_change(act, std::nullopt, [&] { check_authority(act.authority); });
}

}  // namespace

void open_heads(Core& core, const Authority* after_restore) {
  const auto rolled = core.heads.open(core.token, core.config);
  if (!rolled) {
    if (after_restore != nullptr) throw BadInput("no anchor has a head that this registry's audit trail lacks: there is no gap to record");
    return;
  }
  if (after_restore == nullptr)
    throw NotRecorded(
        "the registry " + core.config.database.string() + " is an older copy, or went another way: " + rolled->where + " has a signed head of " +
        std::to_string(rolled->lost.size) +
        " records that its audit trail does not have. Nothing is done on it. Find the right file; if this one was restored from a backup on purpose, "
        "'smets1-kms checkpoint --after-restore' records the gap, under two identities, and goes on");
  const Act act{.name = "audit.gap", .operation_id = core.operation_id({}), .authority = *after_restore};
  check_authority_recorded(core, act);
  core.record_change(act, std::nullopt, [&] {
    // What was open in the copy may have been finished, released and confirmed since: it is a person's to judge.
    std::string open;
    for (const auto& operation : core.registry.open_operations()) open += operation.id + ";";
    core.registry.set_setting(before_gap_setting, core.registry.setting(before_gap_setting).value_or("") + open);
    core.heads.accept_gap();
    auto record = core.trail.record(act, Phase::note);
    record.set(Field::detail, "lost-head " + std::to_string(rolled->lost.size) + " " + audit::to_hex(rolled->lost.root));
    core.trail.append(record, std::nullopt);
  });
  (void)core.anchor_in_token();
}

std::string checkpoint(Core& core) {
  if (!core.heads.is_open()) throw Refused("no-audit-key", "the audit trail is not signed yet: run 'smets1-kms init'");
  core.record_change({.name = "audit.heartbeat", .operation_id = "", .authority = {}}, std::nullopt, [&] {
    state_map(core);
    note(core, "audit.heartbeat", "interval-s " + std::to_string(std::chrono::seconds(core.config.audit.heartbeat).count()));
  });
  if (!core.anchor_in_token())
    core.record_change({.name = "audit.anchor", .operation_id = "", .authority = {}}, std::nullopt,
                       [&] { note(core, "audit.anchor", "the token does not keep the head"); });
  const std::lock_guard lock(core.registry_mutex);
  return registry::LogTables(core.registry.database()).last_checkpoint().value_or("");
}

void checkpoint_daily(Core& core) {
  if (!core.heads.is_open()) return;
  const auto at = core.registry.setting(map_time_setting);
  const auto age = core.clock.now().utc.time_since_epoch() - std::chrono::milliseconds(at ? std::stoll(*at) : 0);
  if (age >= std::chrono::hours(24)) (void)checkpoint(core);
}

std::string renew_audit_key(Core& core, const Authority& authority) {
  const auto setting = [&](std::string_view name) {
    const std::lock_guard lock(core.registry_mutex);
    return core.registry.setting(name);
  };
  const auto former = setting(audit_pem_setting);
  if (!former || !core.heads.is_open()) throw Refused("no-audit-key", "there is no audit key to replace: run 'smets1-kms init'");
  const std::string former_id = *setting(audit_key_setting);
  const Act act{.name = audit_pair.act, .operation_id = core.operation_id({}), .authority = authority};
  check_authority_recorded(core, act);
  make_token_key(
      core, act, audit_pair,
      [&](const KeyId& id) {
        return core.token->pool().run([&](pkcs11::Session& session) { return vault::make_audit_key(session, id, core.token->terms()); });
      },
      [&](const KeyId& id, const std::string& pem) {
        core.registry.set_setting(former_pem_setting(former_id), *former);
        core.heads.hand_over(id, pem);
      });
  const auto left = with_token([&] { return vault::destroy_audit_key(core.token->pool(), KeyId::parse(former_id)); });
  core.record_change(act, std::nullopt, [&] {
    auto record = core.trail.record({.name = "audit-key.destroy", .operation_id = act.operation_id, .authority = authority}, Phase::note);
    record.set(Field::key_id, former_id)
        .set(Field::result, left == 0 ? "destroyed" : "still-there")
        .set(Field::detail, "absence-checked, objects left " + std::to_string(left));
    core.trail.append(record, std::nullopt);
  });
  return *setting(audit_pem_setting);
}

}  // namespace smets1kms::lifecycle
