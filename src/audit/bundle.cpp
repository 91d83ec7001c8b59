// SPDX-License-Identifier: Apache-2.0
#include "audit/bundle.hpp"

#include <algorithm>
#include <stdexcept>

#include "audit/log_checks.hpp"
#include "audit/text.hpp"

namespace smets1kms::audit {
namespace {

constexpr std::string_view first_line = "smets1-kms device history 1";

std::string text_of(const Proof& proof) {
  std::string text = "proof " + std::to_string(proof.size()) + "\n";
  for (const auto& hash : proof) text += to_hex(hash) + "\n";
  return text;
}

std::string text_of(const char* word, const Bundle::Entry& entry) {
  return word + std::to_string(entry.index) + "\n" + entry.bytes + "\n" + text_of(entry.proof);
}

/// Reads the lines that format() writes; every deviation is refused with its line.
class BundleReader {
 public:
  explicit BundleReader(std::string_view text) : rest_(text) {}
  [[noreturn]] void refuse(const std::string& what) const {
    throw VerificationFailed("line " + std::to_string(line_) + " of the bundle: " + what);
  }
  std::string_view line() {
    ++line_;
    const auto line = take_line(rest_);
    if (!line) refuse("it ends here, or within a line: it was cut");
    return *line;
  }
  /// Reads "WORD NUMBER".
  std::uint64_t number(std::string_view word) {
    auto text = line();
    const bool is_word = take_word(text) == word;
    const auto value = parse_number(text);
    if (!is_word || !value) refuse("'" + std::string(word) + "' and a number are expected");
    return *value;
  }
  Proof proof() {
    const auto count = number("proof");
    if (count > 64) refuse("a proof of more than 64 hashes");
    Proof proof;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto hash = parse_hash(line());
      if (!hash) refuse("a hash of 64 lower-case hex digits is expected");
      proof.push_back(*hash);
    }
    return proof;
  }
  Bundle::Entry entry(std::string_view word) {
    Bundle::Entry entry;
    entry.index = number(word);
    entry.bytes = line();
    if (entry.bytes.size() > max_record_length) refuse("a record of more than 4096 bytes");
    entry.proof = proof();
    return entry;
  }
  template <class Read>
  auto part(Read read) {
    try {
      return read();
    } catch (const std::invalid_argument& error) {
      refuse(error.what());
    }
  }
  std::string_view& rest() { return rest_; }

 private:
  std::string_view rest_;
  std::size_t line_ = 0;
};

void check_included(const Bundle::Entry& entry, const Checkpoint& head, const char* what) {
  if (!is_included(leaf_hash(entry.bytes), entry.index, head.size, entry.proof, head.root))
    throw VerificationFailed(
        std::string(what) + " is not in the log under this head, or its proof is another one's",
        entry.index);
}

void check_head(const Bundle& bundle, const VerifyOptions& options, Report& report) {
  const auto& head = bundle.note.head;
  if (options.origin && *options.origin != head.origin)
    throw VerificationFailed("the head is of another log, " + head.origin);
  switch (check_signatures(bundle.note, options.keys)) {
    case Signed::yes: break;
    case Signed::no: throw VerificationFailed(head.name() + " has a false signature");
    case Signed::unknown_keys:
      throw VerificationInconclusive(
          options.keys.empty() ? "a public audit key (--key), from elsewhere than the bundle"
                               : "audit key " + to_hex(bundle.note.signatures.front().key) +
                                     ", which has signed the bundle's head");
  }
  report.head = bundle.note;
  report.checkpoints = 1;
}

void check_map(const Bundle& bundle) {
  check_included(bundle.statement, bundle.note.head, "the statement of the device-head map");
  const auto record = RecordView::parse(bundle.statement.bytes);
  (void)summarise(record, bundle.statement.index, leaf_hash(bundle.statement.bytes));
  if (record.text(Field::op) != op::audit_device_map)
    throw VerificationFailed("it states no device-head map", bundle.statement.index);
  const auto stated = MapStatement::parse(record.text(Field::detail));
  if (stated.records != bundle.statement.index)
    throw VerificationFailed(
        "the device-head map is not of the records before the one that states it",
        bundle.statement.index);
  if (!is_included(leaf_hash(bundle.head.format()), bundle.place, stated.devices, bundle.head_proof,
                   stated.root))
    throw VerificationFailed(
        "the device's line is not in the device-head map, or its proof is another one's");
}

void check_story(const Bundle& bundle, const VerifyOptions& options, Report& report) {
  DeviceReplay replay(bundle.head.device);
  std::uint64_t before = 0;
  for (const auto& entry : bundle.records) {
    check_included(entry, bundle.note.head, "the record");
    const auto record = RecordView::parse(entry.bytes);
    RecordSummary summary = summarise(record, entry.index, leaf_hash(entry.bytes));
    if (!summary.has_device || summary.device != bundle.head.device)
      throw VerificationFailed("it is not a record of " + device_name(bundle.head.device),
                               entry.index);
    if (before != 0 && entry.index < before)
      throw VerificationFailed("it stands behind a later record", entry.index);
    summary.before = before;
    replay.add(summary);
    before = entry.index + 1;
    ++report.records;
    if (options.progress)
      options.progress("records checked", report.records, bundle.records.size());
  }
  if (replay.sequence() != bundle.head.sequence || replay.leaf() != bundle.head.leaf ||
      replay.index() != bundle.head.index)
    throw VerificationFailed("the device has " + std::to_string(bundle.head.sequence) +
                             " records, the last at index " + std::to_string(bundle.head.index) +
                             ", and the bundle shows " + std::to_string(replay.sequence()));
  for (auto& each : replay.findings()) note_finding(report, std::move(each));
}

}  // namespace

