// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "cli/commands.hpp"
#include "lifecycle/fleet_duties.hpp"
#include "lifecycle/key_rules.hpp"

namespace smets1kms::cli {

int destroy(const Invocation& invocation) {
  constexpr std::size_t keys_at_once = 256;  // share one proof of absence
  options::options_description own;
  add_key(own);
  own.add_options()("deactivated", "every deactivated key of the fleet")(
      "not-held", "every key of the fleet that its device was shown not to hold");
  add_authority(own);
  add_operation_id(own);
  const auto values =
      parse(invocation,
            "destroy --device ID --role R --generation N|--deactivated|--not-held --requested-by "
            "ID --authorised-by ID --reference REF",
            "Destroys keys for good: the object in the token and the wrapped copy in the registry. "
            "Its absence is checked\n"
            "and recorded; the record of the key stays. Refused for every key that its device may "
            "still use (but for a\n"
            "suspected KEK, which wraps nothing); of many such a key is left out and counted. "
            "Backups of\n"
            "the token or the registry made before are not reached: they end by their own "
            "retention. Of a sealed key every\n"
            "blob in the registry is deleted; a backup of the registry can be opened for as long "
            "as the token has the\n"
            "storage key: 'vault renew' and 'vault reseal' end that for all backups at once.",
            own);
  const bool deactivated = values.count("deactivated") != 0,
             not_held = values.count("not-held") != 0;
  const auto one =
      key_unless(values, deactivated || not_held, "--deactivated, --not-held, or both");
  if (!one && !operation_id(values).empty())
    throw Usage("--operation-id names the destruction of one key");
  const auto who = authority(values);
  ProgressLine line;
  auto kms = KeyManager::open(invocation.config(), callbacks(line));
  std::size_t destroyed = 0, in_use = 0, seen = 0;
  std::vector<KeyRef> keys;
  const auto destroy_them = [&] {
    if (keys.empty()) return;
    kms.destroy(keys, who, operation_id(values));
    destroyed += keys.size();
    keys.clear();
  };
  if (one) keys.push_back(*one);
  if (!one)
    lifecycle::for_each_history(
        kms.fleet(), [&, total = kms.fleet().device_count()](const DeviceHistory& device) {
          for (const auto& each : device.keys) {
            const bool is_meant = (deactivated && each.state == KeyState::deactivated) ||
                                  (not_held && each.state == KeyState::pre_active &&
                                   each.delivery == Delivery::not_held);
            if (!is_meant) continue;
            if (device.device.status != DeviceStatus::decommissioned &&
                lifecycle::device_may_use(each, device.keys))
              ++in_use;  // of a device that is in service again
            else
              keys.push_back({each.device, each.role, each.generation});
            if (keys.size() == keys_at_once) destroy_them();
          }
          line.show({.what = "devices seen", .done = ++seen, .total = total});
        });
  destroy_them();
  if (in_use != 0)
    remark(std::to_string(in_use) +
           " deactivated keys may still be in use by their devices, and stay until newer ones are "
           "confirmed");
  if (invocation.json)
    std::cout << Json{{"destroyed", destroyed}, {"in_use", in_use}}.dump() << '\n';
  else
    std::cout << destroyed << " keys destroyed, their absence checked\n";
  return 0;
}

}  // namespace smets1kms::cli
