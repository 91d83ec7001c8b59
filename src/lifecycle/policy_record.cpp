#include "lifecycle/due.hpp"
#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {

using audit::Field;

namespace {

/// SHA-256 of the document in force: not under policy_settings, where each value is a document.
constexpr std::string_view in_force_setting = "policy_in_force";

}  // namespace

policy::Policy policy_of(const Config& config) { return config.policy_site.empty() ? policy::Policy::shipped() : policy::Policy::load(config.policy_site); }

void record_policy(Core& core) {
  const std::string document = core.policy.to_document(), digest = audit::to_hex(audit::sha256(document));
  if (core.registry.setting(in_force_setting) == digest) return;
  const Act act{.name = "audit.document", .operation_id = core.operation_id({}), .authority = {}};
  core.record_change(act, std::nullopt, [&] {
    core.registry.set_setting(std::string(policy_settings) + digest, document);
    core.registry.set_setting(in_force_setting, digest);
    auto named = core.trail.record(act, Trail::Phase::note);
    named.set(Field::detail, "sha256 " + digest + " policy");
    core.trail.append(named, std::nullopt);
  });
}

}  // namespace smets1kms::lifecycle
