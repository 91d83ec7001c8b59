// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/fleet.hpp"

#include <algorithm>

#include "base/enum_names.hpp"
#include "lifecycle/fleet_duties.hpp"
#include "lifecycle/fleet_impl.hpp"
#include "registry/batch_tables.hpp"
#include "registry/handover_tables.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms {
namespace {

constexpr EnumNames<DeviceStatus, 4> statuses{
    {"commissioned", "suspended", "decommissioned", "not-commissioned"}};
constexpr EnumNames<OperationState, 3> operation_states{{"open", "done", "failed"}};

DeviceHistory history_of(registry::Registry& registry, Device device) {
  const auto id = device.id;
  return {.device = std::move(device), .events = registry.events(id), .keys = registry.keys(id)};
}

template <class Value>
Value known_device(std::optional<Value> found, DeviceId id) {
  if (found) return *std::move(found);
  throw Refused(RefusalReason::unknown_device,
                id.to_string() + " is not in the registry; 'device list' shows those that are");
}

}  // namespace

std::string_view to_string(DeviceStatus status) { return statuses.name(status); }
std::string_view to_string(OperationState state) { return operation_states.name(state); }

bool Device::supports_role(KeyRole role) const {
  return std::ranges::find(supports, role) != supports.end();
}

registry::Registry Fleet::Impl::connect() {
  {
    const std::lock_guard lock(mutex);
    if (!unused.empty()) {
      auto connection = std::move(unused.back());
      unused.pop_back();
      return connection;
    }
  }
  return registry::Registry::open(config.database, sqlite::Mode::read_only);
}

using lifecycle::check_page;

Fleet::Fleet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Fleet::Fleet(Fleet&&) noexcept = default;
Fleet::~Fleet() = default;

Fleet Fleet::open(const Config& config, Callbacks callbacks) {
  const Clock clock(callbacks.clock);
  Fleet fleet(std::unique_ptr<Impl>(new Impl{.config = config,
                                             .callbacks = std::move(callbacks),
                                             .clock = clock,
                                             .policy = lifecycle::policy_of(config)}));
  fleet.impl_->use([&](registry::Registry& registry) {  // throws where there is no registry
    lifecycle::begin_deviations(registry, fleet.impl_->policy, clock.now().utc);
    return 0;
  });
  return fleet;
}

Device Fleet::device(DeviceId id) const {
  return known_device(impl_->use([&](auto& registry) { return registry.device(id); }), id);
}

std::vector<Key> Fleet::keys(DeviceId id) const {
  return impl_->use([&](auto& registry) { return registry.keys(id); });
}

DeviceHistory Fleet::history(DeviceId id) const {
  return known_device(impl_->read([&](auto& registry) {
    auto device = registry.device(id);
    return device ? std::optional(history_of(registry, *std::move(device))) : std::nullopt;
  }),
                      id);
}

std::size_t Fleet::device_count() const {
  return impl_->use([](auto& registry) { return registry.device_count(); });
}

std::size_t Fleet::device_count(DeviceStatus status) const {
  return impl_->use([&](auto& registry) { return registry.device_count(status); });
}

std::vector<Device> Fleet::devices(std::optional<DeviceId> after, std::size_t most) const {
  check_page(most);
  return impl_->use([&](auto& registry) { return registry.devices_after(after, most); });
}

std::vector<DeviceHistory> Fleet::histories(std::optional<DeviceId> after, std::size_t most) const {
  check_page(most);
  return impl_->read([&](auto& registry) {
    std::vector<DeviceHistory> page;
    for (auto& each : registry.devices_after(after, most))
      page.push_back(history_of(registry, std::move(each)));
    return page;
  });
}

std::vector<Key> Fleet::keys(const std::optional<KeyRef>& after, std::size_t most) const {
  check_page(most);
  return impl_->use([&](auto& registry) { return registry.keys_after(after, most); });
}

std::vector<StorageUse> Fleet::storage(const std::optional<KeyId>& after, std::size_t most) const {
  check_page(most);
  auto all = impl_->use([](auto& registry) { return registry.storage(); });
  if (after) std::erase_if(all, [&](const StorageUse& each) { return each.id <= *after; });
  all.erase(all.begin() + static_cast<std::ptrdiff_t>(std::min(most, all.size())), all.end());
  return all;
}

std::uint64_t Fleet::keys_in_token() const {
  return impl_->use([](auto& registry) { return registry.keys_in_token(); });
}

FleetSummary Fleet::summary() const {
  return impl_->use([](auto& registry) { return registry.summary(); });
}

std::vector<TargetInfo> Fleet::targets() const {
  return impl_->read([](auto& registry) {
    registry::HandoverTables tables(registry.database());
    std::vector<TargetInfo> all;
    for (auto& target : tables.targets())
      all.push_back({.target = target.info, .stored = tables.count_stored(target.info)});
    return all;
  });
}

std::vector<KeyHolder> Fleet::holders(const KeyRef& key) const {
  std::vector<KeyHolder> holders;
  for (const auto& handed : impl_->use([&](auto& registry) {
         return registry::HandoverTables(registry.database()).of_key(key);
       }))
    holders.push_back({.target = handed.label(),
                       .received = handed.received_at.has_value(),
                       .stored = !handed.wrapped.empty()});
  return holders;
}

OperationInfo Fleet::operation(const std::string& id) const {
  auto found = impl_->read([&](auto& registry) {
    std::optional<OperationInfo> info;
    const auto operation = registry.operation(id);
    if (!operation) return info;
    info = {.id = id,
            .kind = operation->kind,
            .state = operation->state,
            .device = operation->device,
            .keys = {}};
    for (const auto& key : registry.listed_keys(id)) info->keys.push_back(key.ref());
    if (operation->device)
      for (const auto& key : registry.keys_of_operation(id, *operation->device))
        info->keys.push_back(key.ref());
    std::ranges::sort(info->keys);
    return info;
  });
  if (found) return *std::move(found);
  throw Refused(RefusalReason::unknown_operation,
                "no operation " + id.substr(0, 64) + " reached its intent in this registry");
}

std::vector<TrailEntry> Fleet::trail(DeviceId id, std::optional<std::uint64_t> after,
                                     std::size_t most) const {
  check_page(most);
  return impl_->use([&](auto& registry) { return registry.trail(id, after, most); });
}

std::vector<TrailEntry> Fleet::records(std::uint64_t from, std::size_t most) const {
  check_page(most);
  return impl_->use([&](auto& registry) { return registry.records(from, most); });
}

std::optional<TrailEntry> Fleet::last_record() const {
  return impl_->use([](auto& registry) { return registry.last_record(); });
}

BatchInfo Fleet::batch(const std::string& name) const {
  auto found = impl_->use(
      [&](auto& registry) { return registry::BatchTables(registry.database()).find(name); });
  if (found) return std::move(found->info);
  throw Refused(RefusalReason::unknown_batch, "there is no batch '" + name + "'");
}

std::vector<BatchInfo> Fleet::batches(const std::string& after, std::size_t most) const {
  check_page(most);
  std::vector<BatchInfo> page;
  for (auto& batch : impl_->use([&](auto& registry) {
         return registry::BatchTables(registry.database()).following(after, most);
       }))
    page.push_back(std::move(batch.info));
  return page;
}

Time Fleet::now() const { return impl_->clock.now().utc; }

}  // namespace smets1kms
