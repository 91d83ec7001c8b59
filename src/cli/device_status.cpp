// SPDX-License-Identifier: Apache-2.0
#include "cli/common.hpp"

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

Command change(const char* name, const char* summary, const char* help, DeviceChange to) {
  const auto run = [to](const Invocation& in) {
    const auto device = in.values.needed("device", DeviceId::parse);
    const auto at = in.values.needed("at", parse_time);
    const auto who = authority_of(in);
    auto kms = open_key_manager(in);
    kms.change_device(device, to, at, who, in.values.text("operation-id"));
    const Changed changed{device, to, at, kms.fleet().device(device).status};
    show(in, device_change_fields, changed, [&](std::ostream& out) {
      out << device.to_string() << "  " << to_string(to) << " at " << format_time(at) << '\n';
    });
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
closed by it; a breach stays (a project rule). Nothing is rotated for it any more; its keys can be
retired and destroyed.)",
                DeviceChange::decommissioned);
}

Command device_recommission() {
  return change("device recommission", "record that a decommissioned device is in service again",
                R"(
Records that a decommissioned device is in service again. A new duty to replace its keys begins, as
after a commissioning (a project rule): 'rotate --device DEVICE --reason recommissioning', or
'rotate --due'.)",
                DeviceChange::recommissioned);
}

}  // namespace smets1kms::cli
