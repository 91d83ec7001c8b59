// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/targets.hpp"

#include <algorithm>
#include <set>

#include "lifecycle/enrolment/import.hpp"
#include "lifecycle/recorded_keys.hpp"
#include "lifecycle/startup.hpp"
#include "lifecycle/target_certificate.hpp"
#include "lifecycle/token_keys.hpp"
#include "vault/enrolment.hpp"

/// Admission and retirement of handover targets.
namespace smets1kms::lifecycle {
namespace {

void check_admission(const TargetAdmission& admission) {
  if (!audit::parse_target(target_label(admission.name, 1)))
    throw BadInput("a handover target's name is 1 to 32 characters of A-Z a-z 0-9 . _ -");
  const std::set<KeyRole> roles(admission.roles.begin(), admission.roles.end());
  if (roles.empty() || roles.size() != admission.roles.size() || roles.contains(KeyRole::kek))
    throw BadInput(
        "a handover target takes one or more of guek, gbek and gak, each once; a KEK is never "
        "handed over");
}

/// Throws Refused where the token can't do what is asked of it.
void check_token_fits(const vault::Profile& profile, const TargetAdmission& admission) {
  if (profile.oaep_hash == vault::OaepHash::none)
    throw Refused(RefusalReason::unfit_token,
                  "by its profile (" + profile.name +
                      ") this token does not wrap by RSA-OAEP: it hands no key over");
  const bool encryption_key =
      std::ranges::any_of(admission.roles, [](const KeyRole role) { return role != KeyRole::gak; });
  if (admission.before_transfer && encryption_key && !profile.gcm_iv_from_host)
    throw Refused(RefusalReason::unfit_token,
                  "this token makes the IV of AES-GCM itself (profile " + profile.name +
                      "): it can't check a receipt of a GUEK or GBEK, which --before-transfer "
                      "would wait for");
}

/// Throws Refused where the certificate's key is the import key's, or another target's.
void check_own_key(Context& context, CeremonySession& who, const trail::AuditContext& act,
                   const TargetAdmission& admission, const TargetCertificate& certificate) {
  const auto import_key = vault::with_token([&] {
    return import_key_checked_against_trail(context, act, [&](const KeyId& id) {
      return vault::import_key_pem(who.session(), id, who.token_profile());
    });
  });
  if (certificate.public_key == import_key)
    throw Refused(RefusalReason::key_in_use,
                  "the certificate has this token's own import key: what is wrapped under it could "
                  "be unwrapped here");
  for (const auto& target : context.targets)
    if (read_certificate(target.certificate).public_key == certificate.public_key &&
        (target.info.name != admission.name || target.info.status == TargetStatus::compromised))
      throw Refused(RefusalReason::key_in_use,
                    "the certificate has the key of the handover target " + target.info.label() +
                        " (" + std::string(to_string(target.info.status)) + ")");
}

/// Returns the vault that a target's WRAP_TEMPLATE has to fit: keys made under a sealed KEK carry
/// no WRAP_WITH_TRUSTED, and there may be such KEKs where there ever were storage keys.
VaultKind wanted_vault(Context& context) {
  const bool ever_sealed = context.registry.setting(setting::kek_storage_key).has_value();
  return context.config.keep == VaultKind::token && !ever_sealed ? VaultKind::token
                                                                 : VaultKind::sealed;
}

/// True if the target is admitted with this certificate, to the same, for this vault, and the token
/// has it.
bool is_same(const registry::Target* target, const TargetAdmission& admission,
             const TargetCertificate& certificate, VaultKind keep, CeremonySession& who) {
  return target != nullptr && target->info.status == TargetStatus::admitted &&
         target->certificate == certificate.der && target->keep == keep &&
         target->info.roles == admission.roles &&
         target->info.before_transfer == admission.before_transfer && vault::with_token([&] {
           return vault::has_target(who.session(), key_of(*target, certificate),
                                    who.token_profile());
         });
}

/// Makes the token object between its intent and its outcome.
registry::Target admit(Context& context, CeremonySession& who, const trail::AuditContext& act,
                       registry::Target target, const TargetCertificate& certificate,
                       const registry::Target* former, const std::string& end_id) {
  auto& info = target.info;
  const auto id = info.id.to_string();
  context.in_transaction(act, std::nullopt, [&] {
    const auto intent = context.append(context.trail.record(act, Phase::intent), {},
                                       {{Field::key_id, id},
                                        {Field::target, info.label()},
                                        {Field::mechanism, "CKM_RSA_PKCS_OAEP"}});
    context.put_operation(act, intent, {.kind = "token-key", .detail = id});
  });
  const auto attributes = with_token(act, [&] {
    return vault::admit_target(who.session(), key_of(target, certificate), who.token_profile());
  });
  context.in_transaction(act, std::nullopt, [&] {
    const auto moment = context.trail.moment();
    auto record = context.trail.record(act, Phase::outcome);
    for (const auto& [field, text] : admission_facts(info, target.keep)) record.set(field, text);
    target.record = context.append(
        record, {},
        {{Field::key_id, id},
         {Field::result, "ok"},
         {Field::ckr, "CKR_OK"},
         {Field::certificate_sha256, certificate.fingerprint},
         {Field::public_key_sha256, audit::to_hex(audit::sha256(certificate.public_key))},
         {Field::attributes, attributes.empty() ? "none" : attributes}},
        moment);
    info.admitted_at = moment.utc;
    registry::HandoverTables tables(context.registry.database());
    tables.add_target(target);
    context.end_operation(act.operation_id, OperationState::done);
    if (former == nullptr || former->info.status != TargetStatus::admitted) return;
    tables.set_status(former->info, TargetStatus::replaced);
    begin_target_end(
        context, {.name = op::target_destroy, .operation_id = end_id, .authority = act.authority},
        {.name = info.name,
         .label = former->info.label(),
         .id = former->info.id.to_string(),
         .forget = false,
         .authority = act.authority});
  });
  return target;
}

}  // namespace

HandoverTarget admit_target(Context& context, CeremonySession& who, const Authority& authority,
                            const TargetAdmission& given) {
  auto admission = given;
  check_admission(admission);
  std::ranges::sort(admission.roles);
  const auto certificate = read_certificate(admission.certificate);
  use_targets(context);
  const auto act = context.act(op::target_admit, authority);
  const auto& profile = who.token_profile().profile;
  const auto* former = newest_target(context, admission.name);
  context.in_transaction(act, std::nullopt, [&] {
    check_targets(context);
    check_fingerprint(certificate, admission.fingerprint);
    check_fit(certificate, context.clock.now().utc);
    check_token_fits(profile, admission);
    const auto admitted =
        std::ranges::count(context.targets, TargetStatus::admitted,
                           [](const registry::Target& target) { return target.info.status; });
    if (admitted >= static_cast<std::ptrdiff_t>(audit::most_targets) &&
        (former == nullptr || former->info.status != TargetStatus::admitted))
      throw Refused(
          RefusalReason::too_many_targets,
          std::to_string(admitted) + " handover targets are admitted, and no more can be");
  });
  const auto keep = wanted_vault(context);
  if (is_same(former, admission, certificate, keep, who)) return former->info;
  check_own_key(context, who, act, admission, certificate);
  const auto end_id = make_uuid(context.clock.now().utc);
  const auto claimed = context.claim(end_id);  // it is ended below, not recovered
  const auto target =
      admit(context, who, act,
            {.info = {.name = admission.name,
                      .generation = former == nullptr ? 1 : former->info.generation + 1,
                      .id = KeyId::random(),
                      .roles = admission.roles,
                      .before_transfer = admission.before_transfer,
                      .hash = std::string(vault::to_string(profile.oaep_hash)),
                      .fingerprint = certificate.fingerprint,
                      .status = TargetStatus::admitted,
                      .admitted_at = {}},
             .certificate = certificate.der,
             .keep = keep,
             .record = -1},
            certificate, former, end_id);
  who.switch_to_user();  // which ends a former one's object
  require_signed_trail(context);
  use_targets(context);
  if (const auto open = context.registry.operation(end_id);
      open && open->state == OperationState::open)
    (void)end_target(context, *open);
  context.transact([] {});
  return target.info;
}

void retire_target(Context& context, CeremonySession& who, const Authority& authority,
                   const std::string& name) {
  who.switch_to_user();
  require_signed_trail(context);
  use_targets(context);
  const auto act = context.act(op::target_retire, authority);
  context.in_transaction(act, std::nullopt, [&] {
    const auto target = admitted_target(context, name);
    const auto intent =
        context.append(context.trail.record(act, Phase::note), {},
                       {{Field::target, target.info.label()}, {Field::result, "retired"}});
    registry::HandoverTables(context.registry.database())
        .set_status(target.info, TargetStatus::retired);
    begin_target_end(context, act,
                     {.name = name,
                      .label = target.info.label(),
                      .id = target.info.id.to_string(),
                      .authority = authority},
                     intent);
  });
  use_targets(context);
  (void)end_target(context, *context.registry.operation(act.operation_id));
}

}  // namespace smets1kms::lifecycle
