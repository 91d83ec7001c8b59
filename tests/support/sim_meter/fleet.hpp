// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim_meter/meter.hpp"

namespace sim_meter {

/// The meters in the order they were installed, found by device id.
class Fleet {
 public:
  explicit Fleet(std::vector<Meter> meters);

  /// Adds the meters of a file that the fleet hasn't yet: `device_id,kek`, or with first keys
  /// `device_id,kek,system_title,security_suite,guek,gak,gbek`. A known one must have the KEK it
  /// came with.
  void install(const std::filesystem::path& meters_csv);

  /// nullptr when there is no such meter or the text is no device id.
  Meter* find(std::string_view device_id);

  /// `all`, `#N` (every Nth meter, in order of installation), or one device id. Throws UsageError
  /// when none matches.
  std::vector<Meter*> select(std::string_view selector);

  /// Makes every meter take from now on only what `client_title` has ciphered. Throws InputError.
  void cipher(support::ByteView client_title);
  /// Returns the client title of a fleet that was told so before; empty for one that speaks in
  /// clear.
  support::Bytes client_title() const;

  const std::vector<Meter>& meters() const { return meters_; }

 private:
  std::vector<Meter> meters_;
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace sim_meter
