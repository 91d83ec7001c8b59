// SPDX-License-Identifier: Apache-2.0
#include "sim_headend/fleet.hpp"

#include <set>
#include <utility>

#include "common/device_id.hpp"
#include "common/files.hpp"

namespace sim_headend {
namespace {

using support::InputError;

constexpr std::string_view header = "device_id,system_title,security_suite,guek,gak,gbek";

// The manufacturer has used these keys in his tests, nobody knows how often: far above is safe.
constexpr std::uint32_t counter_after_tests = 0x10000;

Device device_of(const std::filesystem::path& file, const support::Line& line) {
  const std::vector<std::string> fields = support::split(line.text, ',');
  const auto refuse = [&](const std::string& what) -> InputError {
    return {file, line.number, what};
  };
  if (fields.size() != 6) throw refuse("expected six fields, " + std::string(header));
  const std::optional<std::string> id = support::canonical_device_id(fields[0]);
  if (!id) throw refuse("'" + fields[0] + "' is no device id (16 hex digits)");
  const std::optional<support::Bytes> title = support::bytes_of_hex(fields[1]);
  if (!title || title->size() != 8) throw refuse("the system title is not 8 bytes of hex");
  if (fields[2] != "0" && fields[2] != "1" && fields[2] != "2")
    throw refuse("the security suite is not 0, 1 or 2");
  Device device;
  device.id = *id;
  device.system_title = *title;
  device.security_suite = static_cast<std::uint8_t>(fields[2][0] - '0');
  const std::size_t length = device.security_suite == 2 ? 32 : 16;
  for (const auto& [role, field] :
       {std::pair(Role::guek, 3), std::pair(Role::gak, 4), std::pair(Role::gbek, 5)}) {
    const std::string& hex = fields[static_cast<std::size_t>(field)];
    if (hex.empty() && role == Role::gbek) continue;
    std::optional<support::Secret> key = support::aes_key_of_hex(hex);
    if (!key || key->size() != length)
      throw refuse("the " + std::string(name_of(role)) + " is not " + std::to_string(length) +
                   " bytes of hex, as security suite " + fields[2] + " has it");
    device.of(role).held.emplace(0, Key{std::move(*key), counter_after_tests, 0});
    device.of(role).in_use = 0;
  }
  return device;
}

}  // namespace

Fleet::Fleet(support::Bytes own_title, std::vector<Device> devices)
    : own_title_(std::move(own_title)), devices_(std::move(devices)) {
  for (std::size_t i = 0; i < devices_.size(); ++i) index_[devices_[i].id] = i;
}

void Fleet::add(const std::filesystem::path& headend_csv) {
  const std::vector<support::Line> lines = support::read_lines(headend_csv);
  if (lines.empty() || lines.front().text != header)
    throw InputError(headend_csv, 1, "the first line must be the header " + std::string(header));
  std::set<std::string> seen;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    Device device = device_of(headend_csv, lines[i]);
    if (!seen.insert(device.id).second)
      throw InputError(headend_csv, lines[i].number, device.id + " is listed twice");
    if (const Device* known = find(device.id)) {
      if (known->system_title != device.system_title)
        throw InputError(headend_csv, lines[i].number,
                         device.id +
                             " is in the state file with another system title: is it "
                             "another fleet's?");
      continue;
    }
    index_[device.id] = devices_.size();
    devices_.push_back(std::move(device));
  }
}

Device* Fleet::find(std::string_view device_id) {
  const std::optional<std::string> canonical = support::canonical_device_id(device_id);
  if (!canonical) return nullptr;
  const auto found = index_.find(*canonical);
  return found == index_.end() ? nullptr : &devices_[found->second];
}

}  // namespace sim_headend
