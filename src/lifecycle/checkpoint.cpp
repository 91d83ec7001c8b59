// SPDX-License-Identifier: Apache-2.0
#include "audit/log.hpp"
#include "audit/text.hpp"
#include "audit/timestamp.hpp"
#include "lifecycle/key_manager_impl.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/token_keys.hpp"
#include "registry/database_log.hpp"
#include "vault/audit_key.hpp"
#include "vault/orphans.hpp"

namespace smets1kms::lifecycle {
namespace {

constexpr const char* not_signed_yet = "the audit trail is not signed yet: run 'smets1-kms init'";

std::string time_of(const Context& context) {
  return std::to_string(context.clock.now().utc.time_since_epoch().count());
}

bool is_due(Context& context, std::string_view time_setting) {
  const auto at = context.registry.setting(time_setting);
  const auto age = context.clock.now().utc.time_since_epoch() -
                   std::chrono::milliseconds(at ? std::stoll(*at) : 0);
  return age < std::chrono::milliseconds(0) || age >= context.config.audit.heartbeat;
}

void note(Context& context, std::string_view name, const std::string& detail) {
  context.append(context.trail.record(context.act(name), Phase::note), {},
                 {{Field::detail, detail}});
}

/// States every device's last record, as one hash: the devices had these records and no others.
void state_map(Context& context) {
  registry::LogTables tables(context.registry.database());
  audit::CompactRange lines;
  tables.for_each_last_record([&](const registry::LastRecord& last) {
    lines.append(audit::leaf_hash(audit::DeviceHead{
        .device = last.device, .sequence = last.sequence, .index = last.index, .leaf = last.leaf}
                                      .format()));
  });
  const auto covered =
      context.trail.append_device_map(context.act(op::audit_device_map), [&](std::uint64_t index) {
        return audit::MapStatement{.records = index, .devices = lines.size(), .root = lines.root()}
            .format();
      });
  context.registry.set_setting(setting::device_map, std::to_string(covered));
  context.registry.set_setting(setting::device_map_time, time_of(context));
}

void beat(Context& context) {
  note(
      context, op::audit_heartbeat,
      "interval-s " + std::to_string(std::chrono::seconds(context.config.audit.heartbeat).count()));
  context.registry.set_setting(setting::heartbeat_time, time_of(context));
}

/// Records the mismatch that two identities accepted, and each object in the token that the
/// registry does not know.
void record_acceptance(Context& context, const trail::AuditContext& act,
                       const trail::CheckpointLog::AnchorMismatch& mismatch,
                       const std::vector<vault::Orphan>& orphans) {
  const std::string count = ", orphans " + std::to_string(orphans.size());
  context.append(
      context.trail.record(act, Phase::note), {},
      {{Field::result, mismatch.lost ? "" : "file-lost"},
       {Field::detail, mismatch.lost
                           ? "lost-head " + std::to_string(mismatch.lost->size) + " " +
                                 audit::to_hex(mismatch.lost->root) + count
                           : "the file lacks heads up to " +
                                 std::to_string(context.checkpoints.size()) + " records" + count}});
  for (const auto& orphan : orphans) {
    auto found = context.trail.record(act.as(op::token_orphan), Phase::note);
    found.set(Field::detail, orphan.label);
    context.append(found, {}, {{Field::key_id, orphan.id}, {Field::result, "found"}});
  }
}

}  // namespace

void check_authority_recorded(Context& context, const trail::AuditContext& act) {
  context.in_transaction(act, std::nullopt, [&] { check_authority(act.authority); });
}

std::string in_words(const trail::CheckpointLog::AnchorMismatch& mismatch, const Config& config) {
  const std::string database = config.database.string(),
                    way_out = "'smets1-kms checkpoint --after-restore' records ";
  if (!mismatch.lost)
    return "the file of heads, " + mismatch.where +
           ", does not have the last heads of the audit trail of " + database +
           ": it was removed, cut or is another one's. Nothing is done without it. Put it back, or "
           "where audit.anchor_file names it now; if it is lost, " +
           way_out + "that, under two identities, and begins a new one";
  return "the registry " + database + " is an older copy, or went another way: " + mismatch.where +
         " has a signed head of " + std::to_string(mismatch.lost->size) +
         " records that its audit trail does not have. Nothing is done on it. Find the right file; "
         "if this one was restored from a backup on purpose, " +
         way_out + "the gap, under two identities, and goes on";
}

void open_heads(Context& context, const Authority* after_restore) {
  const auto mismatch = context.checkpoints.open(context.token, context.config);
  if (!mismatch) {
    if (after_restore != nullptr)
      throw BadInput(
          "what is anchored elsewhere and this registry's audit trail fit: there is no gap to "
          "record");
    return;
  }
  if (after_restore == nullptr) throw StorageError(in_words(*mismatch, context.config));
  const auto act = context.act(mismatch->lost ? op::audit_gap : op::audit_anchor, *after_restore);
  check_authority_recorded(context, act);
  const auto orphans = vault::with_token(
      [&] { return vault::find_orphans(context.registry, context.token->pool()); });
  const auto accept = [&] {
    // Operations open in the copy may have been finished, released and confirmed since: a person
    // has to judge them.
    if (mismatch->lost) context.registry.mark_open_operations_before_gap();
    context.checkpoints.accept_mismatch();
    record_acceptance(context, act, *mismatch, orphans);
  };
  try {
    context.in_transaction(act, std::nullopt, accept);
  } catch (...) {  // or closing would anchor the older copy in the place of what shows the gap
    context.checkpoints.accept_mismatch(false);
    throw;
  }
  (void)context.anchor_in_token();
  if (!orphans.empty())
    context.log({.level = LogLevel::warning,
                 .event = "unknown-token-objects",
                 .text = in_words(orphans) + "; " + vault::orphan_remedy});
}

std::string checkpoint(Context& context) {
  if (!context.checkpoints.is_open()) throw Refused(RefusalReason::no_audit_key, not_signed_yet);
  context.in_transaction({.name = op::audit_heartbeat}, std::nullopt, [&] {
    state_map(context);
    beat(context);
  });
  if (!context.anchor_in_token())
    context.in_transaction({.name = op::audit_anchor}, std::nullopt, [&] {
      note(context, op::audit_anchor, "the token does not keep the head");
    });
  const std::lock_guard lock(context.registry_mutex);
  return registry::LogTables(context.registry.database()).last_checkpoint().value_or("");
}

void beat_if_due(Context& context) {
  if (!context.checkpoints.is_open() || !is_due(context, setting::heartbeat_time)) return;
  context.in_transaction({.name = op::audit_heartbeat}, std::nullopt, [&] { beat(context); });
}

void map_if_due(Context& context) {
  constexpr std::uint64_t few =
      10000;  // devices: milliseconds; for more there is the timer's 'checkpoint'
  if (!context.checkpoints.is_open() || !is_due(context, setting::device_map_time) ||
      registry::LogTables(context.registry.database()).has_more_devices_than(few))
    return;
  context.in_transaction({.name = op::audit_device_map}, std::nullopt, [&] { state_map(context); });
}

}  // namespace smets1kms::lifecycle

