// SPDX-License-Identifier: Apache-2.0
#include "cli/enrolment_options.hpp"
#include "command_line/input.hpp"
#include "command_line/text.hpp"

namespace smets1kms::cli {
namespace {

/// A key that a handover target was handed.
struct Handed {
  KeyRef key;
  std::string target, state;
};
struct ShownEvent : DeviceEvent {
  std::string late;
};
struct Shown {
  DeviceHistory history;
  std::vector<ShownEvent> events;
  std::vector<Handed> handed;
  std::vector<TrailEntry> trail;
};
/// A record of the trail with its members, for people.
struct TrailRow {
  const TrailEntry& entry;
  JsonObject record;
};

const Fields<Shown>& shown_fields() {
  using Event = ShownEvent;
  static const Fields<Event> event(
      {{"change", "what became of it", &Event::change},
       {"at", "when", [](const Event& e) { return e.moment.at; }},
       {"record", "the record of the trail that says so",
        [](const Event& e) { return e.moment.record.value_or(0); }},
       {"recorded_at", "when that was recorded", [](const Event& e) { return e.moment.recorded; }},
       {"late", "how late, where it was later than the policy allows",
        [](const Event& e) { return unless_empty(e.late); }}});
  static const Fields<Handed> handed({spread(key_ref_fields(), &Handed::key),
                                      {"target", "name and generation", &Handed::target},
                                      {"state", "stored, received or given-up", &Handed::state}});
  static const Fields<TrailEntry> entry(
      {{"index", "its place in the trail", &TrailEntry::index},
       {"leaf_hash", "of its bytes, hex", &TrailEntry::leaf_hash},
       {"record", "as it is recorded", [](const TrailEntry& e) { return Value::Json{e.bytes}; }}});
  static const Fields<Shown> all(
      "smets1-kms-device-show-1", "A device, its keys and its audit trail",
      {spread(device_fields(), [](const Shown& s) { return s.history.device; }),
       nested("events", "what became of it, oldest first", event, &Shown::events),
       nested(
           "keys", "every key that it was ever given", key_fields(),
           [](const Shown& s) -> auto& { return s.history.keys; }),
       nested("handed", "keys that handover targets were handed", handed, &Shown::handed),
       nested("trail", "its records, oldest first; with --trail", entry, &Shown::trail)});
  return all;
}

const Fields<TrailRow>& trail_fields() {
  const auto member = [](const char* name) {
    return [name](const TrailRow& row) { return row.record.shown(name); };
  };
  const auto both = [](const char* name, const char* separator, const char* other) {
    return [=](const TrailRow& row) {
      return row.record.has(other) ? row.record.shown(name) + separator + row.record.shown(other)
                                   : "-";
    };
  };
  static const Fields<TrailRow> all(
      {{"", "", [](const TrailRow& r) { return "#" + std::to_string(r.entry.index); }, "RECORD"},
       {"", "", member("time"), "TIME"},
       {"", "", member("op"), "OPERATION"},
       {"", "", member("phase"), "PHASE"},
       {"", "", both("role", " ", "generation"), "KEY"},
       {"", "", both("state_from", ">", "state_to"), "STATE"},
       {"", "",
        [](const TrailRow& r) {
          return r.record.shown("result") +
                 (r.record.has("detail") ? " (" + r.record.shown("detail") + ")" : "");
        },
        "RESULT"},
       {"", "", member("requested_by"), "ASKED BY"},
       {"", "", member("authorised_by"), "AUTHORISED BY"},
       {"", "", member("reference"), "REFERENCE"}});
  return all;
}

void import_them(const Invocation& in) {
  (void)authority_of(in);
  const auto file = fleet_file_of(in);
  const auto result =
      open_enrolment(in, config_of(in)).import_fleet(file, in.values.text("operation-id"));
  show(in, import_fields(), result, [&](std::ostream&) { print_import(in, result); });
}

void list_devices(const Invocation& in) {
  const auto fleet = Fleet::open(config_of(in));
  Rows rows(in, device_fields());
  for_each_page<DeviceId>(
      {}, [&](const auto& after, std::size_t most) { return fleet.devices(after, most); },
      &Device::id, [&](const Device& device) { rows.add(device); });
}

void print(std::ostream& out, const Shown& shown) {
  const auto& device = shown.history.device;
  out << device.id.to_string() << "  " << to_string(device.kind) << " " << printable(device.model)
      << ", suite " << static_cast<int>(device.suite) << ", supports "
      << text_of(ValueOf<std::vector<KeyRole>>::value(device.supports)) << ", "
      << printable(device_status(device)) << '\n';
  for (const auto& each : shown.events)
    out << "  " << format_time(each.moment.at) << "  " << to_string(each.change)
        << (each.late.empty() ? "" : ", ") << each.late << '\n';
  out << '\n';
  print_table(out, key_fields(), shown.history.keys);
  for (const auto& [key, target, state] : shown.handed)
    out << '\n'
        << to_string(key.role) << " " << key.generation << " handed to " << target << ", " << state;
  if (!shown.handed.empty()) out << '\n';
  if (shown.trail.empty()) return;
  out << '\n';
  Table trail(out, trail_fields().headings());
  for (const auto& entry : shown.trail)
    trail.add(trail_fields().cells({entry, JsonObject(entry.bytes, "record", entry.index)}));
}

void show_one(const Invocation& in) {
  const auto id = in.values.needed("device", DeviceId::parse);
  const auto fleet = Fleet::open(config_of(in));
  Shown shown{fleet.history(id), {}, {}, {}};
  for (const auto& event : shown.history.events)
    shown.events.push_back({event, fleet.lateness(event.moment)});
  for (const auto& key : shown.history.keys)
    for (const auto& [target, received, stored] : fleet.holders(key.ref()))
      shown.handed.push_back({key.ref(), target,
                              received ? "received"
                              : stored ? "stored"
                                       : "given-up"});
  if (in.values.has("trail"))
    for_each_page<std::uint64_t>(
        {}, [&](const auto& after, std::size_t most) { return fleet.trail(id, after, most); },
        &TrailEntry::index, [&](const TrailEntry& entry) { shown.trail.push_back(entry); });
  show(in, shown_fields(), shown, [&](std::ostream& out) { print(out, shown); });
}

}  // namespace

Command device_import() {
  return {"device import",
          "bring devices with their KEKs from a manufacturer's fleet file",
          "FLEET.csv --signature FILE --transport-key NAME=FILE [--move] --requested-by ID "
          "--authorised-by ID --reference REF",
          R"(
Reads a manufacturer's fleet file (CSV: device_id, kind, model, system_title, security_suite,
supports, commissioned_at, kek_wrapped, kek_transport, and no_kek_reason where it is needed) and
unwraps each device's KEK in the token. All lines are checked first, the KEKs too: one bad line,
named by line and column, and nothing is imported. Devices that are known already are passed over;
nothing is ever overwritten. A system title or a wrapped KEK that another line or another device of
the registry has is refused.
commissioned_at may be empty: the device is not in service yet, nothing is asked and nothing is
rotated until 'device commission' records when it was commissioned.
A device without a known KEK leaves kek_wrapped empty and says why in no_kek_reason (1 to 100
printable ASCII characters without comma, quote and backslash). It is listed with the reason, its
duties run, and nothing is rotated for it until a later file brings its KEK.
A transport key is what its manufacturer sent for it: the AES-256 key, RSA-OAEP (SHA-1) under the
public key that 'init' wrote. supports: the roles the device has, like guek+gak.
--move: after a change of vault.keep, KEKs of known devices that rest in the other vault are brought
over, each where the file has it in the very bytes that it was imported from; the old ones are
deactivated ('destroy').
The file counts only with its manufacturer's signature (detached CMS), checked against
import.manufacturers. With enrolment = "officer" this is the security officer's ceremony, as 'enrol
FLEET.csv' is.)",
          joined({fleet_file_options(), change_options()}),
          import_them,
          {import_fields()}};
}

Command device_list() {
  return {"device list",
          "list the devices",
          "",
          "Lists every device of the registry, in the order of its EUI-64.",
          {},
          list_devices,
          {device_fields()}};
}

Command device_show() {
  return {"device show",
          "show a device, its keys and its audit trail",
          "DEVICE [--trail]",
          R"(
Shows a device, what became of it, every key it was ever given, and with --trail its audit records,
oldest first.)",
          {positional("device", "DEVICE", "EUI-64"),
           flag("trail", "its records in the audit trail too")},
          show_one,
          {shown_fields()}};
}

}  // namespace smets1kms::cli
