// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/enrolment/import.hpp"

#include <algorithm>
#include <set>

#include "base/files.hpp"
#include "lifecycle/enrolment/fleet_file.hpp"
#include "lifecycle/key_change.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/recorded_keys.hpp"
#include "lifecycle/rows_against_log.hpp"
#include "lifecycle/startup.hpp"
#include "vault/enrolment.hpp"

namespace smets1kms::lifecycle {
namespace {

constexpr std::size_t most_of_a_file = std::size_t{1} << 30;  // bytes
constexpr std::size_t most_at_once = 20000;  // KEKs held as session objects at the same time

/// A line whose KEK is to be imported.
struct Arrival {
  FleetLine line;
  Key kek;
  bool is_known;               ///< its device is in the registry
  std::vector<Key> before{};   ///< the KEKs of a known device
  std::optional<Key> moved{};  ///< the KEK in use that is moved; nullopt: none is usable any more
  vault::PersistedKek persisted{};
};

/// Changes of an import: KEKs that arrive, and new devices without one.
struct Arrivals {
  std::vector<Arrival> keks{};
  std::vector<Device> without_kek{};
  [[nodiscard]] bool empty() const { return keks.empty() && without_kek.empty(); }
};

bool is_usable(const Key& kek) {
  return (kek.state == KeyState::pre_active || kek.state == KeyState::active ||
          kek.state == KeyState::suspended) &&
         kek.delivery != Delivery::not_held;
}

/// Returns the ids of the KEKs that were imported from these very bytes.
std::set<std::string, std::less<>> imported_from(Context& context, const FleetLine& line) {
  const auto digest = digest_of_bytes(line.kek_wrapped);
  std::set<std::string, std::less<>> tried,
      imported;  // one whose import failed may be tried again
  for (const auto& entry : context.registry.trail(line.device.id)) {
    const auto record = audit::RecordView::parse(entry.bytes);
    if (record.text(Field::op) != op::key_import) continue;
    const std::string id(record.text(Field::key_id));
    if (record.text(Field::phase) == "intent" && record.text(Field::wrapped_sha256) == digest)
      tried.insert(id);
    if (record.text(Field::phase) == "outcome" && record.text(Field::result) == "ok" &&
        tried.contains(id))
      imported.insert(id);
  }
  return imported;
}

/// Returns the KEK in use, if it rests in the other vault and this line has it; otherwise adds to
/// `stay` why it stays.
std::optional<Key> to_move(Context& context, const FleetLine& line, const Device& device,
                           std::span<const Key> keks, std::vector<std::string>& stay) {
  const Key* in_use = newest(keks, KeyRole::kek, KeyState::active);
  if (in_use == nullptr || in_use->is_sealed == (context.config.keep == VaultKind::sealed))
    return std::nullopt;
  const char* why = device.status == DeviceStatus::decommissioned ? "its device is decommissioned"
                    : kek_candidate(keks) != nullptr
                        ? "a newer one is on its way to the device; move it when that is proved"
                    : !imported_from(context, line).contains(in_use->id.to_string())
                        ? "it was not imported from these bytes; rotate it"
                        : nullptr;
  if (why == nullptr) return *in_use;
  stay.push_back("KEK " + std::to_string(in_use->generation) + " of " + device.id.to_string() +
                 " stays where it is: " + why);
  return std::nullopt;
}

/// Returns SHA-256 of a line's wrapped KEK. No two transport keys unwrap the same bytes.
registry::Hash wrapped_digest(const FleetLine& line) {
  const auto& bytes = line.kek_wrapped;
  return audit::sha256(bytes);
}

/// Refuses a line whose system title or KEK another device has. A known device keeps its title.
void check_own(Context& context, const std::string& file, const FleetLine& line, bool is_known) {
  const auto refuse = [&](std::size_t column, const std::string& what, DeviceId other) {
    throw BadFile(file, line.line, column,
                  what + " of " + line.device.id.to_string() + " is that of " + other.to_string() +
                      " in the registry; ask their manufacturer which of them is wrong");
  };
  if (const auto other = is_known ? std::nullopt : context.registry.other_with_title(line.device))
    refuse(line.title_column, "system_title " + to_hex(line.device.system_title), *other);
  if (const auto other = context.registry.other_with_kek(line.device.id, wrapped_digest(line)))
    refuse(line.kek_column, "the KEK", *other);
}

/// Returns the devices that are new, that need another KEK, or whose KEK is to be moved. A device
/// that is known with other facts ends the import: nothing is overwritten.
Arrivals new_arrivals(Context& context, const std::string& file, std::vector<FleetLine> lines,
                      bool move, const std::string& operation_id, std::vector<std::string>& stay) {
  Arrivals arrivals;
  const Time now = context.clock.now().utc;
  for (auto& line : lines) {
    check_not_ahead(line.device.commissioned_at.value_or(now), now,
                    file + ":" + std::to_string(line.line) + ":" +
                        std::to_string(line.since_column) + ": commissioned_at ");
    const auto known = context.registry.device(line.device.id);
    if (const auto other = known ? differing_facts(*known, line.device) : std::string();
        !other.empty())
      throw BadFile(
          file, line.line, 1,
          "device " + line.device.id.to_string() + " is in the registry with other facts (" +
              other + "); a known device is never overwritten ('device show' tells what is known)");
    if (line.kek_wrapped.empty()) {  // of a known device what it has is kept, its reason too
      if (known) continue;
      check_own(context, file, line, false);
      arrivals.without_kek.push_back(std::move(line.device));
      continue;
    }
    auto before = context.registry.keys(line.device.id);
    // A KEK that is only planned was left by a dead process; it is recovered before anything is
    // planned.
    std::erase_if(before, [](const Key& key) {
      return key.role != KeyRole::kek || key.state == KeyState::none;
    });
    std::optional<Key> moved;
    if (std::ranges::any_of(before, is_usable)) {
      if (move) moved = to_move(context, line, *known, before, stay);
      if (!moved) continue;
    } else if (!before.empty() && !imported_from(context, line).empty()) {
      if (move) continue;
      // A KEK that was lost with its secret would come back as itself: only another one replaces
      // it.
      throw BadFile(file, line.line, line.kek_column,
                    "the KEK of " + line.device.id.to_string() +
                        " is not usable any more, and this is one that was imported before: its "
                        "manufacturer must " +
                        "provide another");
    }
    if (!moved) check_own(context, file, line, known.has_value());
    Key kek{.device = line.device.id,
            .role = KeyRole::kek,
            .generation = before.empty() ? 1 : before.back().generation + 1,
            .id = KeyId::random(),
            .state = KeyState::none,
            .delivery = Delivery::planned,
            .predecessor = moved ? std::optional(moved->id) : std::nullopt,
            .kek = {},
            .transfer = 0,
            .operation = operation_id,
            .created_at = {}};
    arrivals.keks.push_back({.line = std::move(line),
                             .kek = std::move(kek),
                             .is_known = known.has_value(),
                             .before = std::move(before),
                             .moved = std::move(moved)});
  }
  return arrivals;
}

void open_transport_keys(vault::Ceremony& ceremony, std::span<const TransportKey> keys) {
  for (const auto& key : keys) {
    try {
      ceremony.open_transport_key(key.name, key.encrypted);
    } catch (const pkcs11::Error& error) {
      if (vault::is_tokens_fault(error)) throw;
      throw RefusedByToken(
          error.function(), error.rv_name(),
          std::string(error.what()) +
              ": it is not an AES-256 key under this token's import key (RSA-OAEP with SHA-1)");
    }
  }
}

/// Unwraps every KEK before anything is kept, so that one bad line refuses the file.
void unwrap_all(Context& context, vault::Ceremony& ceremony, const std::string& file,
                const std::vector<Arrival>& arrivals) {
  for (const auto& [line, kek, is_known, before, moved, persisted] : arrivals) {
    if (!ceremony.has_transport_key(line.kek_transport))
      throw BadFile(file, line.line, line.kek_column,
                    "transport key " + line.kek_transport +
                        " was not given; give it with --transport-key " + line.kek_transport +
                        "=FILE");
    try {
      ceremony.unwrap_sent(context.name(kek, line.device.suite), line.kek_transport,
                           line.kek_wrapped);
    } catch (const pkcs11::Error& error) {
      if (vault::is_tokens_fault(error)) throw;
      throw BadFile(file, line.line, line.kek_column,
                    "the token does not unwrap this KEK under transport key " + line.kek_transport +
                        " (" + error.function() + ": " + error.rv_name() + ")");
    }
  }
}

/// Plans the import. CeremonySession::switch_to_user must have recovered an operation that a dead
/// process left open under the same id.
void plan_import(Context& context, const trail::AuditContext& act, const std::string& digest,
                 const std::string& signer, const Arrivals& all) {
  const auto& arrivals = all.keks;
  const auto request = digest_of({"import", digest});
  if (!all.empty() && context.is_repeat(act.operation_id, "import", request))
    throw Refused(RefusalReason::operation_id_reused,
                  "operation id " + act.operation_id + " was given to another import");
  const auto moved_keks =
      std::ranges::count_if(arrivals, [](const Arrival& each) { return each.moved.has_value(); });
  const auto begun = context.append(
      context.trail.record(act, Phase::note), {},
      {{Field::result, all.empty() ? "nothing-new" : "begun"},
       {Field::detail, "fleet file sha256 " + digest + ", KEKs " + std::to_string(arrivals.size()) +
                           ", of them moved " + std::to_string(moved_keks) +
                           ", devices without one " + std::to_string(all.without_kek.size()) +
                           (signer.empty() ? ", unsigned" : ", signed by " + signer)}});
  if (all.empty()) return;
  std::vector<KeyRef> keks;
  for (const auto& arrival : arrivals) keks.push_back(arrival.kek.ref());
  context.put_operation(act, begun, {.kind = "import", .digest = request}, keks);
  for (const auto& arrival : arrivals)  // a recovery may have ended it meanwhile
    if (arrival.moved && context.registry.key_state(*arrival.moved) != KeyState::active)
      throw Refused(RefusalReason::kek_changed,
                    "the KEK of " + arrival.kek.device.to_string() +
                        " has changed its state meanwhile: it is not moved; run the command again");
  for (const auto& arrival : arrivals) {
    if (!arrival.is_known) continue;
    check_row(context, context.device(arrival.kek.device));
    check_newest_rows(context, std::span(&arrival.kek.role, 1),
                      context.registry.keys(arrival.kek.device));
  }
  for (const auto& [line, planned, is_known, before, moved, persisted] : arrivals) {
    Key kek = planned;
    auto intent = context.trail.record(act.as(op::key_import), Phase::intent, kek, KeyState::none,
                                       KeyState::active);
    intent.set(Field::wrapped_len, line.kek_wrapped.size());
    kek.made = kek.record = static_cast<std::uint64_t>(context.append(
        intent, kek.device,
        {{Field::mechanism, "CKM_RSA_PKCS_OAEP,CKM_AES_KEY_WRAP"},
         {Field::detail, "transport key " + line.kek_transport +
                             (moved ? ", moved from key " + moved->id.to_string() : "")},
         {Field::wrapped_sha256, digest_of_bytes(line.kek_wrapped)}}));
    context.registry.add_key(kek);
  }
}

/// Registers a device with what the policy needs to know of it; a commissioning that the file names
/// is recorded with it.
void register_device(Context& context, const trail::AuditContext& act, Device device) {
  const bool has_kek = device.no_kek_reason.empty();
  const auto supports = names_of(device.supports);
  const auto& since = device.commissioned_at;
  const auto index =
      context.append(context.trail.record(act.as(op::device_register), Phase::note), device.id,
                     {{Field::result, has_kek ? "registered" : "registered-without-kek"},
                      {Field::detail, has_kek ? "" : no_usable_kek(device)},
                      {Field::kind, to_string(device.kind)},
                      {Field::model, device.model},
                      {Field::suite, std::to_string(static_cast<int>(device.suite))},
                      {Field::supports, supports.empty() ? "none" : supports},
                      {Field::at, since ? format_time(*since) : std::string()}});
  device.registered = device.record = static_cast<std::uint64_t>(index);
  context.registry.add_device(device);
  if (since)
    context.registry.add_event(
        device.id, {DeviceChange::commissioned, {.at = *since, .record = device.record}});
}

/// Ends a KEK that was on its way when it was suspected: nobody can prove it any more, and its
/// device has another.
void end_pending(Context& context, const trail::AuditContext& act, const std::vector<Key>& before) {
  for (const auto& kek : before)
    if (is_pending(kek))
      change_key(context, act.as(op::transfer_resolve), kek,
                 {.delivery = Delivery::not_held,
                  .result = "not-held",
                  .detail = "its manufacturer provided another KEK"});
}

void conclude_import(Context& context, const trail::AuditContext& act, Arrivals& arrivals) {
  for (const auto& device : arrivals.without_kek) register_device(context, act, device);
  for (auto& [line, kek, is_known, before, moved, persisted] : arrivals.keks) {
    if (!is_known) register_device(context, act, line.device);
    context.registry.add_imported_kek(kek.device, wrapped_digest(line));
    end_pending(context, act, before);
    const auto moment = context.trail.moment();
    context.set_state(kek, KeyState::active);
    kek.delivery =
        Delivery::confirmed;  // the device has had it from its making, or from its manufacturer
    kek.created_at = moment.utc;
    mark_delivery(kek, moment.utc);
    const auto record = context.append(
        context.trail.record(act.as(op::key_import), Phase::outcome, kek, KeyState::none,
                             kek.state),
        kek.device,
        {{Field::result, "ok"},
         {Field::ckr, "CKR_OK"},
         {Field::attributes, persisted.attributes},
         {Field::sealed_sha256,
          persisted.sealed ? digest_of_bytes(persisted.sealed->blob) : std::string()}},
        moment);
    kek.made = kek.record = static_cast<std::uint64_t>(record);
    context.registry.update_key(kek);
    if (is_known && before.empty()) context.registry.forget_no_kek_reason(kek.device);
    if (persisted.sealed) context.registry.set_sealed(kek, *persisted.sealed, record);
    if (moved)
      change_key(context, act.as(op::key_retire), context.key(moved->ref()),
                 {.state = KeyState::deactivated,
                  .result = "retired",
                  .detail = "moved: the same KEK is key " + kek.id.to_string()});
  }
  context.end_operation(act.operation_id, OperationState::done);
}

/// Takes back everything of the file. If the token does not answer, the next opening recovers it.
void take_back(Context& context, const trail::AuditContext& act,
               const std::vector<Arrival>& arrivals, const std::string& code) {
  std::vector<KeyId> ids;
  for (const auto& arrival : arrivals) ids.push_back(arrival.kek.id);
  if (context.config.keep == VaultKind::token && context.vault->destroy(ids) != 0) return;
  context.in_transaction(act, std::nullopt, [&] {
    for (const auto& arrival : arrivals) {
      context.append(context.trail.record(act.as(op::key_import), Phase::outcome, arrival.kek),
                     arrival.kek.device, {{Field::result, "failed"}, {Field::ckr, code}});
      context.registry.drop_planned_key(arrival.kek);
    }
    context.end_operation(act.operation_id, OperationState::failed);
  });
}

void admit_all(Context& context, vault::Ceremony& ceremony, const trail::AuditContext& act,
               std::vector<Arrival>& arrivals) {
  std::size_t done = 0;
  try {
    for (auto& [line, kek, is_known, before, moved, persisted] : arrivals) {
      persisted = ceremony.persist(context.name(kek, line.device.suite), line.kek_transport,
                                   line.kek_wrapped, &context.vault->sealing());
      context.report("KEKs put to rest", ++done, arrivals.size());
    }
  } catch (const pkcs11::Error& error) {
    take_back(context, act, arrivals, error.function() + ":" + error.rv_name());
    throw;
  }
}

}  // namespace

ImportResult import_fleet(Context& context, CeremonySession& who, const FleetFile& file,
                          const Authority& authority, const std::string& given_id) {
  const auto act = context.act(op::fleet_import, authority, given_id);
  const std::string content = read_file(file.csv, most_of_a_file), name = file.csv.string(),
                    digest = audit::to_hex(audit::sha256(content));
  std::string signer;
  Arrivals arrivals;
  std::vector<std::string> stay;
  std::size_t total = 0;
  context.in_transaction(act, std::nullopt, [&] {
    signer = check_signature(content, file.signature, context.config);
    auto lines = read_fleet_file(name, content, context.config);
    total = lines.size();
    if (context.config.token.enrolment == EnrolmentMode::officer && total > most_at_once)
      throw BadInput(name + " has " + std::to_string(total) +
                     " devices: in a ceremony their KEKs are in the token's memory together; split "
                     "it into files of at most " +
                     std::to_string(most_at_once));
    arrivals = new_arrivals(context, name, std::move(lines), file.move, act.operation_id, stay);
    if (arrivals.empty()) plan_import(context, act, digest, signer, arrivals);
  });
  ImportResult result{.without_kek = arrivals.without_kek.size(),
                      .not_moved = std::move(stay),
                      .already_known = total - arrivals.keks.size() - arrivals.without_kek.size(),
                      .signer = signer};
  for (const auto& each : arrivals.keks)
    ++(each.moved            ? result.moved
       : !each.is_known      ? result.imported
       : each.before.empty() ? result.keks_added
                             : result.replaced);
  if (arrivals.empty()) return result;
  with_token(act, [&] {
    vault::Ceremony ceremony(who.session(), who.token_profile(), context.config.keep);
    import_key_checked_against_trail(context, act,
                                     [&](const KeyId& id) { return ceremony.use_import_key(id); });
    open_transport_keys(ceremony, file.transport_keys);
    unwrap_all(context, ceremony, name, arrivals.keks);
    who.switch_to_user();
    require_signed_trail(context);
    require_storage_keys(context);
    context.in_transaction(act, std::nullopt,
                           [&] { plan_import(context, act, digest, signer, arrivals); });
    admit_all(context, ceremony, act, arrivals.keks);
  });
  context.in_transaction(act, std::nullopt, [&] { conclude_import(context, act, arrivals); });
  return result;
}

}  // namespace smets1kms::lifecycle
