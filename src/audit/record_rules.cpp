// SPDX-License-Identifier: Apache-2.0
#include "audit/record_rules.hpp"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <stdexcept>

#include "audit/record_fields.hpp"
#include "audit/text.hpp"
#include "base/enum_names.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::audit {
namespace {

using enum KeyState;
constexpr std::pair<KeyState, KeyState> transitions[] = {
    {none, pre_active},
    {none, active},  // from none to active: a KEK that comes from its manufacturer in use
    {pre_active, active},
    {pre_active, compromised},
    {pre_active, destroyed},
    {active, suspended},
    {active, deactivated},
    {active, compromised},
    {suspended, active},
    {suspended, deactivated},
    {suspended, compromised},
    {deactivated, compromised},
    {deactivated, destroyed},
    {compromised, destroyed_compromised},
    {destroyed, destroyed_compromised},
};

constexpr std::uint8_t bit(Delivery delivery) {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(delivery));
}
constexpr std::uint8_t sent = bit(Delivery::released) | bit(Delivery::in_doubt);
constexpr std::uint16_t into(KeyState state) {
  return static_cast<std::uint16_t>(1U << static_cast<unsigned>(state));
}
constexpr std::uint16_t stays = 1U << 15;
constexpr std::uint16_t gone = into(destroyed) | into(destroyed_compromised),
                        suspected = into(compromised) | into(destroyed_compromised);

constexpr std::string_view
    storage_keys =
        "storage key of KEKs|storage key of encryption keys|"
        "storage key of authentication keys|MAC key",
    vaults = "vault token|vault sealed|vault token, before-transfer|vault sealed, before-transfer",
    fleet_file =
        "fleet file sha256 @, KEKs #, of them moved #, devices without one #, unsigned|"
        "fleet file sha256 @, KEKs #, of them moved #, devices without one #, signed by *";

