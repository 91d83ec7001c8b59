// SPDX-License-Identifier: Apache-2.0
#include "report/event.hpp"

#include <cstring>

#include "smets1kms/errors.hpp"

namespace smets1kms::report {
namespace {

using audit::Field;

struct Meaning {
  std::string_view operation, result;  ///< empty: any
  EventKind what;
};
constexpr Meaning meanings[] = {
    {"", "refused", EventKind::refused},
    {"", "failed", EventKind::failed},
    {audit::op::device_register, "", EventKind::registered},
    {audit::op::device_commission, "", EventKind::commissioned},
    {audit::op::device_suspend, "", EventKind::suspended},
    {audit::op::device_resume, "", EventKind::resumed},
    {audit::op::device_decommission, "", EventKind::decommissioned},
    {audit::op::device_recommission, "", EventKind::recommissioned},
    {audit::op::key_generate, "ok", EventKind::made},
    {audit::op::key_generate, "withheld", EventKind::withheld},
    {audit::op::transfer_release, "", EventKind::released},
    {audit::op::handover_receive, "", EventKind::received},
    {audit::op::key_import, "ok", EventKind::imported},
    {audit::op::transfer_reply, "in-doubt", EventKind::in_doubt},
    {audit::op::transfer_reply, "unproven", EventKind::unproven},
    {audit::op::transfer_reply, "confirmed", EventKind::confirmed},
    {audit::op::transfer_reply, "not-held", EventKind::not_held},
    {audit::op::transfer_resolve, "confirmed", EventKind::confirmed},
    {audit::op::transfer_resolve, "not-held", EventKind::not_held},
    {audit::op::key_compromise, "", EventKind::compromised},
    {audit::op::key_destroy, "ok", EventKind::destroyed},
    {audit::op::key_destroy, "blobs-deleted", EventKind::destroyed},
    {audit::op::operation_settle, "conflict", EventKind::conflict},
    {audit::op::operation_settle, "", EventKind::settled},
};

EventKind meaning_of(const audit::RecordType& rule) {
  if (rule.phase == "intent") return EventKind::begun;
  const auto found = std::ranges::find_if(meanings, [&](const Meaning& each) {
    return (each.operation.empty() || each.operation == rule.operation) &&
           (each.result.empty() || each.result == rule.result);
  });
  return found == std::end(meanings) ? EventKind::other : found->what;
}

/// Reads "guek+gak", or "none". Throws BadInput.
std::uint8_t parse_supports(std::string_view text) {
  std::uint8_t bits = 0;
  if (text == "none") return bits;
  for (std::size_t start = 0; start <= text.size();) {
    const auto end = std::min(text.find('+', start), text.size());
    bits |= static_cast<std::uint8_t>(
        1U << static_cast<unsigned>(parse_role(text.substr(start, end - start))));
    start = end + 1;
  }
  return bits;
}

void read_device_facts(const audit::RecordView& record, Event& event) try {
  event.is_dated = event.what != EventKind::registered || record.has(Field::at);
  if (event.is_dated) event.since = parse_time(record.text(Field::at));
  if (event.what != EventKind::registered) return;
  event.kind = parse_kind(record.text(Field::kind));
  event.supports = parse_supports(record.text(Field::supports));
} catch (const BadInput&) {
  event.readable = false;
}

}  // namespace

const audit::RecordType& rule_of(const Event& event) {
  return audit::record_type_of(audit::RecordSummary{.rule = event.row});
}

std::string name_of(const Event& event) {
  const auto& rule = rule_of(event);
  std::string name(rule.operation);
  for (const auto part : {rule.phase, rule.result})
    if (!part.empty() && (part != "note" || rule.result.empty()))
      name += (name.empty() ? "" : " ") + std::string(part);
  return name;
}

std::string key_of(const Event& event) {
  return event.role ? std::string(to_string(*event.role)) + " " + std::to_string(event.generation)
                    : std::string();
}

std::vector<KeyRole> roles_of(std::uint8_t bits) {
  std::vector<KeyRole> roles;
  for (const auto role : all_roles)
    if ((bits >> static_cast<unsigned>(role) & 1) != 0) roles.push_back(role);
  return roles;
}

std::string names_of(const std::vector<KeyRole>& roles) {
  std::string text;
  for (const auto role : roles) text += (text.empty() ? "" : ", ") + std::string(to_string(role));
  return text.empty() ? "none" : text;
}

Time time_of(const audit::RecordView& record, std::uint64_t index) try {
  return parse_time(record.text(Field::time));
} catch (const BadInput& error) {
  throw audit::VerificationFailed(std::string("its time can't be: ") + error.what(), index);
}

Event event_of(const audit::RecordView& record, const audit::RecordSummary& step) {
  Event event{.device = step.device,
              .index = step.index,
              .time = time_of(record, step.index),
              .key = first_8(step.key),
              .operation = first_8(step.operation),
              .leaf = first_8(step.leaf),
              .generation = step.generation,
              .row = step.rule,
              .role = step.role,
              .state = step.to};
  event.what = meaning_of(audit::record_type_of(step));
  event.since = event.time;
  if (event.what >= EventKind::registered && event.what <= EventKind::recommissioned)
    read_device_facts(record, event);
  return event;
}

}  // namespace smets1kms::report
