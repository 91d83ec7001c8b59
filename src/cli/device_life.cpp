// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "cli/commands.hpp"

namespace smets1kms::cli {
namespace {

int change(const Invocation& invocation, DeviceChange to, const char* usage, const char* text) {
  options::options_description own;
  own.add_options()("device", options::value<std::string>(), "EUI-64")(
      "at", options::value<std::string>(),
      "when it took effect in the field, like 2026-11-26T09:30:00Z: not in the future");
  add_authority(own);
  add_operation_id(own);
  options::positional_options_description positional;
  positional.add("device", 1);
  const auto values = parse(invocation, usage, text, own, positional);
  const auto device = needed(values, "device", DeviceId::parse);
  const auto at = needed(values, "at", parse_time);
  const auto who = authority(values);
  ProgressLine line;
  auto kms = KeyManager::open(invocation.config(), callbacks(line));
  kms.change_device(device, to, at, who, operation_id(values));
  const auto status = to_string(kms.fleet().device(device).status);
  if (invocation.json)
    std::cout << Json{{"device_id", device.to_string()},
                      {"change", to_string(to)},
                      {"at", format_time(at)},
                      {"status", status}}
                     .dump()
              << '\n';
  else
    std::cout << device.to_string() << "  " << to_string(to) << " at " << format_time(at) << '\n';
  return 0;
}

}  // namespace

int device_suspend(const Invocation& invocation) {
  return change(
      invocation, DeviceChange::suspended,
      "device suspend DEVICE --at TIME --requested-by ID --authorised-by ID --reference REF",
      "Records that a device is out of service for a time. That does not stop the clock of any "
      "duty (a project rule).");
}

int device_resume(const Invocation& invocation) {
  return change(
      invocation, DeviceChange::resumed,
      "device resume DEVICE --at TIME --requested-by ID --authorised-by ID --reference REF",
      "Records that a suspended device is in service again.");
}

int device_decommission(const Invocation& invocation) {
  return change(
      invocation, DeviceChange::decommissioned,
      "device decommission DEVICE --at TIME --requested-by ID --authorised-by ID --reference REF",
      "Records that a device was taken out of service for good. A duty whose deadline has not "
      "passed is closed by it; a\n"
      "breach stays (a project rule). Nothing is rotated for it any more; its keys can be retired "
      "and destroyed.");
}

int device_recommission(const Invocation& invocation) {
  return change(
      invocation, DeviceChange::recommissioned,
      "device recommission DEVICE --at TIME --requested-by ID --authorised-by ID --reference REF",
      "Records that a decommissioned device is in service again. A new duty to replace its keys "
      "begins, as after a\n"
      "commissioning (a project rule): 'rotate --device DEVICE --reason recommissioning', or "
      "'rotate --due'.");
}

}  // namespace smets1kms::cli