constexpr auto table = [] {
  using enum Effect;
  return std::to_array<RecordType>({
      // operation, phase, result, effect, dual control, detail, states, delivery, from
      {op::key_import, "intent", "", plan, true, "transport key *", into(active)},
      // the device has had it from its making
      {op::key_import, "outcome", "ok", make, true, "", into(active), Delivery::confirmed},
      {op::key_import, "outcome", "failed", abandon, true},
      {op::key_generate, "intent", "", plan, true, "", into(pre_active)},
      {op::key_generate, "outcome", "ok", make, true, "", into(pre_active), Delivery::released},
      {op::key_generate, "outcome", "withheld", make, true, "", into(pre_active),
       Delivery::withheld},
      {op::key_generate, "outcome", "failed", abandon, true},
      {op::key_generate, "note", "handed-out-again", remark, true},
      {op::transfer_release_again, "note", "handed-out-again", remark, false},
      {op::transfer_release, "note", "released", change, false, "", 0, Delivery::released,
       bit(Delivery::withheld)},
      {op::handover_receive, "note", "received", change, false},
      {op::handover_release_again, "note", "handed-out-again", change, false},
      {op::key_prove, "note", "asked", remark, false, "challenge sha256 @"},
      {op::key_enrol, "intent", "", begin, true},
      {op::key_enrol, "outcome", "ok", finish, true},
      {op::key_enrol, "note", "failed", remark, true},
      {op::transfer_reply, "note", "in-doubt", change, false, "no-answer|answer:%|result:#", 0,
       Delivery::in_doubt, bit(Delivery::released)},
      {op::transfer_reply, "note", "unproven", change, false, "answer:%|result:#", 0,
       Delivery::unproven, sent},
      {op::transfer_reply, "note", "confirmed", change, false,
       "answer:%|result:#|a GAK under this KEK was accepted", into(active) | stays,
       Delivery::confirmed, sent | bit(Delivery::unproven)},
      {op::transfer_reply, "note", "not-held", change, false,
       "a GAK under the old KEK was accepted", 0, Delivery::not_held,
       sent | bit(Delivery::unproven)},
      {op::transfer_reply, "note", "superseded", change, false, "", into(deactivated)},
      {op::transfer_resolve, "note", "confirmed", change, true, "*", into(active) | stays,
       Delivery::confirmed, sent | bit(Delivery::unproven)},
      {op::transfer_resolve, "note", "not-held", change, true, "*", 0, Delivery::not_held,
       sent | bit(Delivery::unproven)},
      {op::transfer_resolve, "note", "superseded", change, true, "", into(deactivated)},
      {op::key_retire, "note", "retired", change, true, "|moved: the same KEK is key &",
       into(deactivated)},
      {op::key_compromise, "note", "compromised", change, true, "*", suspected},
      {op::key_compromise, "note", "compromised-through-kek", change, true, "*", suspected},
      {op::key_compromise, "note", "compromised-through-token", change, true, "*", suspected},
      {op::key_compromise, "note", "compromised-through-target", change, true, "*", suspected},
      {op::token_compromise, "note", "compromised", remark, true, "*"},
      {op::key_destroy, "intent", "", begin, true, "", gone},
      {op::key_destroy, "outcome", "ok", finish, true, "absence-checked", gone},
      // a sealed key: backups of the registry may hold it
      {op::key_destroy, "outcome", "blobs-deleted", finish, true, "", gone},
      {op::operation_settle, "outcome", "not-executed", settle, false, "%, objects found #"},
      {op::operation_settle, "outcome", "taken-back", settle, false, "%, objects found #"},
      {op::operation_settle, "outcome", "recovered-executed", settle, false, "%, objects found #",
       gone | stays, Delivery::not_held},
      {op::operation_settle, "outcome", "conflict", conflict, false, "%, objects found #"},
      {op::import_key_generate, "intent", "", plan, true},
      {op::import_key_generate, "outcome", "ok", make, true},
      {op::enrolment_key_generate, "intent", "", plan, true},
      {op::enrolment_key_generate, "outcome", "ok", make, true},
      {op::storage_key_generate, "intent", "", plan, true, storage_keys},
      {op::storage_key_generate, "outcome", "ok", make, true, storage_keys},
      {op::storage_key_destroy, "intent", "", begin, true},
      {op::storage_key_destroy, "outcome", "ok", finish, true, "absence-checked"},
      {op::key_reseal, "note", "resealed", change, true},
      {op::audit_key_generate, "intent", "", plan, true},
      {op::audit_key_generate, "outcome", "ok", make, true},
      {op::audit_key_destroy, "intent", "", begin, true},
      {op::audit_key_destroy, "outcome", "ok", finish, true, "absence-checked"},
      {op::target_admit, "intent", "", plan, true},
      {op::target_admit, "outcome", "ok", make, true, vaults},
      {op::target_retire, "note", "retired", remark, true},
      {op::target_compromise, "note", "compromised", remark, true, "*"},
      {op::target_destroy, "intent", "", begin, true},
      {op::target_destroy, "outcome", "ok", finish, true, "absence-checked"},
      // Events of a device, with their time (at): the facts that the policy's duties follow from.
      {op::device_register, "note", "registered", remark, true},
      {op::device_register, "note", "registered-without-kek", remark, true, "no usable KEK: *"},
      {op::device_commission, "note", "commissioned", remark, true},
      {op::device_suspend, "note", "suspended", remark, true},
      {op::device_resume, "note", "resumed", remark, true},
      {op::device_decommission, "note", "decommissioned", remark, true},
      {op::device_recommission, "note", "recommissioned", remark, true},
      {op::fleet_import, "note", "begun", remark, true, fleet_file},
      {op::fleet_import, "note", "nothing-new", remark, true, fleet_file},
      {op::token_orphan, "note", "found", remark, true,
       "|*"},  // at a gap: an object that no row names
      {op::token_self_test, "note", "ok", remark, false, "# of # held; *"},
      {op::token_self_test, "note", "refused", remark, false, "# of # held; *"},
      {op::token_self_test, "note", "taken-for-testing", remark, false, "# of # held; *"},
      // Records of the log about itself.
      {op::registry_create, "note", "", remark, false, "store %"},
      {op::audit_heartbeat, "note", "", remark, false, "interval-s #"},
      {op::audit_device_map, "note", "", remark, false, "records # devices # root @"},
      {op::audit_document, "note", "", remark, false, "sha256 @ %"},
      {op::audit_anchor, "note", "", remark, false, "the token does not keep the head"},
      {op::audit_anchor, "note", "file-lost", remark, true,
       "the file lacks heads up to # records, orphans #"},
      {op::audit_gap, "note", "", remark, true, "lost-head # @, orphans #"},
      {op::clock_step, "note", "", remark, false, "from ^"},
      // A refusal of any operation: it changed nothing, and need not have named two identities.
      {"", "note", "refused", remark, false, "%"},
  });
}();

