// SPDX-License-Identifier: Apache-2.0
#include "audit/text.hpp"
#include "lifecycle/fleet_duties.hpp"
#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {

policy::Policy policy_of(const Config& config) {
  return config.policy_site.empty() ? policy::Policy::shipped()
                                    : policy::Policy::load(config.policy_site);
}

void begin_deviations(registry::Registry& registry, policy::Policy& policy, Time now) {
  std::optional<policy::Policy> before;
  if (const auto digest = registry.setting(setting::policy_in_force)) try {
      before = policy::Policy::parse_document(
          registry.setting(std::string(setting::policy_documents) + *digest).value_or(""));
      if (const auto begins = registry.setting(setting::policy_begins)) before->set_begins(*begins);
    } catch (const BadInput&) {  // of another form: nothing in it counts
    }
  policy.begin_deviations(now, before ? &*before : nullptr);
}

/// Throws StorageError where the log does not vouch for the policy that the registry says was in
/// force, whose deviations go on from when it has them begin.
static void check_policy_in_force(Context& context) {
  const auto digest = context.registry.setting(setting::policy_in_force);
  if (!digest) return;
  const auto document =
      context.registry.setting(std::string(setting::policy_documents) + *digest).value_or("");
  const auto index =
      audit::parse_number(context.registry.setting(setting::policy_record).value_or(""));
  const auto entry =
      index ? context.registry.record(static_cast<std::int64_t>(*index)) : std::nullopt;
  if (entry && audit::to_hex(audit::sha256(document)) == *digest &&
      audit::to_hex(audit::leaf_hash(entry->bytes)) == entry->leaf_hash) {
    const auto record = audit::RecordView::parse(entry->bytes);
    if (record.text(Field::op) == op::audit_document &&
        record.text(Field::detail) == "sha256 " + *digest + " policy")
      return;
  }
  throw StorageError(
      "the audit trail does not vouch for the policy document that the registry says is in force: "
      "the registry was changed behind our back. Nothing is judged by it; restore the registry "
      "from "
      "its backup and find out who can write to it");
}

void record_policy(Context& context) {
  check_policy_in_force(context);
  const std::string document = context.policy.to_document(),
                    digest = audit::to_hex(audit::sha256(document));
  if (context.registry.setting(setting::policy_in_force) == digest)
    return begin_deviations(context.registry, context.policy, context.clock.now().utc);
  const auto act = context.act(op::audit_document);
  context.in_transaction(act, std::nullopt, [&] {
    const auto moment = context.trail.moment();
    begin_deviations(context.registry, context.policy, moment.utc);
    context.registry.set_setting(std::string(setting::policy_documents) + digest, document);
    context.registry.set_setting(setting::policy_in_force, digest);
    context.registry.set_setting(setting::policy_begins, context.policy.begins());
    const auto index = context.append(context.trail.record(act, Phase::note), {},
                                      {{Field::detail, "sha256 " + digest + " policy"}}, moment);
    context.registry.set_setting(setting::policy_record, std::to_string(index));
  });
}

}  // namespace smets1kms::lifecycle
