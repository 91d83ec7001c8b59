// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/duties.hpp"

/// Stories of a device for the policy's tests, told in the order of their time.
namespace test {

using namespace smets1kms;
using namespace smets1kms::policy;

class Story {
 public:
  explicit Story(std::vector<KeyRole> supports = {KeyRole::guek, KeyRole::gak},
                 DeviceKind kind = DeviceKind::esme)
      : facts{.kind = kind, .supports = std::move(supports), .events = {}, .keys = {}} {}
  /// Empty `recorded`: at once.
  Story& is(DeviceChange change, std::string_view at, std::string_view recorded = {}) {
    facts.events.push_back(
        {change, {.at = parse_time(at), .recorded = parse_time(recorded.empty() ? at : recorded)}});
    return *this;
  }
  Story& commissioned(std::string_view at, std::string_view recorded = {}) {
    return is(DeviceChange::commissioned, at, recorded);
  }
  /// A new generation of the role; empty `confirmed`: not.
  Story& key(KeyRole role, std::string_view generated, std::string_view confirmed = {}) {
    const auto generation =
        static_cast<std::uint32_t>(std::ranges::count(facts.keys, role, &KeyFacts::role)) + 1;
    facts.keys.push_back(
        {.role = role, .generation = generation, .generated = {parse_time(generated)}});
    if (!confirmed.empty()) last().confirmed = Moment{parse_time(confirmed)};
    return *this;
  }
  Story& both(std::string_view generated, std::string_view confirmed) {
    return key(KeyRole::guek, generated, confirmed).key(KeyRole::gak, generated, confirmed);
  }
  Story& in_doubt(std::string_view at) { return mark(&KeyFacts::in_doubt, at); }
  Story& not_held(std::string_view at) { return mark(&KeyFacts::not_held, at); }
  Story& compromised(std::string_view at) { return mark(&KeyFacts::compromised, at); }
  /// Of every key there is, as when their KEK is suspected.
  Story& all_compromised(std::string_view at) {
    for (auto& each : facts.keys) each.compromised = Moment{parse_time(at)};
    return *this;
  }
  [[nodiscard]] std::vector<policy::Duty> at(std::string_view now, RuleId id,
                                             const Policy& policy) const {
    auto all = duties(facts, policy, parse_time(now));
    std::erase_if(all, [&](const policy::Duty& each) { return each.id != id; });
    return all;
  }

  DeviceFacts facts;

 private:
  KeyFacts& last() { return facts.keys.back(); }
  Story& mark(std::optional<Moment> KeyFacts::*what, std::string_view at) {
    last().*what = Moment{parse_time(at)};
    return *this;
  }
};

}  // namespace test
