// SPDX-License-Identifier: Apache-2.0
#include "audit/handover_file.hpp"

#include <algorithm>
#include <tuple>

#include "audit/text.hpp"

namespace smets1kms::audit {

void HandoverFiles::add(std::uint64_t line, const HandoverLine& handover) {
  const auto [place, is_new] = target_places_.try_emplace(
      handover.target, static_cast<std::uint32_t>(target_places_.size()));
  if (is_new) targets_.push_back(handover.target);
  entries_.push_back({.key = handover.key,
                      .sha256 = handover.sha256,
                      .device = handover.device,
                      .line = line,
                      .generation = handover.generation,
                      .transfer = handover.transfer,
                      .target = place->second,
                      .file = static_cast<std::uint16_t>(files_.size() - 1),
                      .role = handover.role,
                      .is_sha1 = handover.hash == "SHA-1"});
  ++files_.back().lines;
}

void HandoverFiles::add(std::uint64_t line, Note checkpoint) {
  const auto where = place(files_.size() - 1, line);
  const auto answer = check_signatures(checkpoint, keys_);
  if (answer == Signed::no) throw VerificationFailed(where + "a false signature");
  if (answer == Signed::unknown_keys && !keys_.empty())
    missing_.insert("audit key " + to_hex(checkpoint.signatures.front().key) +
                    ", which has signed the checkpoint at " + where.substr(0, where.size() - 2));
  files_.back().heads.push_back({.line = line, .head = std::move(checkpoint.head)});
}

void HandoverFiles::add_record(const RecordView& record, const RecordSummary& summary) {
  const auto& type = record_type_of(summary);
  if (type.operation != op::key_generate || type.effect != Effect::make) return;
  if (!is_sorted_) std::ranges::sort(entries_, {}, &Entry::key);
  is_sorted_ = true;
  const auto lines = std::ranges::equal_range(entries_, summary.key, {}, &Entry::key);
  if (lines.empty()) return;
  const auto text = record.text(Field::handovers);
  const auto handovers = text.empty() ? std::vector<Handover>() : parse_handovers(text).value();
  for (auto& line : lines) {
    const auto found = std::ranges::find(handovers, targets_[line.target], &Handover::target);
    const bool is_there = found != handovers.end();
    line.record = summary.index;
    line.differs = line.device != summary.device                            ? "device_id"
                   : line.role != summary.role                              ? "role"
                   : line.generation != summary.generation                  ? "generation"
                   : line.transfer != summary.transfer                      ? "transfer_id"
                   : !is_there                                              ? "target"
                   : (found->hash == "SHA-1") != line.is_sha1               ? "hash"
                   : found->sha256 != std::string_view(to_hex(line.sha256)) ? "sha256"
                                                                            : nullptr;
  }
}

void HandoverFiles::finish(Log& log, Report& report) {
  for (const auto& file : files_)
    report.handovers.push_back({file.name, file.lines, file.heads.size()});
  if (report.verdict == Verdict::failed) return;
  std::ranges::sort(entries_, {},
                    [](const Entry& each) { return std::pair(each.file, each.line); });
  try {
    StoredTree tree(log.tree());
    if (report.records == tree.size())  // the log was read to its end
      for (std::size_t file = 0; file < files_.size(); ++file) finish_file(file, tree, report);
  } catch (const VerificationFailed& failure) {
    return report.end(Verdict::failed, failure.what(), failure.index());
  }
  if (missing_.empty()) return;
  report.missing.insert(report.missing.end(), missing_.begin(), missing_.end());
  report.end(Verdict::inconclusive, "missing: " + join_words(report.missing, "; "));
}

/// Goes through a file in its order: the lines before each checkpoint are under it.
void HandoverFiles::finish_file(std::size_t file, StoredTree& tree, const Report& report) {
  const auto fail = [&](std::uint64_t line, const std::string& why) {
    throw VerificationFailed(place(file, line) + why);
  };
  auto [line, end] = std::ranges::equal_range(entries_, file, {}, &Entry::file);
  std::uint64_t least = 0;  // records up to the last outcome of the lines so far
  for (const auto& [at, head] : files_[file].heads) {
    const bool is_covered = head.size <= tree.size();
    if (report.head && head.origin != report.head->head.origin)
      fail(at, head.name() + " is of another log, " + head.origin);
    if (is_covered && head.root != tree.root(head.size))
      fail(at, head.name() + " was signed over other records than this log has");
    if (!is_covered)
      missing_.insert("an export of " + std::to_string(head.size) +
                      " records, which the checkpoint at " + files_[file].name + ":" +
                      std::to_string(at) + " covers");
    for (; line != end && line->line < at; ++line) {
      if (line->differs != nullptr)
        fail(line->line, "its member \"" + std::string(line->differs) +
                             "\" is not what the outcome of its key, record " +
                             std::to_string(line->record) + ", says");
      if (line->record != UINT64_MAX)
        least = std::max(least, line->record + 1);
      else if (is_covered && report.verdict == Verdict::verified)
        fail(line->line, "no record up to the checkpoint in line " + std::to_string(at) +
                             " says that its key was made");
    }
    if (is_covered && least > head.size)
      fail(at, head.name() + " does not cover the lines before it: the outcome of one is record " +
                   std::to_string(least - 1));
  }
  if (line != end)
    fail(line->line, "no checkpoint stands behind it: the file was cut, or its run was");
  if (files_[file].heads.empty()) fail(1, "there is no checkpoint: the file was cut");
}

}  // namespace smets1kms::audit
