// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "lifecycle/check.hpp"
#include "lifecycle/operations.hpp"

/// The tables of handovers, of the keys of operations and of imported KEKs.
namespace smets1kms::lifecycle {

using audit::DeviceReplay;
using audit::RecordSummary;
using Records = std::span<const RecordSummary>;

void DeviceTables::check_handovers(const DeviceReplay& replay, std::uint64_t device,
                                   Records records) {
  std::vector<std::pair<const DeviceReplay::Key*, std::uint32_t>> expected;
  for (const auto& key : replay.keys())
    for (std::size_t i = 0; i < key.handovers.count; ++i)
      expected.emplace_back(&key, key.handovers.targets.at(i));
  for (; handovers_.is_of(device); handovers_.next()) {
    const auto& columns = handovers_.row();
    const auto label = columns.text(3) + "/" + std::to_string(columns.integer(4));
    const auto name = "handover row of key " + std::to_string(columns.integer(1)) + "/" +
                      std::to_string(columns.integer(2)) + " of " +
                      DeviceId::from_number(device).to_string() + " to " + label;
    const auto tag = audit::target_tag(label);
    const auto at = std::ranges::find_if(expected, [&](const auto& each) {
      return each.second == tag && each.first->role &&
             registry::column(*each.first->role) == columns.integer(1) &&
             each.first->generation == columns.integer(2);
    });
    if (at == expected.end()) {
      found_.add(name, "by the trail the key was not handed to it");
      continue;
    }
    const auto& key = *at->first;
    const auto facts = facts_of(key, records);
    std::optional<std::int64_t> received;
    RowCheck row(found_, columns, name, facts.made);
    for (const auto& record : records)
      if (is_of_key(record) && record.key == key.id && record.target == tag &&
          audit::record_type_of(record).operation == op::handover_receive) {
        received = record.time;
        row.by(record.index);
      }
    row.number(6, received);
    if (received || is_gone(key.state)) {
      row.digest(5, std::nullopt);
    } else if (!columns.is_null(5)) {
      RecordReader reader(database_);
      const auto& record = reader.at(static_cast<std::int64_t>(facts.made));
      const auto entries = audit::parse_handovers(record.text(Field::handovers));
      const auto blob = columns.blob(5);
      const auto digest = audit::to_hex(audit::sha256(blob));
      if (!entries || std::ranges::none_of(*entries, [&](const audit::Handover& entry) {
            return entry.target == label && entry.sha256 == digest;
          }))
        row.fail("its column wrapped is not what the trail has the SHA-256 of");
    }
    expected.erase(at);
  }
  for (const auto& [key, tag] : expected)
    found_.add(named(key->role, key->generation, device), "the row of a handover of it is missing",
               key->since);
}

void DeviceTables::check_operation_keys(std::uint64_t device, Records records) {
  for (; operation_keys_.is_of(device); operation_keys_.next()) {
    const auto& columns = operation_keys_.row();
    const auto operation = columns.text(3);
    const auto digest = audit::short_digest(operation);
    const bool is_open = facts_.open_operations.contains(digest);
    const auto names_it = [&](const RecordSummary& record) {
      return is_of_key(record) && record.role &&
             registry::column(*record.role) == columns.integer(1) &&
             record.generation == columns.integer(2) && (!is_open || record.operation == digest);
    };
    if (std::ranges::none_of(records, names_it))
      found_.add("operation_key row of " + DeviceId::from_number(device).to_string(),
                 "by the trail the operation '" + operation.substr(0, 64) + "' is not about key " +
                     std::to_string(columns.integer(1)) + "/" + std::to_string(columns.integer(2)));
  }
}

void DeviceTables::finish() {
  for (auto* rows : {&devices_, &keys_, &events_, &handovers_, &operation_keys_})
    rows->finish(found_);
  for (auto row = database_.query("SELECT sha256,device FROM imported_kek"); row.step();) {
    Digest half{};
    const auto blob = row.blob(0);
    std::copy_n(blob.begin(), std::min(blob.size(), half.size()), half.begin());
    imported_.add({.sha256 = half,
                   .device = static_cast<std::uint64_t>(row.integer(1)),
                   .record = UINT64_MAX});
  }
  std::optional<ImportedKek> last;  // of the log
  bool has_row = true;
  const auto close = [&] {
    if (last && !has_row)
      found_.add("imported_kek row of " + DeviceId::from_number(last->device).to_string(),
                 "it is missing", last->record);
  };
  imported_.for_each([&](const ImportedKek& each) {
    const bool same = last && last->sha256 == each.sha256 && last->device == each.device;
    if (each.record == UINT64_MAX) {
      if (!same)
        found_.add("imported_kek row of " + DeviceId::from_number(each.device).to_string(),
                   "by the trail no KEK of it was imported from these bytes");
      has_row = has_row || same;
    } else if (!same) {
      close();
      last = each;
      has_row = false;
    }
  });
  close();
}

}  // namespace smets1kms::lifecycle
