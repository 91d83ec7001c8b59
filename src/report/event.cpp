#include "report/event.hpp"

#include <cstring>

#include "smets1kms/errors.hpp"

namespace smets1kms::report {
namespace {

using audit::Field;

struct Meaning {
  std::string_view operation, result;  ///< empty: any
  What what;
};
constexpr Meaning meanings[] = {
    {"", "refused", What::refused},
    {"", "failed", What::failed},
    {"device.register", "", What::registered},
    {"device.suspend", "", What::suspended},
    {"device.resume", "", What::resumed},
    {"device.decommission", "", What::decommissioned},
    {"device.recommission", "", What::recommissioned},
    {"key.generate", "ok", What::made},
    {"key.import", "ok", What::imported},
    {"transfer.reply", "in-doubt", What::in_doubt},
    {"transfer.reply", "unproven", What::unproven},
    {"transfer.reply", "confirmed", What::confirmed},
    {"transfer.reply", "not-held", What::not_held},
    {"transfer.resolve", "confirmed", What::confirmed},
    {"transfer.resolve", "not-held", What::not_held},
    {"key.compromise", "", What::compromised},
    {"key.destroy", "ok", What::destroyed},
    {"key.destroy", "blobs-deleted", What::destroyed},
    {"operation.settle", "conflict", What::conflict},
    {"operation.settle", "", What::settled},
};

What meaning_of(const audit::Rule& rule) {
  if (rule.phase == "intent") return What::begun;
  const auto found = std::ranges::find_if(meanings, [&](const Meaning& each) {
    return (each.operation.empty() || each.operation == rule.operation) && (each.result.empty() || each.result == rule.result);
  });
  return found == std::end(meanings) ? What::other : found->what;
}

template <class Bytes>
std::uint64_t first_8(const Bytes& bytes) {
  std::uint64_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

/// "guek+gak", or "none". Throws BadInput.
std::uint8_t parse_supports(std::string_view text) {
  std::uint8_t bits = 0;
  if (text == "none") return bits;
  for (std::size_t start = 0; start <= text.size();) {
    const auto end = std::min(text.find('+', start), text.size());
    bits |= static_cast<std::uint8_t>(1U << static_cast<unsigned>(parse_role(text.substr(start, end - start))));
    start = end + 1;
  }
  return bits;
}

void read_device_facts(const audit::RecordView& record, Event& event) try {
  event.since = parse_time(record.text(Field::at));
  if (event.what != What::registered) return;
  event.kind = parse_kind(record.text(Field::kind));
  event.supports = parse_supports(record.text(Field::supports));
} catch (const BadInput&) {
  event.readable = false;
}

}  // namespace

const audit::Rule& rule_of(const Event& event) { return audit::rule_of(audit::Step{.rule = event.row}); }

std::string name_of(const Event& event) {
  const auto& rule = rule_of(event);
  std::string name(rule.operation);
  for (const auto part : {rule.phase, rule.result})
    if (!part.empty() && (part != "note" || rule.result.empty())) name += (name.empty() ? "" : " ") + std::string(part);
  return name;
}

std::string key_of(const Event& event) {
  return event.role == audit::Role::none ? std::string() : std::string(to_string(event.role)) + " " + std::to_string(event.generation);
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

Time time_of(const audit::RecordView& record, std::uint64_t index) try { return parse_time(record.text(Field::time)); } catch (const BadInput& error) {
  throw audit::Failed(std::string("its time can't be: ") + error.what(), index);
}

Event event_of(const audit::RecordView& record, const audit::Step& step) {
  Event event{.device = step.device,
              .index = step.index,
              .time = time_of(record, step.index),
              .key = first_8(step.key),
              .operation = first_8(step.operation),
              .leaf = first_8(step.leaf),
              .generation = step.generation,
              .row = step.rule,
              .role = step.role};
  event.what = meaning_of(audit::rule_of(step));
  event.since = event.time;
  if (event.what >= What::registered && event.what <= What::recommissioned) read_device_facts(record, event);
  return event;
}

}  // namespace smets1kms::report
