// SPDX-License-Identifier: Apache-2.0
#include "audit/log_checks.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "audit/text.hpp"

namespace smets1kms::audit {
namespace {

constexpr std::size_t most_findings = 1000;
constexpr std::size_t heads_together = 512;

std::uint64_t seconds_of(std::string_view time) {
  const auto number = [&](std::size_t at, std::size_t width) {
    return static_cast<unsigned>(parse_padded(time.substr(at, width), width).value_or(0));
  };
  const std::chrono::sys_days day = std::chrono::year(static_cast<int>(number(0, 4))) /
                                    static_cast<int>(number(5, 2)) / static_cast<int>(number(8, 2));
  return static_cast<std::uint64_t>(day.time_since_epoch().count()) * 86400 +
         number(11, 2) * 3600U + number(14, 2) * 60U + number(17, 2);
}

}  // namespace

void note_finding(Report& report, Finding finding) {
  ++report.finding_counts[finding.kind];
  if (report.findings.size() < most_findings) report.findings.push_back(std::move(finding));
}

void TimeCheck::add(const RecordView& record, const RecordSummary& summary, Report& report) {
  const auto time = record.text(Field::time), boot = record.text(Field::boot_id),
             operation = record_type_of(summary).operation;  // empty: a refusal
  const auto index = summary.index;
  const auto monotonic = record.has(Field::mono_us) ? *record.number(Field::mono_us) * 1000
                                                    : *record.number(Field::mono_ns);  // ns
  if (time < time_ && operation != op::clock_step)
    throw VerificationFailed(
        "its time " + std::string(time) + " is before " + time_ +
            " of the record before it, and no record says that the clock was set",
        index);
  if (boot == boot_ && monotonic < monotonic_ && operation != op::clock_step)
    throw VerificationFailed(
        "its monotonic time is before that of the record before it, of the same boot, and no "
        "record says that this clock was set",
        index);
  if (interval_ != 0 && time_ < time && seconds_of(time) - seconds_of(time_) > 2 * interval_)
    note_finding(report,
                 {.kind = "silence",
                  .text = "nothing was recorded between " + time_ + " and " + std::string(time) +
                          "; a heartbeat was due every " + std::to_string(interval_) + " s",
                  .index = index});
  if (operation == op::clock_step)
    note_finding(report, {.kind = "clock-step",
                          .text = "the clock was set from " + time_ + " to " + std::string(time),
                          .index = index});
  if (operation == op::audit_heartbeat) {
    const auto seconds =
        parse_number(record.text(Field::detail).substr(std::string_view("interval-s ").size()));
    if (!seconds || *seconds == 0 || !record.text(Field::detail).starts_with("interval-s "))
      throw VerificationFailed("a heartbeat says 'interval-s SECONDS'", index);
    interval_ = *seconds;
  }
  if (operation == op::audit_device_map) map_.assign(time);
  time_.assign(time);
  if (boot != boot_) boot_.assign(boot);
  monotonic_ = monotonic;
}

void TimeCheck::finish(Report& report) const {
  if (interval_ != 0 && map_ < time_ && !map_.empty() &&
      seconds_of(time_) - seconds_of(map_) > 2 * interval_)
    note_finding(report,
                 {.kind = "old-device-map",
                  .text = "the last device-head map is of " + map_ + ", the last record of " +
                          time_ + "; a map is due as often as a heartbeat, every " +
                          std::to_string(interval_) + " s",
                  .index = {}});
}

void TargetCheck::add(const RecordView& record, const RecordSummary& summary) {
  const auto& type = record_type_of(summary);
  if (type.operation == op::key_generate && type.effect == Effect::make)
    check_handovers(record, summary);
  else if (type.operation == op::token_compromise)
    suspicions_.add_token(summary);
  else if (summary.has_target)
    change(record, summary);
}

/// Follows what becomes of a target, and refuses a record that names one that can't be meant.
void TargetCheck::change(const RecordView& record, const RecordSummary& summary) {
  const auto& type = record_type_of(summary);
  const auto text = record.text(Field::target);
  const auto [name, generation] = *parse_target(text);
  const auto need = [&](bool good, const char* why) {
    if (!good)
      throw VerificationFailed("handover target " + std::string(text) + " " + why, summary.index);
  };
  const auto last = last_.find(name);
  const std::uint64_t newest = last == last_.end() ? 0 : last->second.generation;
  const bool is_admitted = admitted_.contains(name) && generation == newest;
  if (type.operation == op::target_admit) {
    need(generation == newest + 1, "does not follow its last generation: they count up from 1");
    if (type.effect != Effect::make) return;
    auto& admission = last_[std::string(name)];
    static_cast<Admission&>(admission) = read_admission(record);
    admitted_[last_.find(name)->first] = &admission;
    return need(admitted_.size() <= most_targets, "is one more than eight");
  }
  need(generation <= newest, "was never admitted");
  if (type.operation == op::target_destroy) {
    need(!is_admitted, "is admitted, and its public key is destroyed");
    if (type.effect != Effect::finish || generation != last->second.suspected) return;
    return suspicions_.end(last->second.suspicion, summary);
  }
  const bool retires = type.operation == op::target_retire;
  if (!retires && type.operation != op::target_compromise) return;  // a record of a key
  need(generation == newest, "was renewed: the last generation has to be named");
  need(is_admitted || !retires, "is retired, and is not admitted any more");
  need(retires || last->second.suspected < newest, "is suspected already");
  admitted_.erase(name);
  if (retires) return;
  auto& target = last->second;
  target.suspicion = suspicions_.add_target(name, target.suspected, generation, summary);
  target.suspected = generation;
}

void TargetCheck::check_handovers(const RecordView& record, const RecordSummary& summary) const {
  const auto fail = [&](std::string_view target, const std::string& why) {
    throw VerificationFailed(std::string(role_name(summary.role)) + " " +
                                 std::to_string(summary.generation) + " (" + to_hex(summary.key) +
                                 ") of " + device_name(summary.device) + ": handover target " +
                                 std::string(target) + " " + why,
                             summary.index);
  };
  const auto text = record.text(Field::handovers);
  const auto named = text.empty() ? std::vector<Handover>() : parse_handovers(text).value();
  auto next = named.begin();
  const auto expect_none_before = [&](std::string_view name) {
    if (next != named.end() && (name.empty() || next->name.name < name))
      fail(next->target, "is named, and is not admitted for this role at this moment");
  };
  for (const auto& [name, admission] : admitted_) {
    if (!admission->takes(*summary.role)) continue;
    expect_none_before(name);
    const auto admitted = std::string(name) + "/" + std::to_string(admission->generation);
    if (next == named.end() || next->name.name != name)
      fail(admitted, "is admitted for this role, and was left out");
    if (next->name.generation != admission->generation)
      fail(next->target, "is named, and " + admitted + " is admitted");
    if (next->hash != admission->hash)
      fail(admitted, "was admitted with " + admission->hash + ", not " + std::string(next->hash));
    if (next->before_transfer != admission->before_transfer)
      fail(admitted, std::string("was admitted to be served ") +
                         (admission->before_transfer ? "before" : "without regard to") +
                         " the transfer, and the outcome says otherwise");
    ++next;
  }
  expect_none_before({});
}

TimestampCheck::TimestampCheck(Log& log, const VerifyOptions& options)
    : is_asked_(options.timestamps.has_value()) {
  if (!is_asked_) return;
  log.for_each_timestamp([&](const std::string& response) {
    try {
      const auto [imprint, time] = options.timestamps->verify(response);
      const auto [place, is_new] = times_.emplace(imprint, time);
      if (!is_new) place->second = std::min(place->second, time);
    } catch (const std::invalid_argument& error) {
      throw VerificationFailed(std::string("a time stamp of the log is false: ") + error.what());
    }
  });
}

void TimestampCheck::add(const Note& note, Report& report) {
  if (times_.empty()) return;
  if (auto found = times_.extract(sha256(note.format())))
    report.stamped = {.records = note.head.size, .time = std::move(found.mapped())};
}

void TimestampCheck::finish(Report& report) const {
  if (!times_.empty())
    throw VerificationFailed("the time stamp of " + times_.begin()->second +
                             " is of no head of this log");
  if (is_asked_ && !report.stamped)
    report.missing.push_back("a time stamp on a head of this log: it keeps none");
}

CheckpointCheck::CheckpointCheck(Log& log, const VerifyOptions& options, Report& report)
    : log_(log),
      options_(options),
      report_(report),
      timestamps_(log, options),
      next_(log.next_checkpoint()),
      origin_(options.origin) {
  std::vector<AuditKey> all = options.keys;
  std::ranges::copy(log.audit_keys(), std::back_inserter(all));
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto name = to_hex(sha256(all[i].pem()));
    keys_.emplace(name, all[i]);
    if (i < options.keys.size()) given_.insert(name);
  }
  if (!options.since) return;
  if (options.since->head.size == 0)
    throw VerificationInconclusive(
        "the head given with --since is of an empty log: every log extends it, so it proves "
        "nothing");
  if (!origin_) origin_ = options.since->head.origin;
  switch (check_signatures(*options.since, all)) {
    case Signed::yes: break;
    case Signed::no: throw VerificationFailed("the head given with --since has a false signature");
    case Signed::unknown_keys:
      throw VerificationInconclusive(
          "the head given with --since is signed by another key than was given");
  }
}

