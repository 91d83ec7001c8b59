// SPDX-License-Identifier: Apache-2.0
#include "cli/selection.hpp"

#include <algorithm>
#include <deque>
#include <fstream>
#include <memory>

#include "base/clock.hpp"
#include "lifecycle/fleet_duties.hpp"

namespace smets1kms::cli {
namespace {

constexpr std::size_t page =
    1000;  // devices read at a time: a longer view would keep the writer's log from being folded in

using Devices = std::function<std::optional<DeviceId>()>;

/// Gives what `refill` brings, until it brings nothing.
template <class Item>
std::function<std::optional<Item>()> paged(std::function<bool(std::deque<Item>&)> refill) {
  return [refill = std::move(refill),
          waiting = std::make_shared<std::deque<Item>>()]() -> std::optional<Item> {
    while (waiting->empty())
      if (!refill(*waiting)) return std::nullopt;
    Item item = std::move(waiting->front());
    waiting->pop_front();
    return item;
  };
}

/// Those that have all of these roles.
Devices of_fleet(const Fleet& fleet, std::vector<KeyRole> roles) {
  return paged<DeviceId>([&fleet, roles = std::move(roles), last = std::optional<DeviceId>(),
                          without = std::size_t{0}](std::deque<DeviceId>& waiting) mutable {
    const auto devices = fleet.devices(last, page);
    for (const auto& device : devices) {
      if (device.status != DeviceStatus::commissioned) continue;
      if (std::ranges::all_of(roles, [&](KeyRole role) { return device.supports_role(role); }))
        waiting.push_back(device.id);
      else
        ++without;
    }
    if (!devices.empty()) last = devices.back().id;
    if (devices.empty() && without != 0)
      remark(std::to_string(std::exchange(without, 0)) +
             (roles.size() == 1 ? " devices have no such key"
                                : " devices do not have all of these keys") +
             " (their fleet file says so), and are passed over");
    return !devices.empty();
  });
}

/// One id a line; empty lines and what follows '#' are passed over.
std::optional<DeviceId> next_line(std::ifstream& in, const std::string& file, std::size_t& line) {
  for (std::string text; std::getline(in, text);) {
    ++line;
    text.erase(std::min(text.find('#'), text.size()));
    const auto first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
    if (first == std::string::npos) continue;
    try {
      return DeviceId::parse(text.substr(first, last - first + 1));
    } catch (const BadInput& error) {
      throw BadFile(file, line, first + 1, error.what());
    }
  }
  return std::nullopt;
}

std::pair<Devices, std::size_t> of_file(const std::string& file) {
  const auto open = [&file] {
    auto in = std::make_shared<std::ifstream>(file);
    if (!*in) throw BadInput(file + ": can't be read; it is a list of devices, an EUI-64 a line");
    return in;
  };
  std::vector<std::pair<DeviceId, std::size_t>>
      seen;  // a bad line is found before anything is begun
  const auto in = open();
  std::size_t at = 0;
  while (const auto device = next_line(*in, file, at)) seen.emplace_back(*device, at);
  if (in->bad()) throw BadInput(file + ": can't be read");
  if (seen.empty()) throw BadInput(file + ": names no device");
  std::ranges::sort(seen);
  if (const auto twice =
          std::ranges::adjacent_find(seen, {}, [](const auto& each) { return each.first; });
      twice != seen.end())
    throw BadFile(file, std::next(twice)->second, 1,
                  "device " + twice->first.to_string() + " stands in line " +
                      std::to_string(twice->second) + " already");
  return {[again = open(), file, line = std::size_t{0}]() mutable {
            return next_line(*again, file, line);
          },
          seen.size()};
}

std::vector<KeyRole> chosen_roles(const options::variables_map& values) {
  std::vector<KeyRole> roles;
  if (values.count("role") != 0)
    for (const auto& each : values["role"].as<std::vector<std::string>>())
      roles.push_back(parsed("role", each, parse_role));
  return roles;
}

/// What the duties of the fleet ask for, as `due` lists it.
Selection of_duties(const options::variables_map& values, const Config& config,
                    const Fleet& fleet) {
  const Time now = Clock().now().utc;
  if (const auto last = fleet.clock_behind(now))
    throw BadInput("the clock says " + format_time(now) +
                   ", and the audit trail's last record is of " + format_time(*last) +
                   ": mend it before anything is called due");
  const auto within = values.count("within") != 0
                          ? std::optional(duration(values["within"].as<std::string>()))
                          : std::nullopt;
  const auto refill = [&fleet, now, within, policy = lifecycle::policy_of(config),
                       roles = chosen_roles(values), last = std::optional<DeviceId>(),
                       without_kek = std::size_t{0}](std::deque<RotationRequest>& waiting) mutable {
    auto histories = fleet.histories(last, page);
    if (histories.empty()) {
      if (without_kek != 0)
        remark(std::to_string(std::exchange(without_kek, 0)) +
               " devices have no usable KEK: their manufacturer must provide another, and the "
               "import of its fleet file brings it");
      return false;
    }
    last = histories.back().device.id;
    for (auto& history : histories) {
      const auto device = lifecycle::duties_of(std::move(history), policy, now);
      const auto is_asked = [&](const policy::Duty& duty) {
        return lifecycle::is_due(duty, now, within);
      };
      if (!lifecycle::has_usable_kek(device.device) && std::ranges::any_of(device.duties, is_asked))
        ++without_kek;
      for (auto& request : lifecycle::rotations_due(device, now, within)) {
        if (!roles.empty())
          std::erase_if(request.roles, [&](KeyRole role) {
            return std::ranges::find(roles, role) == roles.end();
          });
        if (!request.roles.empty()) waiting.push_back(std::move(request));
      }
    }
    return true;
  };
  return {.next = paged<RotationRequest>(refill),
          .total = 0,
          .roles = {}};  // in the order of their key ids
}

}  // namespace

void add_selection(options::options_description& own) {
  own.add_options()("device", options::value<std::vector<std::string>>(),
                    "EUI-64; may be repeated")(
      "file", options::value<std::string>(),
      "a list of devices: an EUI-64 a line, '#' begins a remark")("all",
                                                                  "every commissioned device")(
      "due", "every device and role for which a duty of the policy is due, for that duty's reason")(
      "within", options::value<std::string>(),
      "with --due: only what is due in so much time, late ones too: 3d, 36h, 90m")(
      "role", options::value<std::vector<std::string>>(),
      "guek, gbek, gak or kek; may be repeated; with --all: devices that have all of these")(
      "reason", options::value<std::string>(),
      "post-commissioning, periodic, suspected-compromise, recommissioning, operational")(
      "justification", options::value<std::string>(),
      "why it is periodic, where the policy has no such rule: a sentence for the record");
}

void check_selection(const options::variables_map& values) {
  const bool due = values.count("due") != 0;
  if (values.count("device") + values.count("all") + values.count("file") + values.count("due") !=
      1)
    throw Usage(
        "which devices? --device EUI-64 (more than once for several), --file LIST, --all or --due: "
        "one of them");
  if (due && values.count("reason") != 0) throw Usage("--due gives each rotation its own reason");
  if (!due && values.count("within") != 0) throw Usage("--within goes with --due");
  if (!due) (void)needed(values, "reason", parse_reason);
  (void)chosen_roles(values);
}

Selection selection(const options::variables_map& values, const Config& config,
                    const Fleet& fleet) {
  if (values.count("due") != 0) return of_duties(values, config, fleet);

  Devices devices;
  std::size_t total = 0;
  if (values.count("device") != 0) {
    std::deque<DeviceId> ids;
    for (const auto& text : values["device"].as<std::vector<std::string>>())
      if (const auto id = parsed("device", text, DeviceId::parse);
          std::ranges::find(ids, id) == ids.end())
        ids.push_back(id);
    total = ids.size();
    devices = paged<DeviceId>([ids](std::deque<DeviceId>& waiting) mutable {
      return !(waiting = std::exchange(ids, {})).empty();
    });
  } else if (values.count("file") != 0) {
    std::tie(devices, total) = of_file(values["file"].as<std::string>());
  } else {
    devices = of_fleet(fleet, chosen_roles(values));
    total = fleet.device_count(DeviceStatus::commissioned);
  }
  const auto next =
      [devices = std::move(devices), roles = chosen_roles(values),
       reason = needed(values, "reason", parse_reason)]() -> std::optional<RotationRequest> {
    const auto device = devices();
    if (!device) return std::nullopt;
    return RotationRequest{.device = *device, .roles = roles, .reason = reason, .authority = {}};
  };
  return {.next = next, .total = total, .roles = chosen_roles(values)};
}

}  // namespace smets1kms::cli
