// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/fleet_duties.hpp"

#include <algorithm>
#include <map>

#include "audit/record.hpp"

namespace smets1kms::lifecycle {
namespace {

constexpr std::size_t page = 1000;  // devices read at a time

std::optional<Moment> moment(const std::optional<Time>& at) {
  return at ? std::optional(Moment{.at = *at}) : std::nullopt;
}
/// What a device answered came after the key was made, whatever a clock said that was set back
/// between.
std::optional<Moment> answer_moment(const std::optional<Time>& at, Time made) {
  return at ? std::optional(Moment{.at = std::max(*at, made)}) : std::nullopt;
}

Reason reason_for(const policy::Duty& duty) {
  if (duty.id == policy::RuleId::p2) return Reason::periodic;
  if (duty.id == policy::RuleId::p3) return Reason::suspected_compromise;
  const bool again = std::ranges::any_of(duty.facts, [](const policy::Fact& fact) {
    return fact.kind == policy::FactKind::recommissioned;
  });
  return again ? Reason::recommissioning : Reason::post_commissioning;
}

}  // namespace

bool has_usable_kek(const DeviceHistory& device) {
  return std::ranges::any_of(device.keys, [](const Key& key) {
    return key.role == KeyRole::kek &&
           (key.state == KeyState::active || key.state == KeyState::pre_active);
  });
}

policy::DeviceFacts facts_of(const DeviceHistory& device) {
  policy::DeviceFacts facts{.kind = device.device.kind,
                            .supports = device.device.supports,
                            .events = device.events,
                            .keys = {}};
  for (const auto& key : device.keys)
    if (key.state != KeyState::none)
      facts.keys.push_back({.role = key.role,
                            .generation = key.generation,
                            .generated = {.at = key.created_at},
                            .in_doubt = answer_moment(key.in_doubt_at, key.created_at),
                            .confirmed = answer_moment(key.confirmed_at, key.created_at),
                            .not_held = answer_moment(key.not_held_at, key.created_at),
                            .compromised = moment(key.compromised_at)});
  return facts;
}

DeviceDuties duties_of(DeviceHistory device, const policy::Policy& policy, Time now) {
  DeviceDuties result{.device = std::move(device), .duties = {}, .contradiction = {}};
  try {
    result.duties = policy::duties(facts_of(result.device), policy, now);
  } catch (const BadInput& error) {
    result.contradiction = error.what();
  }
  return result;
}

void for_each_history(const Fleet& fleet, const std::function<void(DeviceHistory)>& visit) {
  std::optional<DeviceId> after;
  for (auto devices = fleet.histories(after, page); !devices.empty();
       devices = fleet.histories(after, page)) {
    after = devices.back().device.id;
    for (auto& each : devices) visit(std::move(each));
  }
}

void for_each_duties(const Fleet& fleet, const policy::Policy& policy, Time now,
                     const std::function<void(const DeviceDuties&)>& visit) {
  for_each_history(fleet,
                   [&](DeviceHistory device) { visit(duties_of(std::move(device), policy, now)); });
}

bool is_due(const policy::Duty& duty, Time now,
            const std::optional<std::chrono::milliseconds>& within) {
  if (!duty.wanted) return false;
  if (within) return duty.limit->deadline <= now + *within;
  return duty.id != policy::RuleId::p2 || duty.status != policy::Status::pending;
}

std::string waits_for(const policy::Duty& duty, const DeviceHistory& device) {
  std::string text = policy::waits_for(duty);
  if (text.empty() || has_usable_kek(device)) return text;
  policy::Duty others = duty;
  std::erase_if(others.roles,
                [](const policy::RoleProgress& each) { return each.role == KeyRole::kek; });
  text = policy::waits_for(others);
  return "kek: another from its manufacturer" + (text.empty() ? "" : "; then " + text);
}

std::vector<RotationRequest> rotations_due(const DeviceDuties& device, Time now,
                                           const std::optional<std::chrono::milliseconds>& within) {
  std::map<KeyRole, const policy::Duty*> urgent;
  if (!has_usable_kek(device.device)) return {};
  for (const auto& duty : device.duties) {
    if (!is_due(duty, now, within)) continue;
    for (const auto& [role, progress] : duty.roles) {
      if (progress != policy::Progress::none || role == KeyRole::kek) continue;
      const policy::Duty*& first = urgent[role];
      if (first == nullptr || duty.limit->deadline < first->limit->deadline) first = &duty;
    }
  }
  std::vector<RotationRequest> requests;
  for (const auto& [role, duty] : urgent) {
    const auto reason = reason_for(*duty);
    auto found = std::ranges::find(requests, reason, &RotationRequest::reason);
    if (found == requests.end())
      found = requests.insert(
          found,
          {.device = device.device.device.id, .roles = {}, .reason = reason, .authority = {}});
    found->roles.push_back(role);
  }
  return requests;
}

std::optional<Time> clock_behind(const Fleet& fleet, Time now) {
  const auto last = fleet.last_record();
  if (!last) return std::nullopt;
  const Time at = parse_time(audit::RecordView::parse(last->bytes).text(audit::Field::time));
  return now < at ? std::optional(at) : std::nullopt;
}

}  // namespace smets1kms::lifecycle
