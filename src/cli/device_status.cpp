// SPDX-License-Identifier: Apache-2.0
#include "cli/common.hpp"
#include "command_line/input.hpp"

namespace smets1kms::cli {
namespace {

struct Changed {
  DeviceId device;
  DeviceChange change;
  Time at;
  DeviceStatus status;
};
const Fields<Changed> device_change_fields("smets1-kms-device-status-1", "What became of a device",
                                           {{"device_id", "its EUI-64", &Changed::device},
                                            {"change", "what was recorded", &Changed::change},
                                            {"at", "when it took effect in the field",
                                             &Changed::at},
                                            {"status", "its status now", &Changed::status}});

void record(const Invocation& in, KeyManager& kms, DeviceId device, DeviceChange to, Time at,
            const Authority& who, const std::string& operation_id) {
  kms.change_device(device, to, at, who, operation_id);
  const Changed changed{device, to, at, kms.fleet().device(device).status};
  show(in, device_change_fields, changed, [&](std::ostream& out) {
    out << device.to_string() << "  " << to_string(to) << " at " << format_time(at) << '\n';
  });
}

Command change(const char* name, const char* summary, const char* help, DeviceChange to) {
  const auto run = [to](const Invocation& in) {
    const auto device = in.values.needed("device", DeviceId::parse);
    const auto at = in.values.needed("at", parse_time);
    const auto who = authority_of(in);
    auto kms = open_key_manager(in);
    record(in, kms, device, to, at, who, in.values.text("operation-id"));
  };
  return {name,
          summary,
          "DEVICE --at TIME --requested-by ID --authorised-by ID --reference REF",
          help,
          joined({{positional("device", "DEVICE", "EUI-64"),
                   text("at", "TIME",
                        "when it took effect in the field, like 2026-11-26T09:30:00Z: not in the "
                        "future")},
                  change_options()}),
          run,
          {device_change_fields}};
}

}  // namespace

Command device_commission() {
  const auto run = [](const Invocation& in) {
    const auto& values = in.values;
    const bool many = values.has("file");
    if (many == (values.has("device") || values.has("at")))
      throw Usage("either DEVICE with --at TIME, or --file FILE");
    std::vector<std::pair<DeviceId, Time>> all;
    if (many)  // the whole file is read before anything is recorded
      for_each_json_line(values.text("file"), [&](const JsonObject& line) {
        all.emplace_back(line.text("device_id", DeviceId::parse), line.text("at", parse_time));
      });
    else
      all.emplace_back(values.needed("device", DeviceId::parse), values.needed("at", parse_time));
    const auto who = authority_of(in);
    const auto id = values.text("operation-id");
    auto kms = open_key_manager(in);
    Grouped failures(in.console);
    for (const auto& [device, at] : all) try {
        record(in, kms, device, DeviceChange::commissioned, at, who,
               id.empty() || !many ? id : id + ":" + device.to_string());
      } catch (const Refused& refusal) {
        if (!many) throw;
        failures.add(device.to_string(), std::string(refusal.reason()), refusal.what());
      }
    failures.finish();
    if (failures.count() != 0)
      throw Unsuccessful(Exit::failed, "partly-failed",
                         std::to_string(failures.count()) + " of " + std::to_string(all.size()) +
                             " commissionings were refused");
  };
  return {"device commission",
          "record that a device was commissioned: the week for its keys runs",
          "DEVICE --at TIME, or device commission --file FILE, --requested-by ID --authorised-by "
          "ID --reference REF",
          R"(
Records that a device, imported before, was commissioned. Its keys are to be replaced within 7 days
of it. Record it when it happens: what is recorded more than 24 hours late (policy site file,
recorded_late) counts from its record wherever its own time would help (a project rule).
--file: JSON lines with device_id and at; a bad line refuses the file, then each line is recorded on
its own.)",
          joined({{positional("device", "DEVICE", "EUI-64"),
                   text("at", "TIME",
                        "when it was commissioned, like 2026-11-26T09:30:00Z: not in the future"),
                   text("file", "FILE", "file of JSON lines: device_id, at")},
                  change_options()}),
          run,
          {device_change_fields}};
}

Command device_suspend() {
  return change("device suspend", "record that a device is out of service for a time", R"(
Records that a device is out of service for a time. That does not stop the clock of any duty (a
project rule).)",
                DeviceChange::suspended);
}

Command device_resume() {
  return change("device resume", "record that a suspended device is in service again",
                "Records that a suspended device is in service again.", DeviceChange::resumed);
}

Command device_decommission() {
  return change("device decommission", "record that a device was taken out of service for good",
                R"(
Records that a device was taken out of service for good. A duty whose deadline has not passed is
closed as long as the device is gone; a breach stays (a project rule). Nothing is rotated for it any
more; its keys can be retired and destroyed.)",
                DeviceChange::decommissioned);
}

Command device_recommission() {
  return change("device recommission", "record that a decommissioned device is in service again",
                R"(
Records that a decommissioned device is in service again. A new duty to replace its keys begins, as
after a commissioning, and what was unmet when it went is asked again, by the old deadline (a
project rule): 'rotate --device DEVICE --reason recommissioning', or
'rotate --due'.)",
                DeviceChange::recommissioned);
}

}  // namespace smets1kms::cli
