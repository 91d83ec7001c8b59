// SPDX-License-Identifier: Apache-2.0
#include "report/collector.hpp"

#include "audit/text.hpp"

namespace smets1kms::report {
namespace {

using audit::Field;

constexpr std::size_t most_tokens = 20, most_words = 100, most_documents = 100,
                      most_doubtful = 1000;

/// Returns what a record says in these fields, and who is answerable for it.
RecordNote note_of(const audit::RecordView& record, std::uint64_t index, Time time,
                   std::vector<Field> fields) {
  RecordNote made{
      .index = index, .time = time, .device = std::string(record.text(Field::device)), .text = {}};
  fields.insert(fields.end(), {Field::requested_by, Field::authorised_by, Field::reference});
  for (const auto field : fields) {
    if (!record.has(field)) continue;
    if (!made.text.empty()) made.text += ", ";
    if (field != Field::op && field != Field::detail)
      made.text.append(audit::field_name(field)).append(" ");
    made.text += record.text(field);
  }
  return made;
}

}  // namespace

void Collector::add(const audit::RecordView& record, const audit::RecordSummary& step) {
  ++facts_.records;
  Time time;
  if (step.has_device) {
    Event event = event_of(record, step);
    if (event.what == EventKind::received) event.target = target_number(record.text(Field::target));
    time = event.time;
    if (!until_ || (time <= *until_ &&  // known then, and true then or never
                    (event.since <= *until_ || event.since > time + date_tolerance))) {
      if (step.sequence == 1) ++devices_;
      events_.add(event);
    }
  } else {
    time = time_of(record, step.index);
    if (record.text(Field::op) == audit::op::audit_document)
      add_document(record.text(Field::detail), step.index, time);
  }
  check_clock(record, time);
  facts_.last = time;
  if (!facts_.first) facts_.first = time;
  if (until_ && time > *until_)
    ++facts_.later;
  else
    add_log(record, step.index, time);
}

/// Notes where the clock was set, and where nothing was recorded for more than two heartbeats.
void Collector::check_clock(const audit::RecordView& record, Time time) {
  const auto operation = record.text(Field::op);
  const Time before = facts_.last.value_or(time);
  if (operation == audit::op::clock_step ||
      (heartbeat_.count() != 0 && time - before > 2 * heartbeat_)) {
    facts_.doubtful.push_back({std::min(before, time), std::max(before, time)});
    if (facts_.doubtful.size() > most_doubtful) facts_.doubtful.erase(facts_.doubtful.begin());
  }
  if (operation == audit::op::audit_heartbeat)
    heartbeat_ = std::chrono::seconds(std::min<std::uint64_t>(
        audit::parse_number(
            record.text(Field::detail).substr(std::string_view("interval-s ").size()))
            .value_or(0),
        UINT32_MAX));
}

void Collector::add_log(const audit::RecordView& record, std::uint64_t index, Time when) {
  using enum Field;
  const auto remarked = [&](std::vector<Field> fields) {
    return note_of(record, index, when, std::move(fields));
  };
  count_token(record.text(token));
  if (record.has(protection)) ++facts_.unprotected;
  if (record.has(justification)) facts_.justified.add(remarked({op, reason, justification}));
  if (record.text(result) == "refused") {
    std::string word(record.text(detail));
    if (facts_.refusals.size() >= most_words && !facts_.refusals.contains(word)) word = "other";
    return facts_.refusals[word].add(remarked({op, reason}));
  }
  const auto operation = record.text(op);
  if (operation == audit::op::token_compromise)
    facts_.token_compromises.add(remarked({detail, notify}));
  else if (operation == audit::op::audit_gap)
    facts_.gaps.add(remarked({detail}));
  else if (operation.starts_with("audit-key.") && record.text(phase) != "intent")
    facts_.audit_keys.add(remarked({op, result}));
  else if (operation.starts_with("target."))
    add_target(record, index, when);
}

/// Adds a target that is admitted, and ends one that is not any more.
void Collector::add_target(const audit::RecordView& record, std::uint64_t index, Time when) {
  using enum Field;
  const auto operation = record.text(op);
  const bool admits = operation == audit::op::target_admit;
  if (record.text(phase) == "intent" || operation == audit::op::target_destroy) return;
  const auto named = audit::parse_target(record.text(target))->name;
  for (auto& each : facts_.targets.first) {
    if (each.admission.name != named) continue;
    if (!each.until || (each.status == "retired" && !admits))
      each.status = admits ? "renewed" : record.text(result);
    if (!each.until) each.until = when, each.until_record = index;
    each.is_former = each.is_former || !admits;
  }
  if (admits)
    facts_.targets.add({.admission = audit::read_admission(record),
                        .certificate = std::string(record.text(certificate_sha256)),
                        .record = index,
                        .admitted = when,
                        .who = note_of(record, index, when, {}).text});
}

/// Returns the number of a target among those that are kept, from 1; 0: it is not.
std::uint16_t Collector::target_number(std::string_view target) const {
  const auto& all = facts_.targets.first;
  const auto found = std::ranges::find(all, target, &HandoverTarget::name);
  return static_cast<std::uint16_t>(found == all.end() ? 0 : found - all.begin() + 1);
}

/// Takes "sha256 HASH NAME". The last documents count, whenever they were written: their content
/// has dates of its own.
void Collector::add_document(std::string_view detail, std::uint64_t index, Time time) {
  const auto at = detail.find("sha256 ");
  if (at == std::string_view::npos || detail.size() <= at + 72) return;
  facts_.documents.push_back({.index = index,
                              .time = time,
                              .sha256 = std::string(detail.substr(at + 7, 64)),
                              .name = std::string(detail.substr(at + 72))});
  if (facts_.documents.size() > most_documents) facts_.documents.erase(facts_.documents.begin());
}

/// Counts a token's record; nearly always it is the same token.
void Collector::count_token(std::string_view token) {
  if (token.empty()) return;
  if (token_count_ == nullptr || token != token_) {
    token_ = token;
    const bool room = facts_.tokens.size() < most_tokens || facts_.tokens.contains(token_);
    token_count_ = &facts_.tokens[room ? token_ : "other tokens"];
  }
  ++*token_count_;
}

}  // namespace smets1kms::report
