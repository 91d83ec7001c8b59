// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/fleet_duties.hpp"
#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {

policy::Policy policy_of(const Config& config) {
  return config.policy_site.empty() ? policy::Policy::shipped()
                                    : policy::Policy::load(config.policy_site);
}

void record_policy(Context& context) {
  const std::string document = context.policy.to_document(),
                    digest = audit::to_hex(audit::sha256(document));
  if (context.registry.setting(setting::policy_in_force) == digest) return;
  const auto act = context.act(op::audit_document);
  context.in_transaction(act, std::nullopt, [&] {
    context.registry.set_setting(std::string(setting::policy_documents) + digest, document);
    context.registry.set_setting(setting::policy_in_force, digest);
    context.append(context.trail.record(act, Phase::note), {},
                   {{Field::detail, "sha256 " + digest + " policy"}});
  });
}

}  // namespace smets1kms::lifecycle
