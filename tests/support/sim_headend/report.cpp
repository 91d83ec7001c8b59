// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "sim_headend/steps.hpp"

namespace sim_headend {
namespace {

using nlohmann::json;

json or_null(const std::optional<Generation>& generation) {
  return generation ? json(*generation) : json(nullptr);
}

json report_of(const Device& device, Role name) {
  const RoleKeys& role = device.of(name);
  json held = json::array();
  for (const auto& each : role.held) held.push_back(each.first);
  json report{{"in_use", or_null(role.in_use)}, {"next", or_null(role.next)}, {"held", held}};
  const auto key = role.in_use ? role.held.find(*role.in_use) : role.held.end();
  if (name != Role::gak && key != role.held.end()) {
    report["sent_counter"] = key->second.sent;
    report["received_counter"] = key->second.received;
  }
  return report;
}

json report_of(const Device& device) {
  json unanswered = json::array();
  json in_doubt = json::array();
  for (const Transfer& transfer : device.transfers) {
    if (transfer.delivery == Delivery::sent) unanswered.push_back(transfer.request.id);
    if (transfer.delivery != Delivery::in_doubt) continue;
    for (const KeyName& key : transfer.keys) in_doubt.push_back(text_of(key));
  }
  if (device.association) unanswered.push_back(device.association->id);
  return {{"guek", report_of(device, Role::guek)},
          {"gbek", report_of(device, Role::gbek)},
          {"gak", report_of(device, Role::gak)},
          {"unanswered", unanswered},
          {"in_doubt", in_doubt}};
}

}  // namespace

std::string report_of(const Fleet& fleet) {
  json devices = json::object();
  std::size_t in_doubt = 0, unanswered = 0, waiting = 0;
  for (const Device& device : fleet.devices()) {
    devices[device.id] = report_of(device);
    in_doubt += device.has(Delivery::in_doubt) ? 1 : 0;
    unanswered += device.has(Delivery::sent) || device.association ? 1 : 0;
    waiting += device.has_next() ? 1 : 0;
  }
  return json{{"devices", devices},
              {"total",
               {{"devices", fleet.devices().size()},
                {"in_doubt", in_doubt},
                {"unanswered", unanswered},
                {"waiting_for_association", waiting}}}}
             .dump(2) +
         "\n";
}

}  // namespace sim_headend
