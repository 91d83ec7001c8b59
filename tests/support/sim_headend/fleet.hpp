// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim_headend/device.hpp"

namespace sim_headend {

/// The state of the head end: its own system title, and its devices in the order they came.
class Fleet {
 public:
  Fleet() = default;
  Fleet(support::Bytes own_title, std::vector<Device> devices);

  /// Adds the devices of a manufacturer's file that aren't there yet:
  /// `device_id,system_title,security_suite,guek,gak,gbek`. A known one must have the system title
  /// that it came with. Throws InputError.
  void add(const std::filesystem::path& headend_csv);

  /// Returns nullptr when there is no such device or the text is no device id.
  Device* find(std::string_view device_id);

  std::vector<Device>& devices() { return devices_; }
  const std::vector<Device>& devices() const { return devices_; }
  const support::Bytes& own_title() const { return own_title_; }

 private:
  support::Bytes own_title_;
  std::vector<Device> devices_;
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace sim_headend
