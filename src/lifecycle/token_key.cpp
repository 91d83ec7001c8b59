#include "lifecycle/token_key.hpp"

namespace smets1kms::lifecycle {

using audit::Field;
using Phase = Trail::Phase;
using registry::OperationState;

void make_token_key(Core& core, const Act& act, const TokenKey& key, const std::function<std::string(const KeyId&)>& make,
                    const std::function<void(const KeyId&, const std::string& pem)>& also) {
  const KeyId id = KeyId::random();
  core.record_change(
      act, std::nullopt,
      [&] {
        core.registry.put_operation(
            {.id = act.operation_id, .kind = "token-key", .device = {}, .digest = {}, .state = OperationState::open, .detail = id.to_string()});
        auto intent = core.trail.record(act, Phase::intent);
        intent.set(Field::key_id, id.to_string()).set(Field::mechanism, key.mechanism);
        if (!key.detail.empty()) intent.set(Field::detail, key.detail);
        core.trail.append(intent, std::nullopt);
      },
      Sealed::with_outcome);
  const std::string public_half = with_token([&] { return make(id); });
  core.record_change(act, std::nullopt, [&] {
    auto outcome = core.trail.record(act, Phase::outcome);
    outcome.set(Field::key_id, id.to_string()).set(Field::result, "ok").set(Field::ckr, "CKR_OK");
    if (!key.detail.empty()) outcome.set(Field::detail, key.detail);
    if (!public_half.empty()) outcome.set(Field::public_key_sha256, audit::to_hex(audit::sha256(public_half)));
    const auto index = core.trail.append(outcome, std::nullopt);
    core.registry.set_setting(key.setting, id.to_string());
    if (!key.record.empty()) core.registry.set_setting(key.record, std::to_string(index));
    if (!key.pem.empty()) core.registry.set_setting(key.pem, public_half);
    core.registry.end_operation(act.operation_id, OperationState::done);
    if (also) also(id, public_half);
  });
}

}  // namespace smets1kms::lifecycle
