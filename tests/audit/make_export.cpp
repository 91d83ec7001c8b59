// SPDX-License-Identifier: Apache-2.0
// An export of many devices' sample histories, for measurements. usage: make_export DIRECTORY
// KEY.pem DEVICES [registered | handovers FILE] Fourteen records a device, and its facts where it
// is registered, in the order in which a fleet's records come: a hundred devices at a time. FILE:
// what handed their keys over.
#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "audit/sample_log.hpp"

using namespace smets1kms::audit;

int main(int count, char** arguments) {
  if (count < 4 || count > 6) return 2;
  const std::uint64_t devices = std::strtoull(arguments[3], nullptr, 10);
  constexpr std::uint64_t single_action = 100;
  const test::TestKey key;
  std::ofstream(arguments[2]) << key.audit_key().pem();
  std::ofstream handovers;
  if (count == 6) handovers.open(arguments[5]);
  ExportWriter writer(arguments[1], test::SampleLog::origin);
  std::vector<DeviceHead> heads;
  std::map<std::uint64_t, std::uint64_t> last;
  const auto add = [&](const test::SampleLog::Entry& entry) {
    const auto bytes = entry.record.encode();
    const auto leaf = leaf_hash(bytes);
    const auto before = entry.device && last.contains(*entry.device)
                            ? std::optional(last[*entry.device])
                            : std::nullopt;
    if (entry.device) last[*entry.device] = writer.size();
    writer.add({.bytes = bytes, .leaf = leaf, .previous = before});
    if (writer.size() % single_action == 0)
      writer.add(Issuer(test::SampleLog::origin, {key.signer()}, std::nullopt)
                     .issue(writer.size(), writer.root(), {}));
    return leaf;
  };
  for (std::uint64_t first = 0; first < devices; first += single_action) {
    auto group = test::SampleLog::of(std::min(single_action, devices - first), first, writer.size(),
                                     count == 5);
    last.clear();
    if (handovers.is_open())
      for (const auto& line : group.handover_lines()) handovers << line << '\n';
    std::map<std::uint64_t, DeviceHead> seen;
    for (auto& entry : group.entries) {
      if (!entry.device) {
        if (entry.record.text(Field::op) == "target.admit") add(entry);
        continue;  // the map comes at the end
      }
      const auto index = writer.size();
      seen[*entry.device] = {.device = *entry.device,
                             .sequence = seen[*entry.device].sequence + 1,
                             .index = index,
                             .leaf = add(entry)};
    }
    for (const auto& [device, head] : seen) heads.push_back(head);
  }
  const auto stated = writer.add_map(
      writer.size(), [&](const auto& visit) { std::ranges::for_each(heads, visit); });
  test::SampleLog end;
  end.first_index = writer.size();
  end.state_map();
  end.entries[0].record.set(Field::detail, stated.format());
  add(end.entries[0]);
  const auto head = Issuer(test::SampleLog::origin, {key.signer()}, std::nullopt)
                        .issue(writer.size(), writer.root(), {});
  writer.add(head);
  if (handovers.is_open()) handovers << test::SampleLog::checkpoint_line(head) << '\n';
  writer.finish();
}
