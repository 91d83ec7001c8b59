#include "audit/log.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/orphans.hpp"
#include "lifecycle/rules.hpp"
#include "lifecycle/token_key.hpp"
#include "vault/audit_key.hpp"

namespace smets1kms::lifecycle {
namespace {

using audit::Field;
using Phase = Trail::Phase;

constexpr std::string_view map_setting = "audit.device_map", beat_time_setting = "audit.heartbeat_at";

std::string time_of(const Core& core) { return std::to_string(core.clock.now().utc.time_since_epoch().count()); }

bool is_due(Core& core, std::string_view time_setting) {
  const auto at = core.registry.setting(time_setting);
  const auto age = core.clock.now().utc.time_since_epoch() - std::chrono::milliseconds(at ? std::stoll(*at) : 0);
  return age < std::chrono::milliseconds(0) || age >= core.config.audit.heartbeat;
}

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
  core.registry.set_setting(map_time_setting, time_of(core));
}

void beat(Core& core) {
  note(core, "audit.heartbeat", "interval-s " + std::to_string(std::chrono::seconds(core.config.audit.heartbeat).count()));
  core.registry.set_setting(beat_time_setting, time_of(core));
}

/// What two identities took as it is, and each object in the token that the registry does not know.
void record_acceptance(Core& core, const Act& act, const HeadLog::Amiss& amiss, const std::vector<Orphan>& orphans) {
  auto record = core.trail.record(act, Phase::note);
  const std::string count = ", orphans " + std::to_string(orphans.size());
  if (amiss.lost)
    record.set(Field::detail, "lost-head " + std::to_string(amiss.lost->size) + " " + audit::to_hex(amiss.lost->root) + count);
  else
    record.set(Field::result, "file-lost").set(Field::detail, "the file lacks heads up to " + std::to_string(core.heads.size()) + " records" + count);
  core.trail.append(record, std::nullopt);
  for (const auto& orphan : orphans) {
    auto found = core.trail.record({.name = "token.orphan", .operation_id = act.operation_id, .authority = act.authority}, Phase::note);
    found.set(Field::key_id, orphan.id).set(Field::result, "found").set(Field::detail, orphan.label);
    core.trail.append(found, std::nullopt);
  }
}

void check_authority_recorded(Core& core, const Act& act) {
  core.record_change(act, std::nullopt, [&] { check_authority(act.authority); });
}

}  // namespace

std::string in_words(const HeadLog::Amiss& amiss, const Config& config) {
  const std::string database = config.database.string(), way_out = "'smets1-kms checkpoint --after-restore' records ";
  if (!amiss.lost)
    return "the file of heads, " + amiss.where + ", does not have the last heads of the audit trail of " + database +
           ": it was removed, cut or is another one's. Nothing is done without it. Put it back, or where audit.anchor_file names it now; if it is lost, " +
           way_out + "that, under two identities, and begins a new one";
  return "the registry " + database + " is an older copy, or went another way: " + amiss.where + " has a signed head of " + std::to_string(amiss.lost->size) +
         " records that its audit trail does not have. Nothing is done on it. Find the right file; if this one was restored from a backup on purpose, " +
         way_out + "the gap, under two identities, and goes on";
}

void open_heads(Core& core, const Authority* after_restore) {
  const auto amiss = core.heads.open(core.token, core.config);
  if (!amiss) {
    if (after_restore != nullptr) throw BadInput("what is anchored elsewhere and this registry's audit trail fit: there is no gap to record");
    return;
  }
  if (after_restore == nullptr) throw NotRecorded(in_words(*amiss, core.config));
  const Act act{.name = amiss->lost ? "audit.gap" : "audit.anchor", .operation_id = core.operation_id({}), .authority = *after_restore};
  check_authority_recorded(core, act);
  const auto orphans = with_token([&] { return find_orphans(core.registry, core.token->pool()); });
  core.record_change(act, std::nullopt, [&] {
    // What was open in the copy may have been finished, released and confirmed since: it is a person's to judge.
    std::string open;
    for (const auto& operation : core.registry.open_operations()) open += operation.id + ";";
    if (amiss->lost) core.registry.set_setting(before_gap_setting, core.registry.setting(before_gap_setting).value_or("") + open);
    core.heads.accept();
    record_acceptance(core, act, *amiss, orphans);
  });
  (void)core.anchor_in_token();
  if (!orphans.empty() && core.surroundings.log) core.surroundings.log(in_words(orphans) + "; " + orphan_remedy);
}

std::string checkpoint(Core& core) {
  if (!core.heads.is_open()) throw Refused("no-audit-key", "the audit trail is not signed yet: run 'smets1-kms init'");
  core.record_change({.name = "audit.heartbeat", .operation_id = "", .authority = {}}, std::nullopt, [&] {
    state_map(core);
    beat(core);
  });
  if (!core.anchor_in_token())
    core.record_change({.name = "audit.anchor", .operation_id = "", .authority = {}}, std::nullopt,
                       [&] { note(core, "audit.anchor", "the token does not keep the head"); });
  const std::lock_guard lock(core.registry_mutex);
  return registry::LogTables(core.registry.database()).last_checkpoint().value_or("");
}

void beat_if_due(Core& core) {
  if (!core.heads.is_open() || !is_due(core, beat_time_setting)) return;
  core.record_change({.name = "audit.heartbeat", .operation_id = "", .authority = {}}, std::nullopt, [&] { beat(core); });
}

void map_if_due(Core& core) {
  constexpr std::uint64_t few = 10000;  // devices: milliseconds; for more there is the timer's 'checkpoint'
  if (!core.heads.is_open() || !is_due(core, map_time_setting) || registry::LogTables(core.registry.database()).has_more_devices_than(few)) return;
  core.record_change({.name = "audit.device-map", .operation_id = "", .authority = {}}, std::nullopt, [&] { state_map(core); });
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
  const Act destruction{.name = audit_key_destruction, .operation_id = core.operation_id({}), .authority = authority};
  check_authority_recorded(core, act);
  make_token_key(
      core, act, audit_pair,
      [&](const KeyId& id) {
        return core.token->pool().run([&](pkcs11::Session& session) { return vault::make_audit_key(session, id, core.token->terms()); });
      },
      [&](const KeyId& id, const std::string& pem) {
        core.registry.set_setting(former_pem_setting(former_id), *former);
        core.heads.hand_over(id, pem);
        // From here on the former pair is an operation's to destroy: this process's, or that of the next opening.
        core.registry.put_operation({.id = destruction.operation_id,
                                     .kind = std::string(audit_key_destruction),
                                     .device = {},
                                     .digest = {},
                                     .state = registry::OperationState::open,
                                     .detail = former_id});
        auto intent = core.trail.record(destruction, Phase::intent);
        core.trail.append(intent.set(Field::key_id, former_id), std::nullopt);
      });
  const auto former_key = KeyId::parse(former_id);
  if (with_token([&] { return core.vault->destroy(std::span(&former_key, 1)); }) != 0) {
    if (core.surroundings.log) core.surroundings.log("the token has not destroyed the former audit key " + former_id + "; the next opening tries again");
    return *setting(audit_pem_setting);
  }
  core.record_change(destruction, std::nullopt, [&] {
    auto outcome = core.trail.record(destruction, Phase::outcome);
    outcome.set(Field::key_id, former_id).set(Field::result, "ok").set(Field::ckr, "CKR_OK").set(Field::detail, "absence-checked");
    core.trail.append(outcome, std::nullopt);
    core.registry.end_operation(destruction.operation_id, registry::OperationState::done);
  });
  return *setting(audit_pem_setting);
}

}  // namespace smets1kms::lifecycle