void CheckpointCheck::add(const RecordView& record, const RecordSummary& summary) {
  const auto& type = record_type_of(summary);
  if (type.operation != op::audit_key_generate || type.effect != Effect::make) return;
  if (signer_.has_signed) former_ = signer_;
  const std::string name(record.text(Field::public_key_sha256));
  signer_ = {.sha256 = name, .is_trusted = given_.contains(name)};
}

void CheckpointCheck::check(const Note& note, const CompactRange& tree) {
  const auto which = note.head.name();
  if (!origin_) origin_ = note.head.origin;
  if (note.head.origin != *origin_)
    throw VerificationFailed(which + " is of another log, " + note.head.origin +
                             " (expected: " + *origin_ + ")");
  if (note.head.root != tree.root())
    throw VerificationFailed(which +
                                 " was signed over other records than these: a record up to there "
                                 "was changed, inserted, dropped or moved",
                             tree.size() == 0 ? std::nullopt : std::optional(tree.size() - 1));
}

void CheckpointCheck::add(const CompactRange& tree) {
  if (options_.since && options_.since->head.size == tree.size()) check(*options_.since, tree);
  for (; next_ && next_->head.size <= tree.size(); next_ = log_.next_checkpoint()) {
    if (next_->head.size < tree.size())
      throw VerificationFailed(next_->head.name() + " stands behind a later one");
    if (!next_->extension.empty() || !next_->witnesses.empty())
      throw VerificationFailed(next_->head.name() +
                               " has lines that the log has not written (extension, witness)");
    check(*next_, tree);
    timestamps_.add(*next_, report_);
    ++report_.checkpoints;
    expect_signatures(*std::move(next_));
    if (unchecked_.size() == heads_together) begin_signatures();
  }
}

