#include "judge.hpp"

#include <algorithm>
#include <set>

namespace attack {

void Judge::know(const std::string& name, const std::string& device, const std::string& role, const Bytes& id, const Bytes& value) {
  facts_.push_back({name, device, role, id, value});
}

std::optional<Bytes> Judge::open(const std::string& device, const Bytes& blob) const {
  for (const auto& fact : facts_)
    if (fact.role == "kek" && fact.device == device)
      if (auto value = unwrap(aes_decrypt(fact.value), blob)) return value;
  return std::nullopt;
}

/// A meter takes whatever its KEK opens; of a longer key it keeps as much as it needs.
std::string Judge::of_injection(const Loot::Injection& injection) const {
  const auto taken = open(injection.device, injection.blob);
  if (!taken) return {};
  for (const auto& fact : facts_)
    if (fact.value == *taken && fact.device != injection.device) return "meter takes a key of another device (" + fact.role + ")";
  if (injection.value.empty() || taken->size() < injection.value.size()) return {};
  if (!std::equal(injection.value.begin(), injection.value.end(), taken->begin())) return {};
  return injection.value.size() > 16 ? "meter takes a known key (cut off)" : "meter takes a known key";
}

std::string Judge::of_oracle(const Loot::Oracle& oracle) const {
  for (const auto& fact : facts_) {
    if (fact.id != oracle.id) continue;
    const Bytes expected = oracle.kind == Loot::Oracle::Kind::cmac ? cmac(fact.value, oracle.input) : aes_encrypt(fact.value)(oracle.input);
    if (oracle.kind == Loot::Oracle::Kind::check_value) {
      if (!std::equal(expected.begin(), expected.begin() + 3, oracle.output.begin())) continue;
      return "24 bits of E_K(0) of a " + fact.role;
    }
    if (expected == oracle.output) return (oracle.kind == Loot::Oracle::Kind::cmac ? "CMAC by a " : "E_K(0) of a ") + fact.role;
  }
  return {};
}

std::vector<std::string> Judge::verdict(const Loot& loot) const {
  std::set<std::string> gained(loot.facts.begin(), loot.facts.end());
  for (const auto& key : loot.keys)
    for (const auto& fact : facts_)
      if (fact.value == key) gained.insert(fact.role + " in clear");
  for (const auto& injection : loot.injections)
    if (auto text = of_injection(injection); !text.empty()) gained.insert(std::move(text));
  for (const auto& oracle : loot.oracles)
    if (auto text = of_oracle(oracle); !text.empty()) gained.insert(std::move(text));
  for (const auto& [device, blob] : loot.misdirected)
    if (open(device, blob)) gained.insert("a fresh key released under another device's KEK");
  return {gained.begin(), gained.end()};
}

}  // namespace attack
