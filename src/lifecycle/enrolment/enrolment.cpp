// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/enrolment.hpp"

#include "lifecycle/enrolment/import.hpp"
#include "lifecycle/enrolment/storage_keys.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/recorded_keys.hpp"
#include "lifecycle/rows_against_log.hpp"
#include "lifecycle/startup.hpp"
#include "vault/audit_key.hpp"
#include "vault/enrolment.hpp"

namespace smets1kms {
namespace lifecycle {
namespace {

/// Makes a key of the token that is not there yet.
void make_once(Context& context, const Authority& authority, const TokenKey& key,
               const std::function<std::string(const KeyId&)>& make,
               const std::function<void(const KeyId&, const std::string& pem)>& also = {}) {
  if (context.registry.setting(key.setting)) return;
  make_token_key(context, context.act(key.act, authority), key, make, also);
}

constexpr TokenKey import_pair{.act = audit::op::import_key_generate,
                               .mechanism = "CKM_RSA_PKCS_KEY_PAIR_GEN",
                               .setting = registry::setting::import_key,
                               .record = registry::setting::import_key_record};
constexpr TokenKey enrolment_key{.act = audit::op::enrolment_key_generate,
                                 .mechanism = "CKM_AES_KEY_GEN",
                                 .setting = registry::setting::enrolment_key};

struct Waiting {
  Key kek;
  SecuritySuite suite;
  bool failed = false;
};

std::int64_t record_enrolment(Context& context, const trail::AuditContext& act, Phase phase,
                              const Key& kek, std::string_view result,
                              const std::string& attributes) {
  return context.append(context.trail.record(act, phase, kek), kek.device,
                        {{Field::mechanism, "CKM_AES_KEY_WRAP"},
                         {Field::result, result},
                         {Field::attributes, attributes}});
}

/// Unwraps waiting KEKs while the officer is logged in. One that can't be unwrapped is reported and
/// recorded as a failure of that KEK.
void unwrap_waiting(Context& context, vault::Ceremony& ceremony, const trail::AuditContext& act,
                    std::vector<Waiting>& all, EnrolmentResult& result) {
  for (auto& each : all) {
    try {
      const auto sealed = context.in_transaction(act, each.kek.device, [&] {
        check_row(context, context.device(each.kek.device));
        check_row(context, each.kek);
        return waiting_checked_against_trail(context, each.kek);
      });
      ceremony.unwrap_waiting(context.name(each.kek, each.suite), sealed);
    } catch (const Refused& refusal) {  // recorded; the others are admitted
      each.failed = true;
      result.failures.push_back(refusal.what());
    } catch (const pkcs11::Error& error) {
      if (vault::is_tokens_fault(error)) throw;
      each.failed = true;
      result.failures.push_back(error.what());
      context.in_transaction(act, each.kek.device, [&] {
        (void)record_enrolment(context, act, Phase::note, each.kek, "failed", {});
      });
    }
  }
  std::erase_if(all, [](const Waiting& each) { return each.failed; });
}

}  // namespace

std::string make_keys(Context& context, CeremonySession& who, const Authority& authority) {
  make_once(context, authority, import_pair, [&](const KeyId& id) {
    return vault::make_import_key(who.session(), id, who.token_profile());
  });
  if (context.config.token.enrolment == EnrolmentMode::officer)
    make_once(context, authority, enrolment_key, [&](const KeyId& id) {
      vault::make_enrolment_key(who.session(), id, who.token_profile());
      return std::string();
    });
  const auto act = context.act("import-key.export", authority);
  auto pem = vault::with_token([&] {
    return import_key_checked_against_trail(context, act, [&](const KeyId& id) {
      return vault::import_key_pem(who.session(), id, who.token_profile());
    });
  });
  const auto admitted = admit_storage_keys(context, who);
  // A process may have died after it made the audit key and before it signed anything.
  const auto is_signed = [&] {
    return registry::LogTables(context.registry.database()).last_checkpoint().has_value();
  };
  // The audit key and the keys at rest are the user's, who also recovers what a dead process left.
  if (!context.registry.setting(registry::setting::audit_key) || !is_signed() ||
      lacks_storage_keys(context) || !context.registry.open_operations().empty())
    who.switch_to_user();
  make_once(
      context, authority, audit_pair,
      [&](const KeyId& id) {
        return vault::make_audit_key(who.session(), id, who.token_profile());
      },
      [&](const KeyId& id, const std::string&) {
        context.registry.set_setting(registry::setting::origin, "smets1-kms/" + id.to_string());
      });
  if (context.token && !context.checkpoints.is_open()) open_heads(context, nullptr);
  if (!is_signed()) (void)checkpoint(context);
  if (context.token) make_storage_keys(context, who, authority, admitted);
  return pem;
}

EnrolmentResult admit_waiting(Context& context, CeremonySession& who, const Authority& authority) {
  if (context.config.token.enrolment == EnrolmentMode::plain)
    throw Refused(RefusalReason::plain_enrolment,
                  "nothing waits for an officer: this token's enrolment is plain");
  const auto act = context.act(audit::op::key_enrol, authority);
  EnrolmentResult result;
  std::vector<Waiting> waiting;
  for (auto& kek : context.registry.waiting_keys()) {
    if (kek.awaits_enrolment)
      waiting.push_back({.kek = kek, .suite = context.device(kek.device).suite});
    else
      result.passed_over.push_back(
          name_of(kek.ref()) + " is " + std::string(to_string(kek.state)) + ", " +
          std::string(to_string(kek.delivery)) +
          ": it is not admitted; 'smets1-kms destroy' ends it once its device can't be using it");
  }
  if (waiting.empty()) return result;
  with_token(act, [&] {
    vault::Ceremony ceremony(who.session(), who.token_profile());
    ceremony.use_enrolment_key(
        KeyId::parse(context.registry.setting(registry::setting::enrolment_key).value_or("")));
    unwrap_waiting(context, ceremony, act, waiting, result);
    who.switch_to_user();
    require_signed_trail(context);
    context.in_transaction(act, std::nullopt, [&] {
      std::vector<KeyRef> keks;
      std::int64_t intent = -1;
      for (const auto& each : waiting) {
        keks.push_back(each.kek.ref());
        const auto index = record_enrolment(context, act, Phase::intent, each.kek, {}, {});
        if (intent < 0) intent = index;
      }
      context.put_operation(act, intent, {}, keks);
    });
    std::vector<std::string> attributes;
    for (const auto& each : waiting) {
      attributes.push_back(ceremony.persist(context.name(each.kek, each.suite), {}, {}).attributes);
      context.report("KEKs admitted", attributes.size(), waiting.size());
    }
    context.in_transaction(act, std::nullopt, [&] {
      for (std::size_t i = 0; i < waiting.size(); ++i) {
        const auto index =
            record_enrolment(context, act, Phase::outcome, waiting[i].kek, "ok", attributes[i]);
        context.registry.set_awaiting(waiting[i].kek, std::nullopt,
                                      static_cast<std::uint64_t>(index));
      }
      context.end_operation(act.operation_id, OperationState::done);
    });
  });
  result.admitted = waiting.size();
  return result;
}

}  // namespace lifecycle

struct Enrolment::Impl {
  Config config;
  Authority authority;
  Callbacks callbacks;
  vault::Pins pins;

