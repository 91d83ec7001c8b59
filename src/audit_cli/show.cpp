// SPDX-License-Identifier: Apache-2.0
#include "audit/export.hpp"
#include "audit_cli/log_options.hpp"
#include "command_line/text.hpp"
#include "report/report.hpp"

namespace smets1kms::audit_cli {
namespace {

using audit::Field;

/// Claims of a log about itself, none of them checked.
struct Overview {
  std::uint64_t records;
  std::vector<std::uint64_t> device_maps;
  std::optional<audit::Note> head;
  const audit::Manifest* manifest;  ///< nullptr: the log is no export
};

const Fields<Overview>& show_fields() {
  const auto of_manifest = [](auto member) {
    return [member](const Overview& o) {
      return o.manifest != nullptr ? std::optional(o.manifest->*member) : std::nullopt;
    };
  };
  static const Fields<audit::Note> head(
      {spread(report::head_fields(), &audit::Note::head),
       {"key", "the id of the key that signed it, hex",
        [](const audit::Note& note) { return audit::to_hex(note.signatures.front().key); }}});
  static const Fields<Overview> all(
      "smets1-audit-show-1", "What a log says of itself, unchecked",
      {{"records", "how many there are said to be", &Overview::records, "records"},
       {"device_maps", "the sizes of its device-head maps", &Overview::device_maps, "device maps"},
       nested("head", "its last head", head, &Overview::head, "head"),
       {"origin", "the log's name", of_manifest(&audit::Manifest::origin), "origin"},
       {"keys", "ids of the public keys beside an export", of_manifest(&audit::Manifest::keys),
        "keys"},
       {"documents", "names of the documents beside an export, by SHA-256",
        of_manifest(&audit::Manifest::documents), "documents"}});
  return all;
}

void print_record(const Invocation& in, std::uint64_t index, std::string_view bytes) {
  const auto record = audit::RecordView::parse(bytes);
  if (in.json) return void(in.exact << bytes << '\n');
  std::string line = std::to_string(index);
  const auto add = [&](std::string_view before, Field field) {
    if (record.has(field)) line.append(before).append(record.text(field));
  };
  add("  ", Field::time);
  add("  ", Field::op);
  add(" ", Field::phase);
  add(" ", Field::result);
  add("  ", Field::device);
  add("/", Field::device_seq);
  add("  ", Field::role);
  add(" ", Field::generation);
  add("  ", Field::state_from);
  if (record.text(Field::state_from) != record.text(Field::state_to)) add(" -> ", Field::state_to);
  add("  target ", Field::target);
  if (record.has(Field::handovers))
    line.append("  for ").append(audit::target_names(record.text(Field::handovers)));
  add("  by ", Field::requested_by);
  add(", ", Field::authorised_by);
  add(", ", Field::reference);
  if (record.has(Field::detail)) line.append("  (").append(record.text(Field::detail)).append(")");
  in.out << printable(line) << '\n';
}

void show_bundle(const Invocation& in, const audit::Bundle& bundle) {
  if (in.values.has("head")) return print_exactly(in, bundle.note.format());
  for (const auto& entry : bundle.records) print_record(in, entry.index, entry.bytes);
  if (!in.json)
    in.out << bundle.records.size() << " records of " << audit::device_name(bundle.head.device)
           << ", complete up to record " << bundle.statement.index << " of "
           << bundle.note.head.origin
           << ". Nothing of this was checked: 'smets1-audit verify' does that.\n";
}

void run_show(const Invocation& in) {
  const auto path = in.values.needed("path");
  if (const auto bundle = open_bundle(path)) {
    if (in.values.count({"device", "from"}) != 0)
      throw Usage("a bundle is of one device, and shown whole: without --device and --from");
    return show_bundle(in, *bundle);
  }
  const auto log = open_log(path);
  const auto head = log->last_checkpoint();
  if (in.values.has("head")) {
    if (!head) throw audit::VerificationInconclusive("a signed head: this log has none");
    print_exactly(in, head->format());
  } else if (in.values.has("device")) {
    const auto name = in.values.needed("device", DeviceId::parse).to_string();
    for (std::uint64_t index = 0; const auto record = log->next_record(); ++index)
      if (audit::RecordView::parse(record->bytes).text(Field::device) == name)
        print_record(in, index, record->bytes);
  } else if (const auto from = in.values.number("from")) {
    const auto count = in.values.number("count").value_or(0);
    for (auto index = *from; index < log->size() && index - *from < count; ++index)
      print_record(in, index, log->record(index));
  } else {
    const auto* exported = dynamic_cast<const audit::ExportReader*>(log.get());
    const Overview overview{log->size(), log->maps(), head,
                            exported != nullptr ? &exported->manifest() : nullptr};
    command_line::show(in, show_fields(), overview, [&](std::ostream& out) {
      print_facts(out, show_fields(), overview);
      out << "Nothing of this was checked: 'smets1-audit verify' does that.\n";
    });
  }
}

}  // namespace

Command show() {
  return {"show",
          "read records, heads and what there is, without checking it",
          "PATH [--device ID | --from INDEX [--count N] | --head]",
          R"(
Reads an export, a database or a bundle, and prints what there is, one record a line (with --json
exactly the bytes that are hashed); of a bundle its records. It checks nothing.)",
          {positional("path", "PATH", "an export, a database or a bundle"),
           text("device", "ID", "the records of this device"),
           number("from", "INDEX", "records from this index on"),
           number("count", "N", "so many, with --from", 0, UINT64_MAX, "20"),
           flag("head", "the last head, as it is signed")},
          run_show,
          {show_fields()}};
}

}  // namespace smets1kms::audit_cli