const RecordType* find_rule(std::string_view operation, std::string_view phase,
                            std::string_view result) {
  const auto found = std::ranges::find_if(table, [&](const RecordType& rule) {
    return (rule.operation == operation || rule.operation.empty()) && rule.result == result &&
           rule.phase == phase;
  });
  return found == table.end() ? nullptr : &*found;
}

/// Returns the value of a word; `last` is the enumeration's last value.
template <class Enum>
std::optional<Enum> parse_word(std::string_view text, Enum last) {
  for (int i = 0; i <= static_cast<int>(last); ++i)
    if (to_string(static_cast<Enum>(i)) == text) return static_cast<Enum>(i);
  return std::nullopt;
}

class RecordFields {
 public:
  RecordFields(const RecordView& record, std::uint64_t index) : record_(record), index_(index) {}
  [[noreturn]] void fail(const std::string& why) const { throw VerificationFailed(why, index_); }
  std::string_view need(Field field) const {
    if (!record_.has(field) || record_.text(field).empty())
      fail("the field " + std::string(field_name(field)) + " is missing");
    return record_.text(field);
  }
  KeyState state(Field field) const {
    const auto found = parse_word(need(field), destroyed_compromised);
    if (!found) fail(std::string(field_name(field)) + " is not a key state");
    return *found;
  }
  std::array<std::uint8_t, 16> key(Field field) const {
    std::array<std::uint8_t, 16> id{};
    if (!parse_hex(need(field), id))
      fail(std::string(field_name(field)) + " is not 32 lower-case hex digits");
    return id;
  }
  /// Checks dual control: requester and authoriser differ, letter case aside.
  void need_two_identities() const {
    const auto asks = need(Field::requested_by), authorises = need(Field::authorised_by);
    (void)need(Field::reference);
    const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
    if (std::ranges::equal(asks, authorises, {}, lower, lower))
      fail("requested_by and authorised_by are one identity: it needs two");
  }

 private:
  const RecordView& record_;
  std::uint64_t index_;
};

void read_device(const RecordView& record, const RecordFields& in, RecordSummary& summary) {
  if (!record.has(Field::device)) {
    if (record.has(Field::device_seq) || record.has(Field::device_prev))
      in.fail("a place in a device's sequence without a device");
    return;
  }
  const auto device = parse_device(in.need(Field::device));
  if (!device) in.fail("the device is not named as an EUI-64");
  (void)in.need(Field::device_seq);
  const auto previous = parse_hash(in.need(Field::device_prev));
  if (!previous) in.fail("device_prev is not a hash");
  summary.has_device = true;
  summary.device = *device;
  summary.sequence = *record.number(Field::device_seq);
  summary.previous = *previous;
}

