#include <iostream>

#include "cli/commands.hpp"

namespace smets1kms::cli {
namespace {

/// Keys that are still active although a newer one of their role is: models that switch at the next association.
std::vector<KeyRef> superseded(const Fleet& fleet) {
  std::vector<KeyRef> refs;
  std::vector<Key> role;  // the keys of one role of one device: each_key comes in that order
  const auto flush = [&] {
    for (std::size_t i = 0; i + 1 < role.size(); ++i)
      if (role[i].state == KeyState::active && role.back().state == KeyState::active) refs.push_back({role[i].device, role[i].role, role[i].generation});
    role.clear();
  };
  fleet.each_key([&](const Key& key) {
    if (!role.empty() && (role.front().device != key.device || role.front().role != key.role)) flush();
    if (key.state == KeyState::active) role.push_back(key);
  });
  flush();
  return refs;
}

}  // namespace

int retire(const Invocation& invocation) {
  options::options_description own;
  add_key(own);
  own.add_options()("superseded", "every key that a newer active one of its role has replaced");
  add_authority(own);
  add_operation_id(own);
  const auto values = parse(invocation, "retire --device ID --role R --generation N|--superseded --requested-by ID --authorised-by ID --reference REF",
                            "Deactivates keys that devices no longer use. Needed for models that go on with the old key until their\n"
                            "next association: their old keys stay active until this says that the switch was seen. The key a device\n"
                            "uses is never retired.",
                            own);
  if ((values.count("superseded") != 0) == (values.count("device") != 0)) throw Usage("either --device, --role and --generation, or --superseded");
  const auto who = authority(values);
  std::vector<KeyRef> keys;
  if (values.count("device") != 0) keys.push_back(key(values));
  ProgressLine line;
  auto kms = KeyManager::open(invocation.config(), surroundings(line));
  if (keys.empty()) keys = superseded(kms.fleet());
  std::size_t done = 0;
  for (const auto& each : keys) {
    kms.retire(each, who, operation_id(values));
    line.show({.what = "keys retired", .done = ++done, .total = keys.size()});
  }
  if (invocation.json)
    std::cout << Json{{"retired", done}}.dump() << '\n';
  else
    std::cout << done << " keys retired\n";
  return 0;
}

}  // namespace smets1kms::cli
