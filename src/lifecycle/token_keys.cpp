// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/token_keys.hpp"

#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {

void make_token_key(Context& context, const trail::AuditContext& act, const TokenKey& key,
                    const std::function<std::string(const KeyId&)>& make,
                    const std::function<void(const KeyId&, const std::string& pem)>& also) {
  const KeyId id = KeyId::random();
  context.in_transaction(act, std::nullopt, [&] {
    const auto intent = context.append(context.trail.record(act, Phase::intent), {},
                                       {{Field::key_id, id.to_string()},
                                        {Field::mechanism, key.mechanism},
                                        {Field::detail, key.detail}});
    context.put_operation(act, intent, {.kind = "token-key", .detail = id.to_string()});
  });
  const std::string public_half = with_token(act, [&] { return make(id); });
  context.in_transaction(act, std::nullopt, [&] {
    const auto index =
        context.append(context.trail.record(act, Phase::outcome), {},
                       {{Field::key_id, id.to_string()},
                        {Field::result, "ok"},
                        {Field::ckr, "CKR_OK"},
                        {Field::detail, key.detail},
                        {Field::public_key_sha256,
                         public_half.empty() ? "" : audit::to_hex(audit::sha256(public_half))}});
    context.registry.set_setting(key.setting, id.to_string());
    context.registry.set_setting(setting::record_of_key(id.to_string()), std::to_string(index));
    if (!key.record.empty()) context.registry.set_setting(key.record, std::to_string(index));
    if (!key.pem.empty()) context.registry.set_setting(key.pem, public_half);
    context.end_operation(act.operation_id, OperationState::done);
    if (also) also(id, public_half);
  });
}

void begin_key_destruction(Context& context, const trail::AuditContext& act, std::string_view kind,
                           const std::string& id) {
  const auto intent =
      context.append(context.trail.record(act, Phase::intent), {}, {{Field::key_id, id}});
  context.put_operation(act, intent, {.kind = std::string(kind), .detail = id});
}

bool end_key_destruction(Context& context, const trail::AuditContext& act, const std::string& id) {
  const auto key = KeyId::parse(id);
  if (with_token(act, [&] { return context.vault->destroy(std::span(&key, 1)); }) != 0)
    return false;
  context.in_transaction(act, std::nullopt, [&] {
    context.append(context.trail.record(act, Phase::outcome), {},
                   {{Field::key_id, id},
                    {Field::result, "ok"},
                    {Field::ckr, "CKR_OK"},
                    {Field::detail, "absence-checked"}});
    context.end_operation(act.operation_id, OperationState::done);
  });
  return true;
}

}  // namespace smets1kms::lifecycle
