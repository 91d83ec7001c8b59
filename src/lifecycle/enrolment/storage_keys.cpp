// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/enrolment/storage_keys.hpp"

#include <algorithm>
#include <span>

#include "lifecycle/key_manager_impl.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/recorded_keys.hpp"
#include "lifecycle/rows_against_log.hpp"
#include "lifecycle/startup.hpp"

namespace smets1kms::lifecycle {
namespace {

bool lacks(Context& context, const StorageKeySetting& key) {
  return context.config.keep == VaultKind::sealed && !context.registry.setting(key.setting);
}

/// Has the officer admit the storage keys that `which` selects; not the MAC key, which is the
/// user's.
template <class Which>
AdmittedStorage admit(Context& context, CeremonySession& who, Which which) {
  AdmittedStorage admitted;
  if (context.config.token.enrolment == EnrolmentMode::plain) return admitted;
  for (const auto& key : storage_keys)
    if (key.which != vault::ObjectPurpose::mac_key && which(key))
      admitted[key.which] = vault::with_token(
          [&] { return vault::admit_storage_key(who.session(), key.which, who.token_profile()); });
  return admitted;
}

/// Makes a storage key. The id of one that it replaces stays among the older: rows remain under it.
void make(Context& context, CeremonySession& who, const Authority& authority,
          const StorageKeySetting& key, const AdmittedStorage& admitted) {
  const auto act = context.act(op::storage_key_generate, authority);
  const TokenKey token_key{.act = act.name,
                           .mechanism = "CKM_AES_KEY_GEN",
                           .setting = key.setting,
                           .detail = vault::purpose_of(key.which)};
  const auto former = context.registry.setting(key.setting);
  const auto make_it = [&](const KeyId& id) {
    if (const auto found = admitted.find(key.which); found != admitted.end())
      vault::persist_storage_key(who.session(), found->second, {key.which, id},
                                 who.token_profile());
    else
      vault::make_storage_key(who.session(), {key.which, id}, who.token_profile());
    return std::string();
  };
  make_token_key(context, act, token_key, make_it, [&](const KeyId&, const std::string&) {
    if (former) context.registry.set_setting(setting::older(key.setting, *former), *former);
  });
}

struct Resealing {
  Key key;
  Bytes before;
  SealedKey after;
};

/// Has the token wrap keys anew. A key that differs from the trail, or that the token refuses, is
/// reported and recorded; the others go on.
std::vector<Resealing> wrap_anew(Context& context, const trail::AuditContext& act,
                                 const std::vector<Key>& keys, ResealResult& result) {
  std::vector<Resealing> done;
  const auto refuse = [&](const Key& key, const Refused& refusal) {
    context.transact([&] { context.append_refusal(act, key.device, refusal); });
    result.failures.emplace_back(refusal.what());
  };
  for (const auto& key : keys) {
    try {
      const auto rest = context.locked([&] {
        check_row(context, key);
        return at_rest_checked_against_trail(context, key, context.device(key.device).suite);
      });
      if (!rest.sealed) continue;  // destroyed meanwhile
      const auto work = [&](pkcs11::Session& session) {
        return context.vault->sealing().seal_again(session, rest.name, *rest.sealed);
      };
      done.push_back({key, rest.sealed->blob,
                      with_token(act, [&] { return context.token->pool().run(work); })});
    } catch (const Refused& refusal) {
      refuse(key, refusal);
    } catch (const RefusedByToken& error) {
      refuse(key, Refused(RefusalReason::refused_by_token, error.what()));
    }
  }
  return done;
}

/// Stores the new wraps in one transaction; a row that was changed meanwhile is left as it is.
void keep_resealed(Context& context, const trail::AuditContext& act,
                   const std::vector<Resealing>& batch, ResealResult& result) {
  context.in_transaction(act, std::nullopt, [&] {
    for (const auto& [key, before, after] : batch) {
      const auto row = context.registry.sealed(key);
      if (!row || row->key.blob != before) continue;
      const Key now = context.key(key.ref());
      const auto record = context.append(
          context.trail.record(act, Phase::note, now), now.device,
          {{Field::result, "resealed"}, {Field::sealed_sha256, digest_of_bytes(after.blob)}});
      context.registry.set_sealed(now, after, record);
      ++result.resealed;
    }
  });
}

/// Destroys a storage key, and with it every blob that was ever under it, in every backup of the
/// registry (crypto-erase).
void destroy_storage_key(Context& context, const Authority& authority, const StorageKeySetting& key,
                         const std::string& id) {
  const auto act = context.act(op::storage_key_destroy, authority);
  context.in_transaction(act, std::nullopt, [&] {
    context.registry.forget_setting(setting::older(key.setting, id));
    begin_key_destruction(context, act, token_key_destruction, id);
  });
  use_storage_keys(context);
  if (!end_key_destruction(context, act, id))
    throw RefusedByToken("C_DestroyObject", "CKR_OK",
                         "the old " + std::string(vault::purpose_of(key.which)) +
                             " is still in the token after its destruction");
}

}  // namespace

bool lacks_storage_keys(Context& context) {
  return std::ranges::any_of(storage_keys, [&](const auto& key) { return lacks(context, key); });
}

AdmittedStorage admit_storage_keys(Context& context, CeremonySession& who) {
  return admit(context, who, [&](const auto& key) { return lacks(context, key); });
}

void make_storage_keys(Context& context, CeremonySession& who, const Authority& authority,
                       const AdmittedStorage& admitted) {
  for (const auto& key : storage_keys)
    if (lacks(context, key)) make(context, who, authority, key, admitted);
  use_storage_keys(context);
}

void renew_storage_keys(Context& context, CeremonySession& who, const Authority& authority) {
  for (const auto& key : storage_keys)
    if (!context.registry.setting(key.setting))
      throw Refused(
          RefusalReason::no_storage_keys,
          "there are no storage keys to renew: vault.keep = \"sealed\" and 'init' make them");
  const auto admitted = admit(context, who, [](const auto&) { return true; });
  who.switch_to_user();
  require_signed_trail(context);
  for (const auto& key : storage_keys)
    if (key.which != vault::ObjectPurpose::mac_key) make(context, who, authority, key, admitted);
  use_storage_keys(context);
}

}  // namespace smets1kms::lifecycle