void read_key(const RecordView& record, const RecordFields& in, RecordSummary& summary) {
  if (!record.has(Field::key_id)) return;
  summary.has_key = true;
  summary.key = in.key(Field::key_id);
  if (record.has(Field::role)) {
    summary.role = parse_word(record.text(Field::role), KeyRole::kek);
    if (!summary.role) in.fail("the role is not one of guek, gbek, gak, kek");
    const auto generation = record.number(Field::generation).value_or(0);
    if (generation == 0 || generation > UINT32_MAX)
      in.fail("a key of a device without its generation");
    summary.generation = static_cast<std::uint32_t>(generation);
  }
  summary.transfer = static_cast<std::uint32_t>(record.number(Field::transfer).value_or(0));
  summary.is_sealed = record.has(Field::sealed_sha256);
  if ((summary.has_kek = record.has(Field::kek_id)))
    summary.kek = in.key(Field::kek_id);
  else if (const auto sent_as = parse_hash(record.text(Field::wrapped_sha256)))
    std::copy_n(sent_as->begin(), summary.kek.size(), summary.kek.begin());
  if ((summary.has_predecessor = record.has(Field::predecessor)))
    summary.predecessor = in.key(Field::predecessor);
}

/// Reads a key's states, and refuses an illegal step; DeviceReplay checks that it begins where the
/// key stands.
void read_states(const RecordView& record, const RecordFields& in, const RecordType& rule,
                 RecordSummary& summary) {
  if (!record.has(Field::state_from) && !record.has(Field::state_to)) return;
  summary.has_states = true;
  summary.from = in.state(Field::state_from);
  summary.to = in.state(Field::state_to);
  const std::string step = "no key becomes " + std::string(to_string(summary.to)) + " from " +
                           std::string(to_string(summary.from));
  const bool settled = rule.effect == Effect::settle && summary.from == none &&
                       summary.to == destroyed;  // made, never released, and destroyed at once
  if (summary.from != summary.to && !is_legal(summary.from, summary.to) && !settled)
    in.fail(step + " (SP 800-57 Part 1)");
  const bool fits = summary.from == summary.to ? rule.states == 0 || (rule.states & stays) != 0
                                               : (rule.states & into(summary.to)) != 0;
  if (!fits)
    in.fail("by '" + std::string(rule.operation) + " " + std::string(rule.result) + "' " + step);
  if (summary.from == compromised && summary.to == destroyed_compromised &&
      rule.operation != op::key_destroy && rule.effect != Effect::settle)
    in.fail("a key is destroyed without a destruction");  // a suspicion reaches that state from
                                                          // destroyed alone
  const bool was_there =
      rule.effect == Effect::settle && summary.from != none && summary.from != summary.to;
  if (was_there && !record.text(Field::detail).ends_with("objects found 0"))
    in.fail("a key is settled as destroyed, and its objects were found");
}

void check_needs(const RecordFields& in, const RecordType& rule, const RecordSummary& summary) {
  if (rule.dual_control) in.need_two_identities();
  if (rule.operation.empty())
    (void)in.need(Field::detail);
  else
    (void)in.need(Field::op_id);
  if (rule.effect == Effect::remark) {
    if (summary.has_states && summary.from != summary.to) in.fail("a remark changes a key's state");
    return;
  }
  if (!summary.has_key) in.fail("the field key_id is missing");
  for (const std::string_view of_devices : {"key.", "transfer.", "handover.", "device."})
    if (!summary.has_device && rule.operation.starts_with(of_devices))
      in.fail("a key of a device without its device");
  if (!summary.has_device) return;
  if (!summary.role) in.fail("a key of a device without its role");
  if (!summary.has_states) in.fail("the fields state_from and state_to are missing");
  if (rule.operation == op::key_generate && rule.effect != Effect::abandon)
    (void)in.need(Field::kek_id);
  if (rule.operation == op::key_import) {
    if (summary.role != KeyRole::kek)
      in.fail("a " + std::string(role_name(summary.role)) +
              " is never imported: it is made in the token");
    if (summary.has_kek) in.fail("a KEK that its manufacturer sent came under no KEK");
    if (rule.effect == Effect::plan && !parse_hash(in.need(Field::wrapped_sha256)))
      in.fail("wrapped_sha256 is not a hash");
  }
  // A wrap is recorded by the digest of its blob, never by the blob itself.
  if (rule.operation == op::key_generate && rule.effect == Effect::make) {
    if (!parse_hash(in.need(Field::wrapped_sha256))) in.fail("wrapped_sha256 is not a hash");
    (void)in.need(Field::wrapped_len);
  }
  if (rule.effect == Effect::make) (void)in.need(Field::attributes);
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  static constexpr EnumNames<Verdict, 3> words{{"VERIFIED", "FAILED", "INCONCLUSIVE"}};
  return words.name(verdict);
}
std::string_view role_name(std::optional<KeyRole> role) { return role ? to_string(*role) : "key"; }
bool is_legal(KeyState from, KeyState to) {
  return std::ranges::find(transitions, std::pair(from, to)) != std::end(transitions);
}
const RecordType& record_type_of(const RecordSummary& summary) { return table[summary.rule]; }
std::span<const RecordType> record_types() { return table; }

