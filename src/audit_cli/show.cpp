// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "audit/export.hpp"
#include "audit/record_rules.hpp"
#include "audit_cli/commands.hpp"

namespace smets1kms::audit_cli {
namespace {

using audit::Field;

void print_record(std::uint64_t index, std::string_view bytes, bool json) {
  if (json) {
    std::cout << bytes << '\n';
    return;
  }
  const auto record = audit::RecordView::parse(bytes);
  std::cout << index << "  " << record.text(Field::time) << "  " << record.text(Field::op) << ' '
            << record.text(Field::phase);
  if (record.has(Field::result)) std::cout << ' ' << record.text(Field::result);
  if (record.has(Field::device))
    std::cout << "  " << record.text(Field::device) << '/' << record.text(Field::device_seq);
  if (record.has(Field::role))
    std::cout << "  " << record.text(Field::role) << ' ' << record.text(Field::generation);
  if (record.has(Field::state_from))
    std::cout << "  " << record.text(Field::state_from)
              << (record.text(Field::state_from) == record.text(Field::state_to)
                      ? ""
                      : " -> " + std::string(record.text(Field::state_to)));
  if (record.has(Field::requested_by))
    std::cout << "  by " << record.text(Field::requested_by) << ", "
              << record.text(Field::authorised_by) << ", " << record.text(Field::reference);
  if (record.has(Field::detail)) std::cout << "  (" << record.text(Field::detail) << ')';
  std::cout << '\n';
}

void print_summary(audit::Log& log, bool json) {
  const auto note = log.last_checkpoint();
  Json summary{{"records", log.size()}, {"device_maps", log.maps()}};
  if (note)
    summary["head"] = {{"origin", note->head.origin},
                       {"size", note->head.size},
                       {"root", audit::to_hex(note->head.root)},
                       {"key", audit::to_hex(note->signatures.front().key)}};
  if (const auto* exported = dynamic_cast<const audit::ExportReader*>(&log)) {
    summary["origin"] = exported->manifest().origin;
    summary["keys"] = exported->manifest().keys;
    summary["documents"] = exported->manifest().documents;
  }
  if (json) {
    print_lines(summary);
    return;
  }
  for (const auto& [name, value] : summary.items())
    std::cout << name << std::string(13 - std::min<std::size_t>(12, name.size()), ' ')
              << value.dump() << '\n';
  std::cout << "Nothing of this was checked: 'smets1-audit verify' does that.\n";
}

void show_bundle(const audit::Bundle& bundle, bool head, bool json) {
  if (head) {
    std::cout << bundle.note.format();
    return;
  }
  for (const auto& entry : bundle.records) print_record(entry.index, entry.bytes, json);
  if (!json)
    std::cout << bundle.records.size() << " records of " << audit::device_name(bundle.head.device)
              << ", complete up to record " << bundle.statement.index << " of "
              << bundle.note.head.origin
              << ". Nothing of this was checked: 'smets1-audit verify' does that.\n";
}

}  // namespace

int show(const Invocation& invocation) {
  options::options_description own;
  own.add_options()("device", options::value<std::string>(), "the records of this device")(
      "from", options::value<std::uint64_t>(), "records from this index on")(
      "count", options::value<std::uint64_t>()->default_value(20), "so many, with --from")(
      "head", "the last head, as it is signed");
  const auto values =
      parse(invocation, "show PATH [--device ID | --from INDEX [--count N] | --head]",
            "Reads an export, a database or a bundle, and prints what there is, one record a line "
            "(with --json exactly the bytes\n"
            "that are hashed); of a bundle its records. It checks nothing.",
            own);
  const auto path = needed(values, "path", "PATH (an export, a database or a bundle)");
  if (const auto bundle = open_bundle(path)) {
    if (values.count("device") + values.count("from") != 0)
      throw Usage("a bundle is of one device, and shown whole: without --device and --from");
    show_bundle(*bundle, values.count("head") != 0, invocation.json);
    return done;
  }
  const auto log = open_log(path);
  if (values.count("head") != 0) {
    const auto note = log->last_checkpoint();
    if (!note) throw audit::VerificationInconclusive("a signed head: this log has none");
    std::cout << note->format();
  } else if (values.count("device") != 0) {
    const auto name = audit::device_name(device_of(values["device"].as<std::string>()));
    std::uint64_t index = 0;
    for (; const auto record = log->next_record(); ++index)
      if (audit::RecordView::parse(record->bytes).text(Field::device) == name)
        print_record(index, record->bytes, invocation.json);
  } else if (values.count("from") != 0) {
    const auto from = values["from"].as<std::uint64_t>(),
               count = values["count"].as<std::uint64_t>();
    for (std::uint64_t index = from; index < log->size() && index - from < count; ++index)
      print_record(index, log->record(index), invocation.json);
  } else {
    print_summary(*log, invocation.json);
  }
  return done;
}

}  // namespace smets1kms::audit_cli