/// Works out who has to sign a head, from what the log says up to there.
void CheckpointCheck::expect_signatures(Note note) {
  Pending head{.note = std::move(note), .keys = {}, .is_trusted = true};
  bool is_known = true;
  for (const auto* signer : {&signer_, &former_}) {
    if (signer->sha256.empty()) continue;
    const auto key = keys_.find(signer->sha256);
    if (key != keys_.end())
      head.keys.push_back(key->second);
    else
      is_known = false;
  }
  signer_.is_trusted = signer_.is_trusted || former_.is_trusted;
  signer_.has_signed = true;
  former_ = {};
  if (!head.keys.empty()) head.is_trusted = signer_.is_trusted;
  if (is_known) return unchecked_.push_back(std::move(head));
  for (const auto& signature : head.note.signatures)
    if (std::ranges::find(head.keys, signature.key, &AuditKey::id) == head.keys.end())
      unknown_.insert(to_hex(signature.key));
}

void CheckpointCheck::begin_signatures() {
  end_signatures();
  checking_ = std::async(std::launch::async,
                         [heads = std::exchange(unchecked_, {}), &keys = options_.keys]() mutable {
                           for (auto& [note, signers, is_trusted, answer] : heads)
                             answer = signers.empty() ? check_signatures(note, keys)
                                      : !is_signed_by_all(note, signers) ? Signed::no
                                      : is_trusted                       ? Signed::yes
                                                                         : Signed::unknown_keys;
                           return std::move(heads);
                         });
}

