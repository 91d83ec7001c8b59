// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/key_manager.hpp"

#include <utility>

#include "lifecycle/key_manager_impl.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/recorded_keys.hpp"
#include "lifecycle/rows_against_log.hpp"
#include "lifecycle/startup.hpp"

namespace smets1kms {

KeyManager::Impl::Impl(const Config& config, Callbacks callbacks, vault::Pins pins,
                       const Authority* after_restore)
    : context(config, std::move(callbacks), std::move(pins),
              registry::Registry::open(config.database, sqlite::Mode::read_write)),
      fleet(Fleet::open(config, context.callbacks)) {
  start(context, after_restore);
}

KeyManager::Impl::~Impl() {
  if (std::uncaught_exceptions() != 0) return;  // something failed: nothing more is begun
  try {
    map_if_due(context);
  } catch (const std::exception&) {  // the next closing, or 'checkpoint', makes it; until then
                                     // 'doctor' says that it is due
  }
}

KeyManager::KeyManager(std::unique_ptr<Impl> inside) : impl_(std::move(inside)) {}
KeyManager::KeyManager(KeyManager&&) noexcept = default;
KeyManager::~KeyManager() = default;

KeyManager KeyManager::open(const Config& config, Callbacks callbacks) {
  auto pins = vault::pins_of(config);  // before anything is opened
  return KeyManager(std::make_unique<Impl>(config, std::move(callbacks), std::move(pins), nullptr));
}

KeyManager KeyManager::open_restored(const Config& config, const Authority& authority,
                                     Callbacks callbacks) {
  auto pins = vault::pins_of(config);
  return KeyManager(
      std::make_unique<Impl>(config, std::move(callbacks), std::move(pins), &authority));
}

std::string KeyManager::checkpoint() { return lifecycle::checkpoint(impl_->context); }

ReplyResult KeyManager::record_reply(const KeyTransfer& transfer, const ReplyContent& reply) {
  return record_reply(transfer.device(), transfer.number(), reply);
}

ReplyResult KeyManager::record_reply(DeviceId device, std::uint32_t transfer,
                                     const ReplyContent& reply) {
  std::optional<Reply> one{{.device = device, .transfer = transfer, .content = reply}};
  ReplyResult result{};
  record_replies([&] { return std::exchange(one, std::nullopt); },
                 [&](const ReplyOutcome& outcome) {
                   if (outcome.failure) std::rethrow_exception(outcome.failure);
                   result = *outcome.result;
                 });
  return result;
}

void KeyManager::retire(const KeyRef& key, const Authority& authority,
                        const std::string& operation_id) {
  lifecycle::retire(impl_->context, std::span(&key, 1), authority, operation_id);
}

void KeyManager::destroy(std::span<const KeyRef> keys, const Authority& authority,
                         const std::string& operation_id) {
  lifecycle::destroy(impl_->context, keys, authority, operation_id);
}

Bytes KeyManager::prove(const KeyRef& ref, ByteView challenge) {
  auto& context = impl_->context;
  if (challenge.size() < 16 || challenge.size() > 64)
    throw BadInput("a challenge has 16 to 64 bytes, not " + std::to_string(challenge.size()));
  const auto act = context.act(audit::op::key_prove);
  const auto ask = [&] {
    const Key key = context.key(ref);
    check_row(context, context.device(ref.device));
    check_row(context, key);
    if (key.role == KeyRole::kek)
      throw Refused(RefusalReason::kek_not_probable,
                    "a KEK is proved by a transfer that its device accepts, not by a challenge");
    if (const auto& profile = context.token->token_profile().profile;
        key.role != KeyRole::gak && !profile.gcm_iv_from_host)
      throw Refused(
          RefusalReason::gcm_iv_by_token,
          "this token makes the IV of AES-GCM itself (profile " + profile.name + ", " +
              std::string(to_string(profile.facts.at("gcm_iv_from_host").evidence)) + "), so a " +
              std::string(to_string(key.role)) +
              " can't answer a challenge: prove the device's GAK, or resolve by an association");
    if (is_destroyed(key.state))
      throw Refused(RefusalReason::destroyed, "that key has been destroyed");
    context.append(context.trail.record(act, Phase::note, key), key.device,
                   {{Field::result, "asked"},
                    {Field::detail, "challenge sha256 " + digest_of_bytes(challenge)}});
    return at_rest_checked_against_trail(context, key, context.device(ref.device).suite);
  };
  const auto key = context.in_transaction(act, ref.device, ask);
  return with_token(act, [&] { return context.vault->prove(key, challenge); });
}

const Fleet& KeyManager::fleet() const { return impl_->fleet; }

}  // namespace smets1kms