bool is_bundle(std::string_view text) { return text.starts_with(first_line); }

std::string Bundle::format() const {
  std::string text = std::string(first_line) + "\n" + note.format();
  text += text_of("statement ", statement);
  text += "place " + std::to_string(place) + "\n" + head.format() + "\n" + text_of(head_proof);
  text += "records " + std::to_string(records.size()) + "\n";
  for (const auto& entry : records) text += text_of("record ", entry);
  return text + "end\n";
}

Bundle Bundle::parse(std::string_view text) {
  BundleReader in(text);
  Bundle bundle;
  if (in.line() != first_line) in.refuse("it is no device history of this version");
  bundle.note = in.part([&] { return Note::take_first(in.rest()); });
  bundle.statement = in.entry("statement");
  bundle.place = in.number("place");
  bundle.head = in.part([&] { return DeviceHead::parse(in.line()); });
  bundle.head_proof = in.proof();
  const auto count = in.number("records");
  if (count > most_of_a_device) in.refuse("more records than one device has");
  for (std::uint64_t i = 0; i < count; ++i) bundle.records.push_back(in.entry("record"));
  if (in.line() != "end" || !in.rest().empty())
    in.refuse("'end' is expected, and nothing behind it");
  return bundle;
}

Bundle prove(Log& log, std::uint64_t device) {
  const auto maps = log.maps();
  const auto note = log.last_checkpoint();
  // The newest map whose statement is under a head.
  const auto map = std::find_if(maps.rbegin(), maps.rend(), [&](std::uint64_t records) {
    return note && records < note->head.size;
  });
  if (map == maps.rend())
    throw VerificationInconclusive(
        "a device-head map under a signed head: without one nothing shows that a device has no "
        "other records. 'smets1-kms export' makes one");
  const auto found = log.head(*map, device);
  if (!found)
    throw VerificationInconclusive(
        "any record of " + device_name(device) + " before record " + std::to_string(*map) +
        ": the last device-head map, made there, does not name it. If it came later, its owner's "
        "'smets1-kms checkpoint' makes a new one, and "
        "'export' brings it; if not, this log has no record of it");
  StoredTree tree(log.tree()), map_tree(log.map_tree(*map));
  Bundle bundle{.note = *note,
                .head = found->first,
                .place = found->second,
                .head_proof = map_tree.inclusion(found->second, map_tree.size())};
  const auto entry = [&](std::uint64_t index) {
    return Bundle::Entry{.index = index,
                         .bytes = log.record(index),
                         .proof = tree.inclusion(index, note->head.size)};
  };
  if (note->head.size > tree.size())
    throw VerificationFailed("the last head covers " + std::to_string(note->head.size) +
                             " records, and there are " + std::to_string(tree.size()) +
                             ": the log was cut");
  bundle.statement = entry(*map);
  for (std::optional<std::uint64_t> index = bundle.head.index; index;
       index = log.previous(*index)) {
    if (bundle.records.size() == most_of_a_device)
      throw VerificationFailed("one device has more than 131072 records", *index);
    if (*index >= (bundle.records.empty() ? *map : bundle.records.back().index))
      throw VerificationFailed("the indices of the device's records do not descend", *index);
    bundle.records.push_back(entry(*index));
  }
  std::ranges::reverse(bundle.records);
  return bundle;
}

Report verify(const Bundle& bundle, const VerifyOptions& options) {
  Report report;
  report.devices = 1;
  try {
    check_head(bundle, options, report);
    check_map(bundle);
    check_story(bundle, options, report);
    report.verdict = Verdict::verified;
  } catch (const VerificationFailed& failure) {
    report.end(Verdict::failed, failure.what(), failure.index());
  } catch (const std::invalid_argument& error) {
    report.end(Verdict::failed, error.what());
  } catch (const VerificationInconclusive& missing) {
    report.end(Verdict::inconclusive, std::string("missing: ") + missing.what());
    report.missing.emplace_back(missing.what());
  }
  return report;
}

}  // namespace smets1kms::audit
