// SPDX-License-Identifier: Apache-2.0
#include "judge.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

namespace attack {

void Judge::know(const std::string& name, const std::string& device, const std::string& role,
                 const Bytes& id, const Bytes& value) {
  facts_.push_back({name, device, role, id, value});
}

std::optional<Bytes> Judge::open(const std::string& device, const Bytes& blob) const {
  for (const auto& fact : facts_)
    if (fact.role == "kek" && fact.device == device)
      if (auto value = unwrap(aes_decrypt(fact.value), blob)) return value;
  return std::nullopt;
}

const Bytes& Judge::value(const Bytes& id) const {
  for (const auto& fact : facts_)
    if (fact.id == id) return fact.value;
  throw std::runtime_error("the judge does not know key " + hex(id));
}

/// A meter takes whatever its KEK opens; of a longer key it keeps as much as it needs.
std::string Judge::of_injection(const Loot::Injection& injection) const {
  const auto taken = open(injection.device, injection.blob);
  if (!taken) return {};
  for (const auto& fact : facts_)
    if (fact.value == *taken && fact.device != injection.device)
      return "meter takes a key of another device (" + fact.role + ")";
  if (injection.value.empty() || taken->size() < injection.value.size()) return {};
  if (!std::equal(injection.value.begin(), injection.value.end(), taken->begin())) return {};
  return injection.value.size() > 16 ? "meter takes a known key (cut off)"
                                     : "meter takes a known key";
}

std::string Judge::of_oracle(const Loot::Oracle& oracle) const {
  for (const auto& fact : facts_) {
    if (fact.id != oracle.id) continue;
    const Bytes expected = oracle.kind == Loot::Oracle::Kind::cmac
                               ? cmac(fact.value, oracle.input)
                               : aes_encrypt(fact.value)(oracle.input);
    if (oracle.kind == Loot::Oracle::Kind::check_value) {
      if (!std::equal(expected.begin(), expected.begin() + 3, oracle.output.begin())) continue;
      return "24 bits of E_K(0) of a " + fact.role;
    }
    if (expected == oracle.output)
      return (oracle.kind == Loot::Oracle::Kind::cmac ? "CMAC by a " : "E_K(0) of a ") + fact.role;
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

void overhear(Target& target, const Judge& judge) {
  for (std::size_t i = 0; i + 1 < target.keys.size();
       i += 2) {  // GUEK and GAK of a device stand together
    Bytes additional_data{Overheard::security_control};
    const auto& gak = judge.value(target.keys[i + 1].id);
    additional_data.insert(additional_data.end(), gak.begin(), gak.end());
    for (const std::size_t length : {20, 60, 100}) {
      Overheard message{.key = i, .iv = random_bytes(12), .cipher_text = {}, .tag = {}};
      message.tag = gcm_tag(judge.value(target.keys[i].id), message.iv, additional_data,
                            random_bytes(length), &message.cipher_text);
      message.tag.resize(Overheard::tag_length);
      target.overheard.push_back(std::move(message));
    }
  }
}

}  // namespace attack
