// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/fleet_duties.hpp"
#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {

using audit::Field;

policy::Policy policy_of(const Config& config) {
  return config.policy_site.empty() ? policy::Policy::shipped()
                                    : policy::Policy::load(config.policy_site);
}

void record_policy(Context& context) {
  const std::string document = context.policy.to_document(),
                    digest = audit::to_hex(audit::sha256(document));
  if (context.registry.setting(setting::policy_in_force) == digest) return;
  const trail::AuditContext act{
      .name = op::audit_document, .operation_id = context.operation_id({}), .authority = {}};
  context.in_transaction(act, std::nullopt, [&] {
    context.registry.set_setting(std::string(setting::policy_documents) + digest, document);
    context.registry.set_setting(setting::policy_in_force, digest);
    auto named = context.trail.record(act, trail::RecordWriter::Phase::note);
    named.set(Field::detail, "sha256 " + digest + " policy");
    context.trail.append(named, std::nullopt);
  });
}

}  // namespace smets1kms::lifecycle
