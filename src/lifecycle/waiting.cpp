// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include "audit/text.hpp"
#include "base/enum_names.hpp"
#include "base/text_reader.hpp"
#include "lifecycle/fleet_duties.hpp"
#include "lifecycle/fleet_impl.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"
#include "registry/handover_tables.hpp"

namespace smets1kms {
namespace {

constexpr EnumNames<WaitingKind, 8> waiting_kinds{{"released", "in-doubt", "unproven-kek",
                                                   "awaits-enrolment", "open-operation",
                                                   "receipt-missing", "withheld", "no-usable-kek"}};

/// Beginning of a page: behind a key of one kind, behind an operation, or behind a device.
struct Place {
  WaitingKind kind = WaitingKind::released;
  std::optional<KeyRef> key{};
  std::string name{};  ///< of an operation, of the key's handover target, or of the device

  [[nodiscard]] std::string text() const {
    return std::string(to_string(kind)) + "/" +
           (key ? lifecycle::name_of(*key) + (name.empty() ? "" : "/" + name) : name);
  }
  static Place parse(const std::string& text) {
    if (text.empty()) return {};
    try {
      auto part = split(text, '/');
      part.resize(5);
      Place place{.kind = waiting_kinds.parse(part[0], "kind of what waits")};
      const bool has_key =
          place.kind != WaitingKind::open_operation && place.kind != WaitingKind::no_usable_kek;
      place.name = place.kind == WaitingKind::no_usable_kek ? DeviceId::parse(part[1]).to_string()
                                                            : std::string(part[has_key ? 4 : 1]);
      if (has_key)
        place.key = {DeviceId::parse(part[1]), parse_role(part[2]),
                     static_cast<std::uint32_t>(audit::parse_number(part[3]).value_or(0))};
      if (place.text() == text) return place;
    } catch (const BadInput&) {  // the exception below says it
    }
    throw BadInput("'" + text.substr(0, 80) +
                   "' is no place in the list of what waits: give WaitingPage::next as it was "
                   "returned, or an empty text");
  }
};

/// Returns how to end it, for people: the command, and the call of the library.
std::string ends_by(WaitingKind kind, const Key& key) {
  switch (kind) {
    case WaitingKind::open_operation:
    case WaitingKind::no_usable_kek: break;
    case WaitingKind::receipt_missing:
      return key.delivery == Delivery::withheld
                 ? "the target's receipt, which releases the transfer ('smets1-kms handover "
                   "--received', KeyManager::record_receipts); a target that can't: destroy the key"
                 : "the target's receipt ('smets1-kms handover --received', "
                   "KeyManager::record_receipts); 'smets1-kms handover --target' hands it out "
                   "again";
    case WaitingKind::withheld:
      return "its handover target has ended: destroy the key ('smets1-kms destroy', "
             "KeyManager::destroy), or record the target's receipt ('smets1-kms handover "
             "--received', KeyManager::record_receipts)";
    case WaitingKind::released:
      return "no answer recorded: confirm with the device's answer ('smets1-kms confirm', "
             "KeyManager::record_reply)";
    case WaitingKind::awaits_enrolment:
      return "the security officer's ceremony ('smets1-kms enrol', Enrolment::admit_waiting)";
    case WaitingKind::in_doubt:
    case WaitingKind::unproven_kek:
      if (key.role != KeyRole::kek)
        return "probe the device, then resolve ('smets1-kms resolve', KeyManager::resolve)";
      if (key.state == KeyState::compromised)
        return "suspected: rotate the GAK --under-proven-kek (RotationRequest::wrap_under), or "
               "import another KEK ('smets1-kms device import', Enrolment::import_fleet)";
      return "prove it: rotate the GAK and confirm ('smets1-kms rotate --role gak', "
             "KeyManager::rotate)";
  }
  return {};
}

WaitingItem item_of(WaitingKind kind, const Key& key) {
  const bool doubtful = kind == WaitingKind::in_doubt || kind == WaitingKind::unproven_kek;
  return {.kind = kind,
          .device = key.device,
          .key = key.ref(),
          .transfer = key.transfer,
          .operation_id = key.operation,
          .since = doubtful ? key.in_doubt_at : key.created_at,
          .ends_by = ends_by(kind, key)};
}

WaitingItem item_of(const Key& key, const registry::HandedKey& handed) {
  auto item = item_of(WaitingKind::receipt_missing, key);
  item.target = handed.label();
  return item;
}

WaitingItem item_of(const Device& device) {
  return {.kind = WaitingKind::no_usable_kek,
          .device = device.id,
          .key = {},
          .operation_id = {},
          .since = device.commissioned_at.value_or(Time{}),
          .ends_by = lifecycle::no_usable_kek(device) +
                     "; the import of a fleet file that has its KEK brings it ('smets1-kms device "
                     "import', Enrolment::import_fleet)"};
}

constexpr WaitingKind last_kind = WaitingKind::no_usable_kek;
constexpr Delivery deliveries[] = {Delivery::released, Delivery::in_doubt, Delivery::unproven};

std::vector<WaitingItem> items_behind(registry::Registry& registry, const Place& place,
                                      std::size_t most) {
  std::vector<WaitingItem> items;
  if (place.kind == WaitingKind::open_operation) {
    for (const auto& each : registry.open_operations(place.name, most))
      items.push_back({.kind = WaitingKind::open_operation,
                       .device = {},
                       .key = {},
                       .operation_id = each.id,
                       .since = {},
                       .ends_by = "its process, if it still runs; else the next command that opens "
                                  "the token (KeyManager::open)"});
    return items;
  }
  if (place.kind == WaitingKind::receipt_missing) {
    const auto after =
        place.key ? std::optional(registry::HandedAfter{*place.key, place.name}) : std::nullopt;
    for (const auto& handed :
         registry::HandoverTables(registry.database()).stored({}, after, most)) {
      const auto keys = registry.keys(handed.key.device);
      const auto key = std::ranges::find(keys, handed.key, &Key::ref);
      if (key != keys.end()) items.push_back(item_of(*key, handed));
    }
    return items;
  }
  if (place.kind == WaitingKind::no_usable_kek) {
    const auto after =
        place.name.empty() ? std::nullopt : std::optional(DeviceId::parse(place.name));
    for (const auto& device : registry.devices_without_kek(after, most))
      items.push_back(item_of(device));
    return items;
  }
  const auto index = static_cast<std::size_t>(place.kind);
  for (const auto& key :
       place.kind == WaitingKind::awaits_enrolment ? registry.keys_to_admit(place.key, most)
       : place.kind == WaitingKind::withheld
           ? registry::HandoverTables(registry.database()).given_up(place.key, most)
           : registry.keys_with(deliveries[index], place.key, most))
    items.push_back(item_of(place.kind, key));
  return items;
}

}  // namespace

std::string_view to_string(WaitingKind kind) { return waiting_kinds.name(kind); }

std::vector<WaitingItem> Fleet::waiting(DeviceId id) const {
  std::vector<WaitingItem> items;
  const auto device = impl_->use([&](auto& registry) { return registry.device(id); });
  if (device && !device->no_kek_reason.empty() && device->status != DeviceStatus::decommissioned)
    items.push_back(item_of(*device));
  for (const auto& key : keys(id)) {
    if (key.awaits_enrolment) items.push_back(item_of(WaitingKind::awaits_enrolment, key));
    const auto* sent = std::ranges::find(deliveries, key.delivery);
    if (sent != std::end(deliveries) && lifecycle::is_pending(key))
      items.push_back(item_of(static_cast<WaitingKind>(sent - deliveries), key));
    for (const auto& handed : impl_->use([&](auto& registry) {
           return registry::HandoverTables(registry.database()).of_key(key.ref());
         }))
      if (!handed.wrapped.empty())
        items.push_back(item_of(key, handed));
      else if (key.delivery == Delivery::withheld && !lifecycle::is_destroyed(key.state) &&
               !handed.received_at)
        items.push_back(item_of(WaitingKind::withheld, key));
  }
  return items;
}

WaitingPage Fleet::waiting(const std::string& after, std::size_t most) const {
  lifecycle::check_page(most);
  auto place = Place::parse(after);
  return impl_->read([&](registry::Registry& registry) {
    WaitingPage page;
    for (;; place = {.kind = static_cast<WaitingKind>(static_cast<int>(place.kind) + 1)}) {
      // One more than asked for shows whether there is another page.
      std::ranges::move(items_behind(registry, place, most + 1 - page.items.size()),
                        std::back_inserter(page.items));
      if (page.items.size() > most || place.kind == last_kind) break;
    }
    if (page.items.size() > most) {
      page.items.pop_back();
      const auto& last = page.items.back();
      const auto name = last.key      ? last.target.substr(0, last.target.find('/'))
                        : last.device ? last.device->to_string()
                                      : last.operation_id;
      page.next = Place{.kind = last.kind, .key = last.key, .name = name}.text();
    }
    return page;
  });
}

}  // namespace smets1kms
