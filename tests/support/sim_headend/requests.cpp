// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "sim_headend/steps.hpp"

namespace sim_headend {
namespace {

using support::Bytes;

void check(const TransferLine& line, const Device& device) {
  for (const KeyName& key : line.keys) {
    const std::string name = text_of(key) + " of " + device.id;
    if (key.role == Role::kek) {
      if (line.keys.size() > 1) line.place.refuse("a KEK among other keys: it is sent alone");
      continue;
    }
    const RoleKeys& role = device.of(key.role);
    if (role.in_use && key.generation <= *role.in_use)
      line.place.refuse(name + " is not newer than the one in use, " +
                        text_of({key.role, *role.in_use}));
    // Without its GBEK the head end can still speak to the device, and send it one.
    if (key.role != Role::gbek && !role.held.contains(key.generation))
      line.place.refuse(name +
                        " was not handed over: sent, it would lock the head end out. Open "
                        "it first, with --handovers");
  }
}

// Begins the counter of a new key where that of the one before it is, unless it is reset.
void carry_counter_on(Device& device, const TransferLine& line) {
  for (const KeyName& key : line.keys) {
    const bool resets = key.role == Role::guek ? line.resets_unicast : line.resets_broadcast;
    if (resets || (key.role != Role::guek && key.role != Role::gbek)) continue;
    RoleKeys& role = device.of(key.role);
    const auto before = role.in_use ? role.held.find(*role.in_use) : role.held.end();
    const auto held = role.held.find(key.generation);
    if (before != role.held.end() && held != role.held.end())
      held->second.sent = before->second.sent;
  }
}

Transfer cipher_transfer(Device& device, const TransferLine& line, const Bytes& own_title) {
  Transfer transfer{
      device.cipher(line.transfer_id, Service::action, {Role::guek, *device.of(Role::guek).in_use},
                    *device.of(Role::gak).in_use, own_title, line.action_request),
      line.action_request[2],
      line.keys,
      line.next_association,
      Delivery::sent,
      std::nullopt};
  carry_counter_on(device, line);
  return transfer;
}

// Ciphers an association under the keys that wait for one: it brings them into use.
Request cipher_association(Device& device, const Bytes& own_title) {
  const auto generation = [&](Role role) {
    return device.of(role).next.value_or(*device.of(role).in_use);
  };
  return device.cipher(device.id + "/association-" + std::to_string(++device.associations),
                       Service::get, {Role::guek, generation(Role::guek)}, generation(Role::gak),
                       own_title, association_request());
}

}  // namespace

// Reads the clock's time: the Green Book's example.
Bytes association_request() {
  return {0xC0, 0x01, 0x00, 0x00, 0x08, 0x00, 0x00, 0x01, 0x00, 0x00, 0xFF, 0x02, 0x00};
}

Written cipher_requests(const std::optional<std::filesystem::path>& transfers, Fleet& fleet) {
  const std::vector<TransferLine> lines =
      transfers ? read_transfers(*transfers) : std::vector<TransferLine>{};
  for (const TransferLine& line : lines) {
    Device& device = device_of(fleet, line.place, line.device_id);
    if (device.find_transfer(line.transfer_id) == nullptr) check(line, device);
  }

  Written written;
  std::set<std::string> asked;  // devices with a request in this file
  std::size_t associations = 0, again = 0, waiting = 0, doubtful = 0;
  const auto write = [&](const Device& device, const Request& request) {
    asked.insert(device.id);
    written.lines += request_line(device, request);
  };
  for (Device& device : fleet.devices()) {
    if (device.association) {
      ++again;
    } else if (device.has_next()) {
      device.association = cipher_association(device, fleet.own_title());
      ++associations;
    }
    if (device.association) write(device, *device.association);
  }
  for (const TransferLine& line : lines) {
    Device& device = *fleet.find(line.device_id);
    const Transfer* known = device.find_transfer(line.transfer_id);
    if (known != nullptr) {
      if (known->delivery == Delivery::in_doubt) ++doubtful;
      if (known->delivery != Delivery::sent || asked.contains(device.id)) continue;
      ++again;
      write(device, known->request);
    } else if (asked.contains(device.id) || device.has(Delivery::sent) ||
               device.has(Delivery::in_doubt)) {
      ++waiting;
    } else {
      device.transfers.push_back(cipher_transfer(device, line, fleet.own_title()));
      write(device, device.transfers.back().request);
    }
  }

  std::string note = counted(asked.size(), "request") + " ciphered";
  if (associations > 0) note += ", " + counted(associations, "association") + " among them";
  if (again > 0) note += ", " + std::to_string(again) + " written before and not answered";
  if (waiting > 0)
    note += "; " + counted(waiting, "transfer") + " after them, once their device has answered";
  if (doubtful > 0) note += "; " + counted(doubtful, "transfer") + " in doubt: --probe";
  written.notes.push_back(note);
  return written;
}

}  // namespace sim_headend
