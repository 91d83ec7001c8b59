// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "attacker.hpp"

namespace attack {

/// Knows every key in clear, as the meters and the manufacturer do and no attacker does, and says
/// what of an attacker's loot is what he says it is.
class Judge {
 public:
  void know(const std::string& name, const std::string& device, const std::string& role,
            const Bytes& id, const Bytes& value);
  /// The value of a released key: under one of its device's KEKs.
  [[nodiscard]] std::optional<Bytes> open(const std::string& device, const Bytes& blob) const;
  /// The value of the key with this CKA_ID.
  [[nodiscard]] const Bytes& value(const Bytes& id) const;
  /// Nothing for an attack that got nothing.
  [[nodiscard]] std::vector<std::string> verdict(const Loot& loot) const;

 private:
  struct Fact {
    std::string name, device, role;
    Bytes id, value;
  };
  [[nodiscard]] std::string of_injection(const Loot::Injection& injection) const;
  [[nodiscard]] std::string of_oracle(const Loot::Oracle& oracle) const;
  std::vector<Fact> facts_;
};

/// Messages of the first devices, as their meters send them: what anybody on the line can record.
void overhear(Target& target, const Judge& judge);

}  // namespace attack
