#include <iostream>

#include "cli/commands.hpp"

namespace smets1kms::cli {

int destroy(const Invocation& invocation) {
  constexpr std::size_t keys_at_once = 256;  // share one proof of absence
  options::options_description own;
  add_key(own);
  own.add_options()("deactivated", "every deactivated key of the fleet")("not-held", "every key of the fleet that its device was shown not to hold");
  add_authority(own);
  add_operation_id(own);
  const auto values =
      parse(invocation, "destroy --device ID --role R --generation N|--deactivated|--not-held --requested-by ID --authorised-by ID --reference REF",
            "Destroys keys for good: the object in the token and the wrapped copy in the registry. Its absence is checked\n"
            "and recorded; the record of the key stays. Refused for every key that its device may still use. Backups of\n"
            "the token or the registry made before are not reached: they end by their own retention. Of a sealed key every\n"
            "blob in the registry is deleted; a backup of the registry can be opened for as long as the token has the\n"
            "storage key: 'vault renew' and 'vault reseal' end that for all backups at once.",
            own);
  const bool deactivated = values.count("deactivated") != 0, not_held = values.count("not-held") != 0;
  if ((deactivated || not_held) == (values.count("device") != 0))
    throw Usage("either --device, --role and --generation, or --deactivated, --not-held, or both");
  const auto who = authority(values);
  std::vector<KeyRef> keys;
  if (values.count("device") != 0) keys.push_back(key(values));
  ProgressLine line;
  auto kms = KeyManager::open(invocation.config(), surroundings(line));
  if (keys.empty())
    kms.fleet().each_key([&](const Key& each) {
      if ((deactivated && each.state == KeyState::deactivated) || (not_held && each.state == KeyState::pre_active && each.delivery == Delivery::not_held))
        keys.push_back({each.device, each.role, each.generation});
    });
  for (std::size_t start = 0; start < keys.size(); start += keys_at_once) {
    const auto count = std::min(keys_at_once, keys.size() - start);
    kms.destroy(std::span(keys).subspan(start, count), who, operation_id(values));
    line.show({.what = "keys destroyed", .done = start + count, .total = keys.size()});
  }
  if (invocation.json)
    std::cout << Json{{"destroyed", keys.size()}}.dump() << '\n';
  else
    std::cout << keys.size() << " keys destroyed, their absence checked\n";
  return 0;
}

}  // namespace smets1kms::cli
