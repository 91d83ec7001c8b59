// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/startup.hpp"

#include "lifecycle/operations.hpp"
#include "lifecycle/rows_against_log.hpp"
#include "lifecycle/targets.hpp"
#include "lifecycle/token_keys.hpp"

namespace smets1kms::lifecycle {

void use_storage_keys(Context& context) {
  std::vector<vault::StorageKey> keys;
  {
    const std::lock_guard lock_registry(context.registry_mutex);
    for (const auto& key : storage_keys) {
      const auto use = [&](const std::string& id) {
        check_token_key(context, op::storage_key_generate, id, vault::purpose_of(key.which));
        keys.push_back({key.which, KeyId::parse(id)});
      };
      if (const auto id = context.registry.setting(key.setting)) use(*id);
      context.registry.for_each_setting(setting::older(key.setting, {}), use);
    }
  }
  context.vault->keep_in(context.config.keep);
  if (!keys.empty()) vault::with_token([&] { context.vault->sealing().use(std::move(keys)); });
}

void require_storage_keys(const Context& context) {
  if (context.config.keep == VaultKind::sealed && !context.vault->sealing().is_ready())
    throw StorageError(
        "vault.keep = \"sealed\", and " + context.config.database.string() +
        " has no storage keys yet: run 'smets1-kms " +
        (context.config.token.enrolment == EnrolmentMode::officer ? "enrol" : "init") +
        "' again; it makes what is missing");
}

void require_signed_trail(const Context& context) {
  if (!context.checkpoints.is_open())
    throw StorageError(
        "the audit trail of " + context.config.database.string() +
        " has no key that signs it: run 'smets1-kms init' again; it makes what is missing");
}

void connect(Context& context, std::shared_ptr<pkcs11::Module> module,
             const Authority* after_restore) {
  context.token = std::make_shared<vault::TokenConnection>(std::move(module), context.config,
                                                           context.pins.user, context.callbacks);
  context.trail.set_token(vault::identity_of(context.token->pool().token()));
  open_heads(context, after_restore);
  context.transact([] {});  // what an officer recorded comes under a head
  vault::with_token([&] {
    context.vault =
        std::make_unique<vault::Vault>(context.token->pool(), context.token->token_profile());
  });
  check_protections(context);
  record_policy(context);
  if (const auto id = context.registry.setting(setting::audit_key))
    check_token_key(context, op::audit_key_generate, *id);
  if (const auto id = context.registry.setting(setting::enrolment_key)) {
    check_token_key(context, op::enrolment_key_generate, *id);
    context.vault->use_enrolment_key(KeyId::parse(*id));
  }
  use_storage_keys(context);
  use_targets(context);
}

void start(Context& context, const Authority* after_restore) {
  connect(context, vault::load_module(context.config), after_restore);
  require_signed_trail(context);
  require_storage_keys(context);
  recover(context);
  beat_if_due(context);
}

}  // namespace smets1kms::lifecycle
