// SPDX-License-Identifier: Apache-2.0
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

void record_policy(Context& context) {
  begin_deviations(context.registry, context.policy, context.clock.now().utc);
  const std::string document = context.policy.to_document(),
                    digest = audit::to_hex(audit::sha256(document));
  if (context.registry.setting(setting::policy_in_force) == digest) return;
  const auto act = context.act(op::audit_document);
  context.in_transaction(act, std::nullopt, [&] {
    context.registry.set_setting(std::string(setting::policy_documents) + digest, document);
    context.registry.set_setting(setting::policy_in_force, digest);
    context.registry.set_setting(setting::policy_begins, context.policy.begins());
    context.append(context.trail.record(act, Phase::note), {},
                   {{Field::detail, "sha256 " + digest + " policy"}});
  });
}

}  // namespace smets1kms::lifecycle