/// Returns the first bytes of SHA-256 over the identities, the reference and the reason: the same
/// for many records one after the other, so that the last is kept.
static std::array<std::uint8_t, 8> authority_of(const RecordView& record) {
  thread_local std::string last = "-", now;
  thread_local std::array<std::uint8_t, 8> digest{};
  now.clear();
  for (const auto field :
       {Field::requested_by, Field::authorised_by, Field::reference, Field::reason})
    now.append(record.text(field)) += '"';
  if (now != last) {
    std::copy_n(sha256(now).begin(), digest.size(), digest.begin());
    last = now;
  }
  return digest;
}

RecordSummary summarise(const RecordView& record, std::uint64_t index, const Hash& leaf) {
  const RecordFields in(record, index);
  if (record.number(Field::v) != 1)
    throw VerificationInconclusive(
        "record " + std::to_string(index) + " is of version " + std::string(record.text(Field::v)) +
        ", this program reads version 1: a newer smets1-audit is needed");
  const auto* rule =
      find_rule(in.need(Field::op), in.need(Field::phase), record.text(Field::result));
  if (rule == nullptr)
    throw VerificationInconclusive(
        "record " + std::to_string(index) + " is of a kind that this program does not know ('" +
        std::string(record.text(Field::op)) + "', " + std::string(record.text(Field::phase)) +
        " '" + std::string(record.text(Field::result)) + "'): a newer smets1-audit is needed");
  if (!record.has(Field::mono_ns)) (void)in.need(Field::mono_us);
  RecordSummary summary{
      .index = index, .leaf = leaf, .rule = static_cast<std::uint16_t>(rule - table.data())};
  const Hash operation = sha256(record.text(Field::op_id));
  std::copy_n(operation.begin(), summary.operation.size(), summary.operation.begin());
  summary.authority = authority_of(record);
  summary.has_time = record.has(Field::at);
  read_device(record, in, summary);
  read_key(record, in, summary);
  read_states(record, in, *rule, summary);
  check_needs(in, *rule, summary);
  try {
    read_targets(record, *rule, summary);
    auto detail = record.text(Field::detail);
    if (rule->operation == op::operation_settle)
      summary.target = target_tag(take_word(detail, ','));
    if (rule->operation == op::storage_key_generate) summary.target = target_tag(detail);
    check_fields(record, *rule);
    read_content(record, *rule, summary);
  } catch (const std::invalid_argument& error) {
    in.fail(error.what());
  }
  return summary;
}

void check_before_writing(std::string_view bytes, std::uint64_t index, const Hash& leaf) try {
  (void)summarise(RecordView::parse(bytes), index, leaf);
} catch (const std::runtime_error& refusal) {
  throw std::logic_error(std::string("a record that 'smets1-audit verify' would refuse: ") +
                         refusal.what());
}

std::optional<std::uint64_t> parse_device(std::string_view text) {
  try {
    const auto device = DeviceId::parse(text);
    if (device.to_string() == text) return device.number();
  } catch (const BadInput&) {  // no device at all
  }
  return std::nullopt;
}

std::string device_name(std::uint64_t device) { return DeviceId::from_number(device).to_string(); }

}  // namespace smets1kms::audit
