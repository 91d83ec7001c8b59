// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/key_manager.hpp"

#include <utility>

#include "lifecycle/enrolment/storage_keys.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/recorded_keys.hpp"
#include "lifecycle/startup.hpp"

namespace smets1kms {

struct KeyManager::Impl {
  Impl(const Config& config, Callbacks callbacks, vault::Pins pins)
      : context(config, std::move(callbacks), std::move(pins),
                registry::Registry::open(config.database, sqlite::Mode::read_write)),
        fleet(Fleet::open(config, context.callbacks)) {}
  void connect(const Authority* after_restore) { lifecycle::start(context, after_restore); }
  ~Impl() {
    if (std::uncaught_exceptions() != 0) return;  // something failed: nothing more is begun
    try {
      lifecycle::map_if_due(context);
    } catch (const std::exception&) {  // the next closing, or 'checkpoint', makes it; until then
                                       // 'doctor' says that it is due
    }
  }
  lifecycle::Context context;
  Fleet fleet;
};

KeyManager::KeyManager(std::unique_ptr<Impl> inside) : impl_(std::move(inside)) {}
KeyManager::KeyManager(KeyManager&&) noexcept = default;
KeyManager::~KeyManager() = default;

KeyManager KeyManager::open(const Config& config, Callbacks callbacks) {
  KeyManager manager(std::make_unique<Impl>(config, std::move(callbacks), vault::pins_of(config)));
  manager.impl_->connect(nullptr);
  return manager;
}

KeyManager KeyManager::open_restored(const Config& config, const Authority& authority,
                                     Callbacks callbacks) {
  KeyManager manager(std::make_unique<Impl>(config, std::move(callbacks), vault::pins_of(config)));
  manager.impl_->connect(&authority);
  return manager;
}

ResealResult KeyManager::reseal(const Authority& authority) {
  return lifecycle::reseal(impl_->context, authority);
}

std::string KeyManager::checkpoint() { return lifecycle::checkpoint(impl_->context); }

std::string KeyManager::renew_audit_key(const Authority& authority) {
  return lifecycle::renew_audit_key(impl_->context, authority);
}

Rotation KeyManager::rotate(const RotationRequest& request) {
  return lifecycle::rotate(impl_->context, request);
}

BatchSummary KeyManager::rotate(const BatchRequest& request,
                                const std::function<void(RotationResult)>& each,
                                const std::function<bool()>& stop) {
  return lifecycle::rotate(impl_->context, impl_->fleet, request, each, stop);
}

BatchSummary KeyManager::resume(const std::string& batch,
                                const std::function<void(RotationResult)>& each,
                                const std::function<bool()>& stop) {
  return lifecycle::resume(impl_->context, impl_->fleet, batch, each, stop);
}

void KeyManager::transfers(const std::string& batch,
                           const std::function<void(RotationResult)>& each,
                           const std::function<bool(DeviceId, std::uint32_t)>& is_wanted) {
  lifecycle::transfers(impl_->context, batch, each, is_wanted);
}

KeyTransfer KeyManager::transfer(DeviceId device, std::uint32_t number) {
  return lifecycle::transfer(impl_->context, device, number);
}

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

void KeyManager::record_replies(const ReplySource& next,
                                const std::function<void(const ReplyOutcome&)>& each) {
  lifecycle::record_replies(impl_->context, next, each);
}

void KeyManager::resolve(const KeyRef& key, ProbeResult held, const std::string& evidence,
                         const Authority& authority, const std::string& operation_id) {
  lifecycle::resolve(impl_->context, key, held, evidence, authority, operation_id);
}

void KeyManager::retire(const KeyRef& key, const Authority& authority,
                        const std::string& operation_id) {
  lifecycle::retire(impl_->context, std::span(&key, 1), authority, operation_id);
}

SelectionSummary KeyManager::retire(const Selection& selection, const Authority& authority,
                                    const std::function<bool()>& stop) {
  return lifecycle::retire(impl_->context, impl_->fleet, selection, authority, stop);
}

void KeyManager::destroy(std::span<const KeyRef> keys, const Authority& authority,
                         const std::string& operation_id) {
  lifecycle::destroy(impl_->context, keys, authority, operation_id);
}

SelectionSummary KeyManager::destroy(const Selection& selection, const Authority& authority,
                                     const std::function<bool()>& stop) {
  return lifecycle::destroy(impl_->context, impl_->fleet, selection, authority, stop);
}

CompromiseResult KeyManager::compromise(const KeyRef& key, const std::string& suspicion,
                                        const Authority& authority,
                                        const std::string& operation_id) {
  return lifecycle::compromise(impl_->context, key, suspicion, authority, operation_id);
}

TokenCompromiseResult KeyManager::compromise_token(const std::string& suspicion,
                                                   const Authority& authority,
                                                   const std::string& operation_id) {
  return lifecycle::compromise_token(impl_->context, suspicion, authority, operation_id);
}

void KeyManager::change_device(DeviceId device, DeviceChange change, Time at,
                               const Authority& authority, const std::string& operation_id) {
  lifecycle::change_device(impl_->context, device, change, at, authority, operation_id);
}

Bytes KeyManager::prove(const KeyRef& ref, ByteView challenge) {
  auto& context = impl_->context;
  if (challenge.size() < 16 || challenge.size() > 64)
    throw BadInput("a challenge has 16 to 64 bytes, not " + std::to_string(challenge.size()));
  const auto act = context.act(audit::op::key_prove);
  const auto ask = [&] {
    const Key key = context.key(ref);
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
    if (lifecycle::is_destroyed(key.state))
      throw Refused(RefusalReason::destroyed, "that key has been destroyed");
    context.append(
        context.trail.record(act, lifecycle::Phase::note, key), key.device,
        {{audit::Field::result, "asked"},
         {audit::Field::detail, "challenge sha256 " + lifecycle::digest_of_bytes(challenge)}});
    return lifecycle::at_rest_checked_against_trail(context, key, context.device(ref.device).suite);
  };
  const auto key = context.in_transaction(act, ref.device, ask);
  return lifecycle::with_token(act, [&] { return context.vault->prove(key, challenge); });
}

const Fleet& KeyManager::fleet() const { return impl_->fleet; }

}  // namespace smets1kms
