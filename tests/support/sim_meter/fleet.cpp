// SPDX-License-Identifier: Apache-2.0
#include "sim_meter/fleet.hpp"

#include <charconv>
#include <set>
#include <utility>

#include "common/device_id.hpp"
#include "common/files.hpp"

namespace sim_meter {

using support::InputError;

Fleet::Fleet(std::vector<Meter> meters) : meters_(std::move(meters)) {
  for (std::size_t i = 0; i < meters_.size(); ++i) index_[meters_[i].device_id] = i;
}

void Fleet::install(const std::filesystem::path& meters_csv) {
  const std::vector<support::Line> lines = support::read_lines(meters_csv);
  if (lines.empty() || lines.front().text != "device_id,kek") {
    throw InputError(meters_csv, 1, "the first line must be the header device_id,kek");
  }
  std::set<std::string> seen;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto& [number, text] = lines[i];
    const std::vector<std::string> fields = support::split(text, ',');
    if (fields.size() != 2)
      throw InputError(meters_csv, number, "expected two fields, device_id,kek");
    const std::optional<std::string> device_id = support::canonical_device_id(fields[0]);
    if (!device_id)
      throw InputError(meters_csv, number, "'" + fields[0] + "' is no device id (16 hex digits)");
    std::optional<support::Secret> kek = support::aes_key_of_hex(fields[1]);
    if (!kek) throw InputError(meters_csv, number, "the KEK is not 16 or 32 bytes of hex");
    if (!seen.insert(*device_id).second)
      throw InputError(meters_csv, number, *device_id + " is listed twice");
    if (const Meter* known = find(*device_id)) {
      if (known->installed_kek != fingerprint(kek->reveal())) {
        throw InputError(
            meters_csv, number,
            *device_id + " is in the state file with another factory KEK: is it another fleet's?");
      }
      continue;
    }
    index_[*device_id] = meters_.size();
    meters_.push_back(Meter::install(*device_id, std::move(*kek)));
  }
}

Meter* Fleet::find(std::string_view device_id) {
  const std::optional<std::string> canonical = support::canonical_device_id(device_id);
  if (!canonical) return nullptr;
  const auto found = index_.find(*canonical);
  return found == index_.end() ? nullptr : &meters_[found->second];
}

std::vector<Meter*> Fleet::select(std::string_view selector) {
  std::size_t step = 0;
  if (selector == "all") {
    step = 1;
  } else if (selector.starts_with('#')) {
    const char* end = selector.data() + selector.size();
    const auto [stop, error] = std::from_chars(selector.data() + 1, end, step);
    if (error != std::errc{} || stop != end || step == 0) {
      throw support::UsageError("'" + std::string(selector) + "': expected #N with N from 1");
    }
  } else {
    Meter* meter = find(selector);
    if (meter == nullptr)
      throw support::UsageError("no meter '" + std::string(selector) + "' in this fleet");
    return {meter};
  }
  std::vector<Meter*> selected;
  for (std::size_t i = step - 1; i < meters_.size(); i += step) selected.push_back(&meters_[i]);
  if (selected.empty())
    throw support::UsageError("'" + std::string(selector) + "' names no meter of this fleet");
  return selected;
}

}  // namespace sim_meter
