// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"

/// Retirement and destruction of what is selected, in groups of keys that share a transaction, or a
/// proof of absence.
namespace smets1kms::lifecycle {
namespace {

using Kind = Selection::Kind;
constexpr std::size_t keys_a_group = 256, devices_a_page = 1000;

/// What is to be done with the keys of a selection.
struct Ending {
  std::function<bool(const Key& key, std::span<const Key> all_of_device)> is_meant;
  std::function<bool(const Key& key)> is_done;  ///< of a key that was named: an earlier call did it
  std::function<void(std::span<const KeyRef> keys)> end;
};

class SelectedKeys {
 public:
  SelectedKeys(Context& context, const Fleet& fleet, const Selection& selection,
               const Ending& ending, const std::function<bool()>& stop)
      : context_(context), fleet_(fleet), selection_(selection), ending_(ending), stop_(stop) {}

  SelectionSummary end_all() {
    switch (selection_.kind) {
      case Kind::keys: end_named(); break;
      case Kind::devices: end_of_devices(); break;
      default: end_of_fleet(); break;
    }
    if (!summary_.stopped) end_group();
    return summary_;
  }

 private:
  void end_named() {
    std::size_t seen = 0;
    for (const auto& ref : selection_.keys) {
      if (is_to_stop()) return;
      const auto keys = fleet_.keys(ref.device);
      const auto is_it = [&](const Key& key) {
        return key.role == ref.role && key.generation == ref.generation;
      };
      const auto key = std::ranges::find_if(keys, is_it);
      if (key == keys.end() || !ending_.is_done(*key)) add(ref);
      report("keys", ++seen, selection_.keys.size());
    }
  }

  void end_of_devices() {
    std::size_t seen = 0;
    for (const auto device : selection_.devices) {
      if (is_to_stop()) return;
      add_from(fleet_.history(device));
      report("devices looked at", ++seen, selection_.devices.size());
    }
  }

  void end_of_fleet() {
    const auto total = fleet_.device_count();
    std::optional<DeviceId> last;
    for (std::size_t seen = 0;;) {
      const auto devices = fleet_.histories(last, devices_a_page);
      if (devices.empty()) return;
      last = devices.back().device.id;
      for (const auto& device : devices) {
        if (is_to_stop()) return;
        add_from(device);
      }
      report("devices looked at", seen += devices.size(), std::max(total, seen));
    }
  }

  void add_from(const DeviceHistory& history) {
    for (const auto& key : history.keys) {
      if (!ending_.is_meant(key, history.keys)) continue;
      if (may_end(key, history.device.status, history.keys))
        add({key.device, key.role, key.generation});
      else
        ++summary_.in_use;
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

  bool is_to_stop() { return summary_.stopped = summary_.stopped || (stop_ && stop_()); }

  void report(const char* what, std::size_t done, std::size_t total) {
    if (context_.callbacks.progress)
      context_.callbacks.progress({.what = what, .done = done, .total = total});
  }

  Context& context_;
  const Fleet& fleet_;
  const Selection& selection_;
  const Ending& ending_;
  const std::function<bool()>& stop_;
  std::vector<KeyRef> group_;
  SelectionSummary summary_;
};

void check_selection(const Selection& selection, std::initializer_list<Kind> kinds,
                     const char* which) {
  const auto& [kind, devices, keys, within] = selection;
  if (std::ranges::find(kinds, kind) == kinds.end()) throw BadInput(which);
  if ((kind == Kind::devices) == devices.empty() || (kind == Kind::keys) == keys.empty())
    throw BadInput("a selection of devices or of keys names at least one, and no other does");
  if (within) throw BadInput("a time limit goes with what is due");
}

}  // namespace

SelectionSummary retire(Context& context, const Fleet& fleet, const Selection& selection,
                        const Authority& authority, const std::function<bool()>& stop) {
  check_selection(selection, {Kind::devices, Kind::keys, Kind::superseded},
                  "keys are retired by name, by device, or where they are superseded");
  const Ending ending{
      .is_meant = is_superseded,
      .is_done = [](const Key& key) { return key.state == KeyState::deactivated; },
      .end = [&](std::span<const KeyRef> keys) { retire(context, keys, authority, {}); }};
  return SelectedKeys(context, fleet, selection, ending, stop).end_all();
}

SelectionSummary destroy(Context& context, const Fleet& fleet, const Selection& selection,
                         const Authority& authority, const std::function<bool()>& stop) {
  check_selection(
      selection, {Kind::devices, Kind::keys, Kind::deactivated, Kind::not_held},
      "keys are destroyed by name, by device, or where they are deactivated or not held");
  const Ending ending{
      .is_meant = [&](const Key& key,
                      std::span<const Key>) { return is_spent(key, selection.kind); },
      .is_done = [](const Key& key) { return is_destroyed(key.state); },
      .end = [&](std::span<const KeyRef> keys) { destroy(context, keys, authority, {}); }};
  return SelectedKeys(context, fleet, selection, ending, stop).end_all();
}

}  // namespace smets1kms::lifecycle
