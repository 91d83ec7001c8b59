// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/fleet_duties.hpp"
#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {

using audit::Field;

namespace {

/// SHA-256 of the document in force: not under trail::policy_settings, where each value is a
/// document.
constexpr std::string_view in_force_setting = "policy_in_force";

}  // namespace

policy::Policy policy_of(const Config& config) {
  return config.policy_site.empty() ? policy::Policy::shipped()
                                    : policy::Policy::load(config.policy_site);
}

void record_policy(Context& context) {
  const std::string document = context.policy.to_document(),
                    digest = audit::to_hex(audit::sha256(document));
  if (context.registry.setting(in_force_setting) == digest) return;
  const trail::AuditContext act{
      .name = "audit.document", .operation_id = context.operation_id({}), .authority = {}};
  context.in_transaction(act, std::nullopt, [&] {
    context.registry.set_setting(std::string(trail::policy_settings) + digest, document);
    context.registry.set_setting(in_force_setting, digest);
    auto named = context.trail.record(act, trail::RecordWriter::Phase::note);
    named.set(Field::detail, "sha256 " + digest + " policy");
    context.trail.append(named, std::nullopt);
  });
}

}  // namespace smets1kms::lifecycle