namespace smets1kms {

ResealResult KeyManager::reseal(const Authority& authority) {
  auto& context = impl_->context;
  constexpr std::size_t at_once = 256;
  const auto act = context.act(op::key_reseal, authority);
  context.in_transaction(act, std::nullopt, [&] {
    check_authority(authority);
    if (context.config.token.enrolment == EnrolmentMode::plain)
      throw Refused(RefusalReason::plain_enrolment,
                    "a sealed key comes out of its storage key for good unextractable: only under "
                    "an officer's trusted storage keys can it be wrapped anew and "
                    "not be learnt. New keys go under the new storage key; the rows that remain go "
                    "with the next rotation ('vault status')");
  });
  ResealResult result;
  for (const auto& setting : storage_keys) {
    std::vector<std::string> older;
    context.locked([&] {
      context.registry.for_each_setting(setting::older(setting.setting, {}),
                                        [&](const std::string& id) { older.push_back(id); });
    });
    for (const auto& id : older) {
      const auto storage = KeyId::parse(id);
      const auto keys_under = [&](const std::optional<KeyRef>& after, std::size_t most) {
        return context.locked([&] { return context.registry.sealed_under(storage, after, most); });
      };
      const auto total = result.resealed + context.locked([&] {
        return context.registry.count_sealed_under(storage);
      });
      std::optional<KeyRef> last;
      for (auto keys = keys_under(last, at_once); !keys.empty(); keys = keys_under(last, at_once)) {
        keep_resealed(context, act, wrap_anew(context, act, keys, result), result);
        last = keys.back().ref();
        context.report("keys wrapped anew", result.resealed, total);
      }
      if (!keys_under({}, 1).empty()) continue;
      destroy_storage_key(context, authority, setting, id);
      ++result.destroyed_storage_keys;
    }
  }
  return result;
}

}  // namespace smets1kms