void CheckpointCheck::end_signatures() {
  if (!checking_.valid()) return;
  for (auto& [note, signers, is_trusted, answer] : checking_.get()) {
    if (answer == Signed::no)
      throw VerificationFailed(
          note.head.name() +
              (signers.empty() || check_signatures(note, signers) == Signed::no
                   ? " has a false signature"
                   : " is not signed by the audit keys that sign at this point: the one that the "
                     "log has introduced last, and on the first head after that the one before it"),
          note.head.size == 0 ? std::nullopt : std::optional(note.head.size - 1));
    if (answer == Signed::yes) {
      report_.head = std::move(note);
      untrusted_.clear();  // this head is over all that the ones before it are over
    } else {
      for (const auto& signature : note.signatures)
        (signers.empty() ? unknown_ : untrusted_).insert(to_hex(signature.key));
    }
  }
}

void CheckpointCheck::finish(const CompactRange& tree) {
  begin_signatures();
  end_signatures();
  const std::uint64_t size = tree.size();
  if (const auto claims = log_.claims();
      claims && (claims->root != tree.root() || claims->size != size ||
                 (origin_ && claims->origin != *origin_)))
    throw VerificationFailed("the manifest says that this is the log " + claims->origin + " with " +
                             std::to_string(claims->size) + " records and root " +
                             to_hex(claims->root) + ", and it is not");
  const auto cut = [&](const Checkpoint& head, const char* which) {
    throw VerificationFailed(std::string(which) + " covers " + std::to_string(head.size) +
                             " records, and there are " + std::to_string(size) +
                             ": the log was cut, or an old copy restored");
  };
  if (options_.since && options_.since->head.size > size)
    cut(options_.since->head, "the head given with --since");
  if (next_) cut(next_->head, "a head of the log");
  timestamps_.finish(report_);
  if (options_.keys.empty())
    report_.missing.push_back("a public audit key (--key), from elsewhere than the log");
  unknown_.merge(untrusted_);
  for (const auto& id : unknown_)
    report_.missing.push_back("audit key " + id + ", which has signed heads of this log");
  if (report_.checkpoints == 0)
    report_.missing.push_back(
        "a signed head: this log has none, so whoever can write it can change it");
  else if (report_.head && report_.head->head.size < size)
    report_.missing.push_back(
        "a signed head over the last " + std::to_string(size - report_.head->head.size) +
        " records (from record " + std::to_string(report_.head->head.size) + " on)");
}

void DeviceMapCheck::add(const RecordView& record, const RecordSummary& summary) {
  if (record_type_of(summary).operation != op::audit_device_map) return;
  try {
    const auto statement = MapStatement::parse(record.text(Field::detail));
    if (statement.records != summary.index)
      throw std::invalid_argument(
          "a device-head map is of the records before the one that states it");
    stated_[summary.index] = statement;
  } catch (const std::invalid_argument& error) {
    throw VerificationFailed(error.what(), summary.index);
  }
}

void DeviceMapCheck::read(ExternalSort<RecordSummary>& summaries, Report& report) {
  for (const auto records : log_.maps()) {
    CompactRange tree;
    log_.for_each_head(records, [&](const DeviceHead& head) {
      tree.append(leaf_hash(head.format()),
                  [&](unsigned level, std::uint64_t node, const Hash& hash) {
                    if (level == node_level) log_.check_map_node(records, node, hash);
                  });
      summaries.add({.index = records,
                     .device = head.device,
                     .sequence = head.sequence,
                     .before = head.index,
                     .leaf = head.leaf,
                     .is_claim = true});
    });
    if (log_.is_own_table() && records == log_.size())
      continue;  // no record states its present content yet
    const auto stated = stated_.find(records);
    if (stated == stated_.end())
      throw VerificationFailed("no record states the device-head map of " +
                               std::to_string(records) + " records");
    if (stated->second.devices != tree.size() || stated->second.root != tree.root())
      throw VerificationFailed("the device-head map of " + std::to_string(records) +
                                   " records is not the one that the log states",
                               records);
  }
  if (stated_.empty())
    note_finding(report, {.kind = "no-device-map",
                          .text = "the log states no device-head map: that a device has no other "
                                  "records than these is shown by reading all, as was done here",
                          .index = {}});
}

std::uint64_t DeviceMapCheck::expected(std::uint64_t first_index) const {
  const auto sizes = log_.maps();
  return static_cast<std::uint64_t>(
      std::ranges::count_if(sizes, [&](std::uint64_t records) { return records > first_index; }));
}

}  // namespace smets1kms::audit
