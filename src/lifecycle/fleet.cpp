// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/fleet.hpp"

#include <algorithm>
#include <mutex>

#include "base/enum_names.hpp"
#include "registry/registry.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms {
namespace {

constexpr EnumNames<DeviceStatus, 3> statuses{{{{DeviceStatus::commissioned, "commissioned"},
                                                {DeviceStatus::suspended, "suspended"},
                                                {DeviceStatus::decommissioned, "decommissioned"}}}};

}  // namespace

std::string_view to_string(DeviceStatus status) { return statuses.name(status); }

bool Device::supports_role(KeyRole role) const {
  return std::ranges::find(supports, role) != supports.end();
}

/// A connection of its own, read only: a reader never waits for the writer. One thread at a time.
struct Fleet::Impl {
  registry::Registry registry;
  std::recursive_mutex mutex;  ///< what is visited may be asked about meanwhile
  class Locked {
   public:
    explicit Locked(Impl& inside) : lock_(inside.mutex), registry_(inside.registry) {}
    registry::Registry* operator->() { return &registry_; }

   private:
    std::lock_guard<std::recursive_mutex> lock_;
    registry::Registry& registry_;
  };
  /// For one expression.
  Locked locked() { return Locked(*this); }
};

Fleet::Fleet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Fleet::Fleet(Fleet&&) noexcept = default;
Fleet::~Fleet() = default;

Fleet Fleet::open(const Config& config, Callbacks) {
  return Fleet(std::unique_ptr<Impl>(
      new Impl{.registry = registry::Registry::open(config.database, sqlite::Mode::read_only),
               .mutex = {}}));
}

Device Fleet::device(DeviceId id) const {
  const std::lock_guard lock(impl_->mutex);
  if (auto device = impl_->registry.device(id)) return *std::move(device);
  throw Refused(RefusalReason::unknown_device,
                id.to_string() + " is not in the registry; 'device list' shows those that are");
}

std::vector<Key> Fleet::keys(DeviceId id) const { return impl_->locked()->keys(id); }

std::vector<Device> Fleet::devices(std::optional<DeviceId> after, std::size_t most) const {
  return impl_->locked()->devices_after(after, most);
}

std::size_t Fleet::device_count() const { return impl_->locked()->device_count(); }

std::size_t Fleet::device_count(DeviceStatus status) const {
  return impl_->locked()->device_count(status);
}

DeviceHistory Fleet::history(DeviceId id) const {
  auto found = device(id);
  const std::lock_guard lock(impl_->mutex);
  const sqlite::ReadTransaction one_view(impl_->registry.database());
  return {.device = std::move(found),
          .events = impl_->registry.events(id),
          .keys = impl_->registry.keys(id)};
}

std::vector<DeviceHistory> Fleet::histories(std::optional<DeviceId> after, std::size_t most) const {
  const std::lock_guard lock(impl_->mutex);
  const sqlite::ReadTransaction one_view(impl_->registry.database());
  std::vector<DeviceHistory> page;
  for (auto& each : impl_->registry.devices_after(after, most)) {
    const auto id = each.id;
    page.push_back({.device = std::move(each),
                    .events = impl_->registry.events(id),
                    .keys = impl_->registry.keys(id)});
  }
  return page;
}

void Fleet::for_each_operation(const std::string& prefix,
                               const std::function<void(const std::string& id)>& visit) const {
  std::vector<std::string> page;
  for (std::string after = prefix;; after = page.back()) {
    {
      const std::lock_guard lock(impl_->mutex);
      page = impl_->registry.operations_after(prefix, after, 1000);
    }
    for (const auto& id : page) visit(id);
    if (page.empty()) return;
  }
}

std::vector<Key> Fleet::keys_of_operation(const std::string& id, DeviceId device) const {
  return impl_->locked()->keys_of_operation(id, device);
}

void Fleet::for_each_device(const std::function<void(const Device&)>& visit) const {
  constexpr std::size_t page = 1000;
  std::optional<DeviceId> after;
  for (auto some = devices(after, page); !some.empty(); some = devices(after, page)) {
    for (const auto& each : some) visit(each);
    after = some.back().id;
  }
}

void Fleet::for_each_key(const std::function<void(const Key&)>& visit) const {
  std::optional<KeyRef> after;
  const auto next = [&] { return impl_->locked()->keys_after(after, 1000); };
  for (auto some = next(); !some.empty(); some = next()) {
    for (const auto& each : some) visit(each);
    after = some.back().ref();
  }
}

std::vector<TrailEntry> Fleet::trail(DeviceId id) const { return impl_->locked()->trail(id); }

void Fleet::for_each_record(const std::function<void(const TrailEntry&)>& visit) const {
  std::int64_t from = 0;
  const auto next = [&] { return impl_->locked()->records(from, 1000); };
  for (auto some = next(); !some.empty(); some = next()) {
    for (const auto& each : some) visit(each);
    from = static_cast<std::int64_t>(some.back().index) + 1;
  }
}

std::optional<TrailEntry> Fleet::last_record() const { return impl_->locked()->last_record(); }

std::vector<StorageUse> Fleet::storage() const { return impl_->locked()->storage(); }

std::uint64_t Fleet::keys_in_token() const { return impl_->locked()->keys_in_token(); }

FleetSummary Fleet::summary() const { return impl_->locked()->summary(); }

}  // namespace smets1kms
