// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "cli/commands.hpp"
#include "lifecycle/fleet_duties.hpp"
#include "lifecycle/key_rules.hpp"

namespace smets1kms::cli {
namespace {

/// Keys of a device that are still active although a newer one of their role is: models that switch
/// at the next association.
std::vector<KeyRef> superseded(const DeviceHistory& device) {
  std::vector<KeyRef> refs;
  for (const auto& key : device.keys)
    if (const Key* newest = lifecycle::newest(device.keys, key.role, KeyState::active);
        key.state == KeyState::active && newest->generation > key.generation)
      refs.push_back({key.device, key.role, key.generation});
  return refs;
}

}  // namespace

int retire(const Invocation& invocation) {
  options::options_description own;
  add_key(own);
  own.add_options()("superseded", "every key that a newer active one of its role has replaced");
  add_authority(own);
  add_operation_id(own);
  const auto values = parse(invocation,
                            "retire --device ID --role R --generation N|--superseded "
                            "--requested-by ID --authorised-by ID --reference REF",
                            "Deactivates keys that devices no longer use. Needed for models that "
                            "go on with the old key until their\n"
                            "next association: their old keys stay active until this says that the "
                            "switch was seen. The key a device\n"
                            "uses is never retired.",
                            own);
  const auto one = key_unless(values, values.count("superseded") != 0, "--superseded");
  if (!one && !operation_id(values).empty())
    throw Usage("--operation-id names the retirement of one key");
  const auto who = authority(values);
  ProgressLine line;
  auto kms = KeyManager::open(invocation.config(), callbacks(line));
  std::size_t done = 0;
  if (one) {
    kms.retire(*one, who, operation_id(values));
    ++done;
  } else {
    const auto total = kms.fleet().device_count();
    std::size_t seen = 0;
    lifecycle::for_each_history(kms.fleet(), [&](const DeviceHistory& device) {
      for (const auto& each : superseded(device)) {
        kms.retire(each, who);
        ++done;
      }
      line.show({.what = "devices seen", .done = ++seen, .total = total});
    });
  }
  if (invocation.json)
    std::cout << Json{{"retired", done}}.dump() << '\n';
  else
    std::cout << done << " keys retired\n";
  return 0;
}

}  // namespace smets1kms::cli