  template <class Work>
  auto ceremony(Work&& work) const {
    lifecycle::Context context(config, callbacks, pins,
                               registry::Registry::open(config.database, sqlite::Mode::read_write));
    lifecycle::check_authority_recorded(context, {.name = "enrolment", .authority = authority});
    lifecycle::CeremonySession who(context);
    return work(context, who, authority);
  }
};

Enrolment::Enrolment(Config config, Authority authority, const std::string& officer_pin,
                     Callbacks callbacks)
    : impl_(new Impl{.config = config,
                     .authority = std::move(authority),
                     .callbacks = std::move(callbacks),
                     .pins = vault::pins_of(config, officer_pin)}) {}

std::string Enrolment::make_keys() {
  const auto& [config, authority, callbacks, pins] = *impl_;
  const bool found = std::filesystem::exists(config.database);
  if (!found) lifecycle::check_authority(authority);
  lifecycle::Context context(config, callbacks, pins, registry::Registry::create(config.database));
  if (found)
    lifecycle::check_authority_recorded(context, {.name = "enrolment", .authority = authority});
  try {
    lifecycle::CeremonySession who(context);
    return lifecycle::make_keys(context, who, authority);
  } catch (const Error&) {
    // A wrong PIN, or a token that is not there, leaves no empty registry; one with a record stays.
    if (!found && !context.registry.last_record())
      for (const char* suffix : {"", "-wal", "-shm", ".lock"})
        std::filesystem::remove(config.database.string() + suffix);
    throw;
  }
}

ImportResult Enrolment::import_fleet(const FleetFile& file, const std::string& operation_id) {
  return impl_->ceremony([&](auto& context, auto& who, const auto& authority) {
    return lifecycle::import_fleet(context, who, file, authority, operation_id);
  });
}

HandoverTarget Enrolment::admit_target(const TargetAdmission& admission) {
  return impl_->ceremony([&](auto& context, auto& who, const auto& authority) {
    return lifecycle::admit_target(context, who, authority, admission);
  });
}

void Enrolment::retire_target(const std::string& name) {
  impl_->ceremony([&](auto& context, auto& who, const auto& authority) {
    lifecycle::retire_target(context, who, authority, name);
  });
}

EnrolmentResult Enrolment::admit_waiting() { return impl_->ceremony(lifecycle::admit_waiting); }

void Enrolment::renew_storage_keys() { impl_->ceremony(lifecycle::renew_storage_keys); }

}  // namespace smets1kms
