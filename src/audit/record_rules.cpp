// SPDX-License-Identifier: Apache-2.0
#include "audit/record_rules.hpp"

#include <algorithm>
#include <cctype>
#include <iterator>

namespace smets1kms::audit {
namespace {

using enum State;
constexpr std::string_view state_words[] = {"none",      "pre-active",           "active",
                                            "suspended", "deactivated",          "compromised",
                                            "destroyed", "destroyed-compromised"};
constexpr std::pair<State, State> transitions[] = {
    {none, pre_active},
    {none, active},  // the second: a KEK that comes from its manufacturer in use
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
constexpr std::string_view role_words[] = {"guek", "gbek", "gak", "kek"};

constexpr std::uint8_t bit(Way way) {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(way));
}
constexpr std::uint8_t sent = bit(Way::released) | bit(Way::in_doubt);
constexpr auto no_way = Way::planned;
constexpr std::uint16_t into(State state) {
  return static_cast<std::uint16_t>(1U << static_cast<unsigned>(state));
}
constexpr std::uint16_t stays = 1U << 15;
constexpr std::uint16_t gone = into(destroyed) | into(destroyed_compromised),
                        suspected = into(compromised) | into(destroyed_compromised);

constexpr RecordType table[] = {
    // operation, phase, result, effect, dual control, way, from, detail, states
    {"key.import", "intent", "", Effect::plan, true, no_way, 0, "", into(active)},
    {"key.import", "outcome", "ok", Effect::make, true, Way::confirmed, 0, "",
     into(active)},  // the device has had it from its making
    {"key.import", "outcome", "failed", Effect::abandon, true, no_way, 0, ""},
    {"key.generate", "intent", "", Effect::plan, true, no_way, 0, "", into(pre_active)},
    {"key.generate", "outcome", "ok", Effect::make, true, Way::released, 0, "", into(pre_active)},
    {"key.generate", "outcome", "failed", Effect::abandon, true, no_way, 0, ""},
    {"key.generate", "note", "handed-out-again", Effect::remark, true, no_way, 0, ""},
    {"transfer.release-again", "note", "handed-out-again", Effect::remark, false, no_way, 0, ""},
    {"key.prove", "note", "asked", Effect::remark, false, no_way, 0, "challenge sha256 "},
    {"key.enrol", "intent", "", Effect::begin, true, no_way, 0, ""},
    {"key.enrol", "outcome", "ok", Effect::finish, true, no_way, 0, ""},
    {"key.enrol", "note", "failed", Effect::remark, true, no_way, 0, ""},
    {"transfer.reply", "note", "in-doubt", Effect::change, false, Way::in_doubt, bit(Way::released),
     ""},
    {"transfer.reply", "note", "unproven", Effect::change, false, Way::unproven, sent, ""},
    {"transfer.reply", "note", "confirmed", Effect::change, false, Way::confirmed,
     sent | bit(Way::unproven), "", into(active) | stays},
    {"transfer.reply", "note", "not-held", Effect::change, false, Way::not_held,
     sent | bit(Way::unproven), ""},
    {"transfer.reply", "note", "superseded", Effect::change, false, no_way, 0, "",
     into(deactivated)},
    {"transfer.resolve", "note", "confirmed", Effect::change, true, Way::confirmed,
     sent | bit(Way::unproven), "", into(active) | stays},
    {"transfer.resolve", "note", "not-held", Effect::change, true, Way::not_held,
     sent | bit(Way::unproven), ""},
    {"transfer.resolve", "note", "superseded", Effect::change, true, no_way, 0, "",
     into(deactivated)},
    {"key.retire", "note", "retired", Effect::change, true, no_way, 0, "", into(deactivated)},
    {"key.compromise", "note", "compromised", Effect::change, true, no_way, 0, "", suspected},
    {"key.compromise", "note", "compromised-through-kek", Effect::change, true, no_way, 0, "",
     suspected},
    {"key.compromise", "note", "compromised-through-token", Effect::change, true, no_way, 0, "",
     suspected},
    {"token.compromise", "note", "compromised", Effect::remark, true, no_way, 0, ""},
    {"key.destroy", "intent", "", Effect::begin, true, no_way, 0, "", gone},
    {"key.destroy", "outcome", "ok", Effect::finish, true, no_way, 0, "absence-checked", gone},
    {"key.destroy", "outcome", "blobs-deleted", Effect::finish, true, no_way, 0, "",
     gone},  // a sealed key: backups of the registry may hold it
    {"operation.settle", "outcome", "not-executed", Effect::settle, false, no_way, 0,
     "objects found "},
    {"operation.settle", "outcome", "taken-back", Effect::settle, false, no_way, 0,
     "objects found "},
    {"operation.settle", "outcome", "recovered-executed", Effect::settle, false, Way::not_held, 0,
     "objects found ", gone | stays},
    {"operation.settle", "outcome", "conflict", Effect::conflict, false, no_way, 0,
     "objects found "},
    {"import-key.generate", "intent", "", Effect::plan, true, no_way, 0, ""},
    {"import-key.generate", "outcome", "ok", Effect::make, true, no_way, 0, ""},
    {"enrolment-key.generate", "intent", "", Effect::plan, true, no_way, 0, ""},
    {"enrolment-key.generate", "outcome", "ok", Effect::make, true, no_way, 0, ""},
    {"storage-key.generate", "intent", "", Effect::plan, true, no_way, 0, ""},
    {"storage-key.generate", "outcome", "ok", Effect::make, true, no_way, 0, ""},
    {"storage-key.destroy", "intent", "", Effect::begin, true, no_way, 0, ""},
    {"storage-key.destroy", "outcome", "ok", Effect::finish, true, no_way, 0, "absence-checked"},
    {"key.reseal", "note", "resealed", Effect::change, true, no_way, 0, ""},
    {"audit-key.generate", "intent", "", Effect::plan, true, no_way, 0, ""},
    {"audit-key.generate", "outcome", "ok", Effect::make, true, no_way, 0, ""},
    {"audit-key.destroy", "intent", "", Effect::begin, true, no_way, 0, ""},
    {"audit-key.destroy", "outcome", "ok", Effect::finish, true, no_way, 0, "absence-checked"},
    // What became of a device, and when (at): the facts that the policy's duties follow from.
    {"device.register", "note", "registered", Effect::remark, true, no_way, 0, ""},
    {"device.suspend", "note", "suspended", Effect::remark, true, no_way, 0, ""},
    {"device.resume", "note", "resumed", Effect::remark, true, no_way, 0, ""},
    {"device.decommission", "note", "decommissioned", Effect::remark, true, no_way, 0, ""},
    {"device.recommission", "note", "recommissioned", Effect::remark, true, no_way, 0, ""},
    {"fleet.import", "note", "begun", Effect::remark, true, no_way, 0, "sha256 "},
    {"fleet.import", "note", "nothing-new", Effect::remark, true, no_way, 0, "sha256 "},
    {"token.orphan", "note", "found", Effect::remark, true, no_way, 0,
     ""},  // at a gap: an object that no row names
    {"token.self-test", "note", "ok", Effect::remark, false, no_way, 0, ""},
    {"token.self-test", "note", "refused", Effect::remark, false, no_way, 0, ""},
    {"token.self-test", "note", "taken-for-testing", Effect::remark, false, no_way, 0, ""},
    // The log about itself.
    {"audit.heartbeat", "note", "", Effect::remark, false, no_way, 0, "interval-s "},
    {"audit.device-map", "note", "", Effect::remark, false, no_way, 0, "records "},
    {"audit.document", "note", "", Effect::remark, false, no_way, 0, "sha256 "},
    {"audit.anchor", "note", "", Effect::remark, false, no_way, 0, ""},
    {"audit.anchor", "note", "file-lost", Effect::remark, true, no_way, 0, ""},
    {"audit.gap", "note", "", Effect::remark, true, no_way, 0, "lost-head "},
    {"clock.step", "note", "", Effect::remark, false, no_way, 0, ""},
    // Any operation that the rules refused: it changed nothing, and need not have named two
    // identities.
    {"", "note", "refused", Effect::remark, false, no_way, 0, ""},
};

const RecordType* find_rule(std::string_view operation, std::string_view phase,
                            std::string_view result) {
  const auto found = std::ranges::find_if(table, [&](const RecordType& rule) {
    return (rule.operation == operation || rule.operation.empty()) && rule.result == result &&
           rule.phase == phase;
  });
  return found == std::end(table) ? nullptr : found;
}

template <std::size_t count>
std::optional<std::size_t> word(const std::string_view (&words)[count], std::string_view text) {
  const auto found = std::ranges::find(words, text);
  return found == std::end(words)
             ? std::nullopt
             : std::optional(static_cast<std::size_t>(found - std::begin(words)));
}

int digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

class Reading {
 public:
  Reading(const RecordView& record, std::uint64_t index) : record_(record), index_(index) {}
  [[noreturn]] void fail(const std::string& why) const { throw VerificationFailed(why, index_); }
  std::string_view need(Field field) const {
    if (!record_.has(field) || record_.text(field).empty())
      fail("the field " + std::string(field_name(field)) + " is missing");
    return record_.text(field);
  }
  State state(Field field) const {
    const auto found = word(state_words, need(field));
    if (!found) fail(std::string(field_name(field)) + " is not a key state");
    return static_cast<State>(*found);
  }
  std::array<std::uint8_t, 16> key(Field field) const {
    std::array<std::uint8_t, 16> id{};
    if (!parse_hex(need(field), id))
      fail(std::string(field_name(field)) + " is not 32 lower-case hex digits");
    return id;
  }
  /// Dual control: who asks and who authorises are two, letter case aside.
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

void read_device(const RecordView& record, const Reading& in, RecordSummary& summary) {
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

void read_key(const RecordView& record, const Reading& in, RecordSummary& summary) {
  if (!record.has(Field::key_id)) return;
  summary.has_key = true;
  summary.key = in.key(Field::key_id);
  if (record.has(Field::role)) {
    const auto role = word(role_words, record.text(Field::role));
    if (!role) in.fail("the role is not one of guek, gbek, gak, kek");
    summary.role = static_cast<Role>(*role);
    const auto generation = record.number(Field::generation).value_or(0);
    if (generation == 0 || generation > UINT32_MAX)
      in.fail("a key of a device without its generation");
    summary.generation = static_cast<std::uint32_t>(generation);
  }
  summary.is_sealed = record.has(Field::sealed_sha256);
  if ((summary.has_kek = record.has(Field::kek_id)))
    summary.kek = in.key(Field::kek_id);
  else if (const auto sent_as = parse_hash(record.text(Field::wrapped_sha256)))
    std::copy_n(sent_as->begin(), summary.kek.size(), summary.kek.begin());
  if ((summary.has_predecessor = record.has(Field::predecessor)))
    summary.predecessor = in.key(Field::predecessor);
}

/// Legal by itself; whether it begins where the key stands is the story's to say.
void read_states(const RecordView& record, const Reading& in, const RecordType& rule,
                 RecordSummary& summary) {
  if (!record.has(Field::state_from) && !record.has(Field::state_to)) return;
  summary.has_states = true;
  summary.from = in.state(Field::state_from);
  summary.to = in.state(Field::state_to);
  const bool settled = rule.effect == Effect::settle && summary.from == none &&
                       summary.to == destroyed;  // made, never released, and destroyed at once
  if (summary.from != summary.to && !is_legal(summary.from, summary.to) && !settled)
    in.fail("no key becomes " + std::string(to_string(summary.to)) + " from " +
            std::string(to_string(summary.from)) + " (SP 800-57 Part 1)");
  const bool fits = summary.from == summary.to ? rule.states == 0 || (rule.states & stays) != 0
                                               : (rule.states & into(summary.to)) != 0;
  if (!fits)
    in.fail("by '" + std::string(rule.operation) + " " + std::string(rule.result) +
            "' no key becomes " + std::string(to_string(summary.to)) + " from " +
            std::string(to_string(summary.from)));
  if (summary.from == compromised && summary.to == destroyed_compromised &&
      rule.operation != "key.destroy" && rule.effect != Effect::settle)
    in.fail("a key is destroyed without a destruction");  // a suspicion reaches that state from
                                                          // destroyed alone
  const bool was_there =
      rule.effect == Effect::settle && summary.from != none && summary.from != summary.to;
  if (was_there && !record.text(Field::detail).ends_with("objects found 0"))
    in.fail("a key is settled as destroyed, and its objects were found");
}

void check_needs(const RecordView& record, const Reading& in, const RecordType& rule,
                 const RecordSummary& summary) {
  if (rule.dual_control) in.need_two_identities();
  if (rule.operation.empty())
    (void)in.need(Field::detail);
  else if (rule.effect != Effect::remark)
    (void)in.need(Field::op_id);
  if (record.text(Field::detail).find(rule.detail) == std::string_view::npos)
    in.fail("its detail does not say '" + std::string(rule.detail) + "'");
  if (rule.effect == Effect::remark) {
    if (summary.has_states && summary.from != summary.to) in.fail("a remark changes a key's state");
    return;
  }
  if (!summary.has_key) in.fail("the field key_id is missing");
  for (const std::string_view of_devices : {"key.", "transfer.", "device."})
    if (!summary.has_device && rule.operation.starts_with(of_devices))
      in.fail("a key of a device without its device");
  if (!summary.has_device) return;
  if (summary.role == Role::none) in.fail("a key of a device without its role");
  if (!summary.has_states) in.fail("the fields state_from and state_to are missing");
  if (rule.operation == "key.generate" && rule.effect != Effect::abandon)
    (void)in.need(Field::kek_id);
  if (rule.operation == "key.import") {
    if (summary.role != Role::kek)
      in.fail("a " + std::string(to_string(summary.role)) +
              " is never imported: it is made in the token");
    if (summary.has_kek) in.fail("a KEK that its manufacturer sent came under no KEK");
    if (rule.effect == Effect::plan && !parse_hash(in.need(Field::wrapped_sha256)))
      in.fail("wrapped_sha256 is not a hash");
  }
  // A wrap is recorded by what it gave: never the blob itself.
  if (rule.operation == "key.generate" && rule.effect == Effect::make) {
    if (!parse_hash(in.need(Field::wrapped_sha256))) in.fail("wrapped_sha256 is not a hash");
    (void)in.need(Field::wrapped_len);
  }
  if (rule.effect == Effect::make) (void)in.need(Field::attributes);
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  static constexpr std::string_view words[] = {"VERIFIED", "FAILED", "INCONCLUSIVE"};
  return words[static_cast<std::size_t>(verdict)];
}
std::string_view to_string(State state) { return state_words[static_cast<std::size_t>(state)]; }
std::string_view to_string(Role role) {
  return role == Role::none ? "key" : role_words[static_cast<std::size_t>(role)];
}
bool is_legal(State from, State to) {
  return std::ranges::find(transitions, std::pair(from, to)) != std::end(transitions);
}
const RecordType& record_type_of(const RecordSummary& summary) { return table[summary.rule]; }

RecordSummary summarise(const RecordView& record, std::uint64_t index, const Hash& leaf) {
  const Reading in(record, index);
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
  for (const auto field :
       {Field::event_id, Field::salt, Field::host, Field::software, Field::clock, Field::boot_id})
    (void)in.need(field);
  if (!record.has(Field::mono_ns)) (void)in.need(Field::mono_us);
  if (!is_time(in.need(Field::time)))
    in.fail("its time is not of the form 2026-11-22T18:00:00.000Z");
  RecordSummary summary;
  summary.index = index;
  summary.leaf = leaf;
  summary.rule = static_cast<std::uint16_t>(rule - table);
  const Hash operation = sha256(record.text(Field::op_id));
  std::copy_n(operation.begin(), summary.operation.size(), summary.operation.begin());
  read_device(record, in, summary);
  read_key(record, in, summary);
  read_states(record, in, *rule, summary);
  check_needs(record, in, *rule, summary);
  return summary;
}

std::optional<std::uint64_t> parse_device(std::string_view text) {
  if (text.size() != 23) return std::nullopt;
  std::uint64_t device = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i % 3 == 2) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int value = digit(text[i]);
    if (value < 0) return std::nullopt;
    device = device << 4 | static_cast<std::uint64_t>(value);
  }
  return device;
}

std::string device_name(std::uint64_t device) {
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) {
    text += "0123456789ABCDEF"[device >> shift & 15];
    if (shift % 8 == 0 && shift != 0) text += '-';
  }
  return text;
}

std::string key_name(const std::array<std::uint8_t, 16>& id) {
  std::string text;
  for (const auto byte : id)
    for (const int shift : {4, 0}) text += "0123456789abcdef"[byte >> shift & 15];
  return text;
}

bool is_time(std::string_view text) {
  static constexpr std::string_view shape = "0000-00-00T00:00:00.000Z";
  return std::ranges::equal(text, shape, [](char c, char form) {
    return form == '0' ? c >= '0' && c <= '9' : c == form;
  });
}

}  // namespace smets1kms::audit
