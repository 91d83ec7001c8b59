#include "smets1kms/enrolment.hpp"

#include "lifecycle/import.hpp"
#include "lifecycle/recorded.hpp"
#include "lifecycle/rules.hpp"
#include "lifecycle/storage.hpp"
#include "vault/audit_key.hpp"
#include "vault/enrolment.hpp"

namespace smets1kms {
namespace lifecycle {
namespace {

using audit::Field;
using Phase = Trail::Phase;
using registry::OperationState;

/// Makes the keys of the token that are not there yet.
void make_once(Core& core, const Authority& authority, const TokenKey& key, const std::function<std::string(const KeyId&)>& make,
               const std::function<void(const KeyId&, const std::string& pem)>& also = {}) {
  if (core.registry.setting(key.setting)) return;
  make_token_key(core, {.name = key.act, .operation_id = core.operation_id({}), .authority = authority}, key, make, also);
}

constexpr TokenKey import_pair{
    .act = "import-key.generate", .mechanism = "CKM_RSA_PKCS_KEY_PAIR_GEN", .setting = import_key_setting, .record = import_key_record_setting};
constexpr TokenKey enrolment_key{.act = "enrolment-key.generate", .mechanism = "CKM_AES_KEY_GEN", .setting = enrolment_key_setting};

struct Waiting {
  Key kek;
  SecuritySuite suite;
  bool failed = false;
};

void record_enrolment(Core& core, const Act& act, Phase phase, const Key& kek, std::string_view result, const std::string& attributes) {
  auto record = core.trail.record(act, phase, kek);
  record.set(Field::mechanism, "CKM_AES_KEY_WRAP");
  if (!result.empty()) record.set(Field::result, result);
  if (!attributes.empty()) record.set(Field::attributes, attributes);
  core.trail.append(record, kek.device);
}

/// While the officer is logged in: what can't be unwrapped is a failure of that KEK's, told and recorded.
void unwrap_waiting(Core& core, vault::Ceremony& ceremony, const Act& act, std::vector<Waiting>& all, EnrolmentResult& result) {
  for (auto& each : all) {
    try {
      const auto sealed = core.record_change(act, each.kek.device, [&] { return waiting_as_recorded(core, each.kek); });
      ceremony.unwrap_waiting(core.name(each.kek, each.suite), sealed);
    } catch (const Refused& refusal) {  // recorded; the others are admitted
      each.failed = true;
      result.failures.push_back(refusal.what());
    } catch (const pkcs11::Error& error) {
      if (is_tokens_fault(error)) throw;
      each.failed = true;
      result.failures.push_back(error.what());
      core.record_change(act, each.kek.device, [&] { record_enrolment(core, act, Phase::note, each.kek, "failed", {}); });
    }
  }
  std::erase_if(all, [](const Waiting& each) { return each.failed; });
}

}  // namespace

std::string make_keys(Core& core, CeremonySession& who, const Authority& authority) {
  make_once(core, authority, import_pair, [&](const KeyId& id) { return vault::make_import_key(who.session(), id, who.terms()); });
  if (core.config.token.enrolment == EnrolmentMode::officer)
    make_once(core, authority, enrolment_key, [&](const KeyId& id) {
      vault::make_enrolment_key(who.session(), id, who.terms());
      return std::string();
    });
  const Act act{.name = "import-key.export", .operation_id = core.operation_id({}), .authority = authority};
  auto pem =
      with_token([&] { return import_key_as_recorded(core, act, [&](const KeyId& id) { return vault::import_key_pem(who.session(), id, who.terms()); }); });
  const auto admitted = admit_storage_keys(core, who);
  // A process may have died that had made the audit key, and signed nothing with it.
  const auto is_signed = [&] { return registry::LogTables(core.registry.database()).last_checkpoint().has_value(); };
  // The audit key and the keys at rest are the user's; and what a process that died left is settled by him.
  if (!core.registry.setting(audit_key_setting) || !is_signed() || lacks_storage_keys(core) || !core.registry.open_operations().empty()) who.step_down();
  make_once(
      core, authority, audit_pair, [&](const KeyId& id) { return vault::make_audit_key(who.session(), id, who.terms()); },
      [&](const KeyId& id, const std::string&) { core.registry.set_setting(origin_setting, "smets1-kms/" + id.to_string()); });
  if (core.token && !core.heads.is_open()) open_heads(core, nullptr);
  if (!is_signed()) (void)checkpoint(core);
  if (core.token) make_storage_keys(core, who, authority, admitted);
  return pem;
}

EnrolmentResult admit_waiting(Core& core, CeremonySession& who, const Authority& authority) {
  if (core.config.token.enrolment == EnrolmentMode::plain) throw Refused("plain-enrolment", "nothing waits for an officer: this token's enrolment is plain");
  const Act act{.name = "key.enrol", .operation_id = core.operation_id({}), .authority = authority};
  EnrolmentResult result;
  std::vector<Waiting> waiting;
  std::string list;
  for (auto& kek : core.registry.waiting_keys()) {
    if (kek.awaits_enrolment)
      waiting.push_back({.kek = kek, .suite = core.device(kek.device).suite});
    else
      result.passed_over.push_back(name_of({kek.device, kek.role, kek.generation}) + " is " + std::string(to_string(kek.state)) + ", " +
                                   std::string(to_string(kek.delivery)) +
                                   ": it is not admitted; 'smets1-kms destroy' ends it once its device can't be using it");
  }
  if (waiting.empty()) return result;
  with_token([&] {
    vault::Ceremony ceremony(who.session(), who.terms());
    ceremony.use_enrolment_key(KeyId::parse(core.registry.setting(enrolment_key_setting).value_or("")));
    unwrap_waiting(core, ceremony, act, waiting, result);
    who.step_down();
    core.require_signed_trail();
    core.record_change(
        act, std::nullopt,
        [&] {
          for (const auto& each : waiting) {
            list += name_of({each.kek.device, each.kek.role, each.kek.generation}) + ";";
            record_enrolment(core, act, Phase::intent, each.kek, {}, {});
          }
          core.registry.put_operation(
              {.id = act.operation_id, .kind = std::string(act.name), .device = {}, .digest = {}, .state = OperationState::open, .detail = list});
        },
        Sealed::with_outcome);
    std::vector<std::string> attributes;
    for (const auto& each : waiting) {
      attributes.push_back(ceremony.put_to_rest(core.name(each.kek, each.suite), {}, {}).attributes);
      if (core.surroundings.progress) core.surroundings.progress({.what = "KEKs admitted", .done = attributes.size(), .total = waiting.size()});
    }
    core.record_change(act, std::nullopt, [&] {
      for (std::size_t i = 0; i < waiting.size(); ++i) {
        core.registry.set_awaiting(waiting[i].kek, std::nullopt);
        record_enrolment(core, act, Phase::outcome, waiting[i].kek, "ok", attributes[i]);
      }
      core.registry.end_operation(act.operation_id, OperationState::done);
    });
  });
  result.admitted = waiting.size();
  return result;
}

/// Before any PIN is asked for: a refusal of the identities is in the trail.
static void check_recorded(Core& core, const Authority& authority) {
  core.record_change({.name = "enrolment", .operation_id = "", .authority = authority}, std::nullopt, [&] { check_authority(authority); });
}

}  // namespace lifecycle

Enrolment::Enrolment(Config config, Authority authority, const std::string& officer_pin, Surroundings surroundings)
    : config_(std::move(config)),
      authority_(std::move(authority)),
      surroundings_(std::move(surroundings)),
      pins_(std::make_shared<const lifecycle::Pins>(lifecycle::pins_of(config_, officer_pin))) {}

std::string Enrolment::make_keys() {
  const bool found = std::filesystem::exists(config_.database);
  if (!found) lifecycle::check_authority(authority_);
  lifecycle::Core core(config_, surroundings_, *pins_, registry::Registry::create(config_.database));
  if (found) lifecycle::check_recorded(core, authority_);
  try {
    lifecycle::CeremonySession who(core);
    return lifecycle::make_keys(core, who, authority_);
  } catch (const Error&) {
    // A wrong PIN, or a token that is not there, leaves no empty registry behind; one with a record in it stays.
    if (!found && core.registry.summary().records == 0)
      for (const char* suffix : {"", "-wal", "-shm", ".lock"}) std::filesystem::remove(config_.database.string() + suffix);
    throw;
  }
}

template <class Work>
auto Enrolment::ceremony(Work&& work) {
  lifecycle::Core core(config_, surroundings_, *pins_, registry::Registry::open(config_.database, sqlite::Mode::read_write));
  lifecycle::check_recorded(core, authority_);
  lifecycle::CeremonySession who(core);
  return work(core, who);
}

ImportResult Enrolment::import_fleet(const FleetFile& file, const std::string& operation_id) {
  return ceremony([&](auto& core, auto& who) { return lifecycle::import_fleet(core, who, file, authority_, operation_id); });
}

EnrolmentResult Enrolment::admit_waiting() {
  return ceremony([&](auto& core, auto& who) { return lifecycle::admit_waiting(core, who, authority_); });
}

void Enrolment::renew_storage_keys() {
  ceremony([&](auto& core, auto& who) { lifecycle::renew_storage_keys(core, who, authority_); });
}

}  // namespace smets1kms
