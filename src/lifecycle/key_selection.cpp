// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "lifecycle/key_manager_impl.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"

/// Retirement and destruction of selected keys, in groups that share a transaction, or a proof of
/// absence.
namespace smets1kms::lifecycle {
namespace {

using Kind = Selection::Kind;
constexpr std::size_t keys_a_group = 256, devices_a_page = 1000;

/// An operation that ends the keys of a selection.
struct Ending {
  std::string_view act;  ///< as the trail names it
  std::function<bool(const Key& key, std::span<const Key> all_of_device)> is_meant;
  /// True if an earlier call ended the key, which was named.
  std::function<bool(const Key& key)> is_done;
  std::function<void(std::span<const KeyRef> keys)> end;
};

class SelectedKeys {
 public:
  SelectedKeys(Context& context, const Fleet& fleet, const Selection& selection,
               const Ending& ending, const std::function<bool()>& stop)
      : context_(context), fleet_(fleet), selection_(selection), ending_(ending), stop_(stop) {}

  SelectionSummary end_all(const Authority& authority) {
    check_known(authority);
    const bool is_named = selection_.kind == Kind::keys;
    total_ = is_named                           ? selection_.keys.size()
             : selection_.kind == Kind::devices ? selection_.devices.size()
                                                : fleet_.device_count();
    if (is_named)
      for (const auto& key : selection_.keys) add_named(key);
    else if (selection_.kind == Kind::devices)
      for (const auto device : selection_.devices) add_from(fleet_.history(device));
    else
      add_from_fleet();
    if (!summary_.stopped) end_group();
    return summary_;
  }

 private:
  /// A list that is wrong anywhere is refused before anything is changed.
  void check_known(const Authority& authority) {
    const auto act = context_.act(ending_.act, authority);
    std::optional<DeviceId> at;
    context_.in_transaction(act, at, [&] {
      check_authority(authority);
      for (const auto device : selection_.devices) (void)context_.device(*(at = device));
      for (const auto& key : selection_.keys) {
        at = key.device;
        (void)context_.key(key);
      }
    });
  }

  void add_named(const KeyRef& ref) {
    if (is_to_stop()) return;
    const auto keys = fleet_.keys(ref.device);
    const auto is_it_done = [&](const Key& key) {
      return key.ref() == ref && ending_.is_done(key);
    };
    if (std::ranges::none_of(keys, is_it_done)) add(ref);
    report("keys");
  }

  void add_from(const DeviceHistory& history) {
    if (is_to_stop()) return;
    for (const auto& key : history.keys) {
      if (!ending_.is_meant(key, history.keys)) continue;
      if (!may_end(key, history.device.status, history.keys))
        ++summary_.in_use;
      else if (is_being_destroyed(key.ref()))
        ++summary_.being_destroyed;
      else
        add(key.ref());
    }
    report("devices looked at");
  }

  void add_from_fleet() {
    std::optional<DeviceId> last;
    for (auto devices = fleet_.histories(last, devices_a_page);
         !devices.empty() && !summary_.stopped; devices = fleet_.histories(last, devices_a_page)) {
      last = devices.back().device.id;
      for (const auto& device : devices) add_from(device);
    }
  }

  void add(const KeyRef& key) {
    group_.push_back(key);
    if (group_.size() == keys_a_group) end_group();
  }

  void end_group() {
    if (group_.empty()) return;
    ending_.end(group_);
    summary_.done += group_.size();
    group_.clear();
  }

  bool is_being_destroyed(const KeyRef& key) {
    return context_.locked(
        [&] { return context_.registry.is_listed_by_open(op::key_destroy, key); });
  }

  bool is_to_stop() { return summary_.stopped = summary_.stopped || (stop_ && stop_()); }

  void report(const char* what) {
    ++seen_;
    context_.report(what, seen_, std::max(total_, seen_));
  }

  Context& context_;
  const Fleet& fleet_;
  const Selection& selection_;
  const Ending& ending_;
  const std::function<bool()>& stop_;
  std::vector<KeyRef> group_;
  std::size_t seen_ = 0, total_ = 0;
  SelectionSummary summary_;
};

void check_selection(const Selection& selection, std::initializer_list<Kind> kinds,
                     const char* which) {
  const auto& [kind, devices, keys, within, target] = selection;
  if (std::ranges::find(kinds, kind) == kinds.end()) throw BadInput(which);
  if ((kind == Kind::devices) == devices.empty() || (kind == Kind::keys) == keys.empty())
    throw BadInput("a selection of devices or of keys names at least one, and no other does");
  if (within) throw BadInput("a time limit goes with what is due");
  if (!target.empty()) throw BadInput("a handover target goes with keys that it was not handed");
}

}  // namespace

}  // namespace smets1kms::lifecycle

namespace smets1kms {

SelectionSummary KeyManager::retire(const Selection& selection, const Authority& authority,
                                    const std::function<bool()>& stop) {
  auto& context = impl_->context;
  check_selection(selection, {Kind::devices, Kind::keys, Kind::superseded},
                  "keys are retired by name, by device, or where they are superseded");
  const Ending ending{
      .act = op::key_retire,
      .is_meant = is_superseded,
      .is_done = [](const Key& key) { return key.state == KeyState::deactivated; },
      .end =
          [&](std::span<const KeyRef> keys) { lifecycle::retire(context, keys, authority, {}); }};
  return SelectedKeys(context, impl_->fleet, selection, ending, stop).end_all(authority);
}

SelectionSummary KeyManager::destroy(const Selection& selection, const Authority& authority,
                                     const std::function<bool()>& stop) {
  auto& context = impl_->context;
  check_selection(
      selection, {Kind::devices, Kind::keys, Kind::deactivated, Kind::not_held},
      "keys are destroyed by name, by device, or where they are deactivated or not held");
  const Ending ending{
      .act = op::key_destroy,
      .is_meant = [&](const Key& key,
                      std::span<const Key>) { return is_spent(key, selection.kind); },
      .is_done = [](const Key& key) { return is_destroyed(key.state); },
      .end =
          [&](std::span<const KeyRef> keys) { lifecycle::destroy(context, keys, authority, {}); }};
  return SelectedKeys(context, impl_->fleet, selection, ending, stop).end_all(authority);
}

}  // namespace smets1kms
