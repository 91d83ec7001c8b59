// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/token_keys.hpp"

#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {

using audit::Field;
using Phase = trail::RecordWriter::Phase;

void make_token_key(Context& context, const trail::AuditContext& act, const TokenKey& key,
                    const std::function<std::string(const KeyId&)>& make,
                    const std::function<void(const KeyId&, const std::string& pem)>& also) {
  const KeyId id = KeyId::random();
  context.in_transaction(
      act, std::nullopt,
      [&] {
        context.registry.put_operation({.id = act.operation_id,
                                        .kind = "token-key",
                                        .device = {},
                                        .digest = {},
                                        .state = OperationState::open,
                                        .detail = id.to_string()});
        auto intent = context.trail.record(act, Phase::intent);
        intent.set(Field::key_id, id.to_string()).set(Field::mechanism, key.mechanism);
        if (!key.detail.empty()) intent.set(Field::detail, key.detail);
        context.trail.append(intent, std::nullopt);
      },
      SignCheckpoint::deferred);
  const std::string public_half = with_token(act, [&] { return make(id); });
  context.in_transaction(act, std::nullopt, [&] {
    auto outcome = context.trail.record(act, Phase::outcome);
    outcome.set(Field::key_id, id.to_string()).set(Field::result, "ok").set(Field::ckr, "CKR_OK");
    if (!key.detail.empty()) outcome.set(Field::detail, key.detail);
    if (!public_half.empty())
      outcome.set(Field::public_key_sha256, audit::to_hex(audit::sha256(public_half)));
    const auto index = context.trail.append(outcome, std::nullopt);
    context.registry.set_setting(key.setting, id.to_string());
    if (!key.record.empty()) context.registry.set_setting(key.record, std::to_string(index));
    if (!key.pem.empty()) context.registry.set_setting(key.pem, public_half);
    context.registry.end_operation(act.operation_id, OperationState::done);
    if (also) also(id, public_half);
  });
}

}  // namespace smets1kms::lifecycle
