// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "support/test_fleet.hpp"

namespace test {

/// A manufacturer whose devices have system titles of their own, from their EUI-64.
class TitledManufacturer : public Manufacturer {
 public:
  using Manufacturer::Manufacturer;
  std::pair<std::string, Meter> make(const Order& order) {
    auto [line, meter] = Manufacturer::make(order);
    return {titled(std::move(line)), std::move(meter)};
  }
  [[nodiscard]] std::string line(const Order& order, const Meter& meter) const {
    return titled(Manufacturer::line(order, meter));
  }

 private:
  static std::string titled(std::string line) {
    constexpr std::string_view of_all = "4D4D4D0000000001";
    auto id = line.substr(0, 23);
    std::erase(id, '-');
    const auto at = line.find(of_all);
    return at == std::string::npos ? line
                                   : line.replace(at, of_all.size(), "4D4D4D" + id.substr(6));
  }
};

}  // namespace test