namespace smets1kms {

std::string KeyManager::timestamp_request() {
  auto& context = impl_->context;
  const auto note = context.locked(
      [&] { return registry::LogTables(context.registry.database()).last_checkpoint(); });
  if (!note) throw Refused(RefusalReason::no_audit_key, lifecycle::not_signed_yet);
  const auto request = audit::make_timestamp_request(audit::sha256(*note));
  context.transact([&] {
    context.registry.set_setting(
        setting::timestamp_request,
        std::to_string(audit::Note::parse(*note).head.size) + " " + audit::to_base64(request));
  });
  return request;
}

TimestampedHead KeyManager::add_timestamp(const std::string& der, const std::string& trusted) try {
  auto& context = impl_->context;
  const auto waiting =
      context.locked([&] { return context.registry.setting(setting::timestamp_request); });
  if (!waiting) throw BadInput("no request for a time stamp waits for a response: make one first");
  const auto [records, request] = registry::read_timestamp(*waiting);
  const auto stamp = audit::read_timestamp(der, request);
  if (!trusted.empty()) (void)audit::TimestampTrust::from_pem(trusted).verify(der);
  context.transact([&, records = records] {
    context.registry.set_setting(std::string(setting::timestamps) + audit::to_hex(stamp.imprint),
                                 std::to_string(records) + " " + audit::to_base64(der));
    context.registry.forget_setting(setting::timestamp_request);
  });
  return {.records = records, .time = stamp.time};
} catch (const std::invalid_argument& error) {
  throw BadInput(std::string("the time stamp is not kept: ") + error.what());
}

std::string KeyManager::renew_audit_key(const Authority& authority) {
  auto& context = impl_->context;
  const auto setting = [&](std::string_view name) {
    return context.locked([&] { return context.registry.setting(name); });
  };
  const auto former = setting(setting::audit_key_pem);
  if (!former || !context.checkpoints.is_open())
    throw Refused(RefusalReason::no_audit_key,
                  "there is no audit key to replace: run 'smets1-kms init'");
  const std::string former_id = *setting(setting::audit_key);
  const auto act = context.act(audit_pair.act, authority);
  const auto destruction = context.act(op::audit_key_destroy, authority);
  check_authority_recorded(context, act);
  make_token_key(
      context, act, audit_pair,
      [&](const KeyId& id) {
        return context.token->pool().run([&](pkcs11::Session& session) {
          return vault::make_audit_key(session, id, context.token->token_profile());
        });
      },
      [&](const KeyId& id, const std::string& pem) {
        context.registry.set_setting(setting::former_audit_key(former_id), *former);
        context.checkpoints.rotate_signing_key(id, pem);
        // From here on an operation destroys the former pair: in this process, or at the next
        // opening.
        begin_key_destruction(context, destruction, op::audit_key_destroy, former_id);
      });
  if (!end_key_destruction(context, destruction, former_id))
    context.log({.level = LogLevel::warning,
                 .event = "former-key-left",
                 .text = "the token has not destroyed the former audit key " + former_id +
                         "; the next opening tries again"});
  return *setting(setting::audit_key_pem);
}

}  // namespace smets1kms
