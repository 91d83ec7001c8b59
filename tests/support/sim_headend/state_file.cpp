// SPDX-License-Identifier: Apache-2.0
#include "sim_headend/state_file.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/files.hpp"

namespace sim_headend {
namespace {

using nlohmann::json;
using support::Bytes;
using support::InputError;

constexpr const char* format_name = "smets1-sim-headend state 1";

template <class T, class Make>
json list_of(const std::vector<T>& values, Make make) {
  json list = json::array();
  for (const T& value : values) list.push_back(make(value));
  return list;
}

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

Bytes bytes_at(const json& object, const char* name) {
  std::optional<Bytes> bytes = support::bytes_of_hex(object.at(name).get<std::string>());
  if (!bytes) throw InputError(std::string(name) + " is not hex");
  return std::move(*bytes);
}

json json_of(const KeyName& key) {
  return {{"role", name_of(key.role)}, {"generation", key.generation}};
}
KeyName key_of(const json& value) {
  const std::optional<Role> role = role_of(value.at("role").get<std::string>());
  if (!role) throw InputError("unknown role " + value.at("role").get<std::string>());
  return {*role, value.at("generation").get<Generation>()};
}

json json_of(const RoleKeys& role) {
  json held = json::array();
  for (const auto& [generation, key] : role.held) {
    held.push_back({{"generation", generation},
                    {"key", support::hex_of(key.value.reveal())},
                    {"sent", key.sent},
                    {"received", key.received}});
  }
  return {{"held", held}, {"in_use", or_null(role.in_use)}, {"next", or_null(role.next)}};
}
std::optional<Generation> generation_of(const json& value) {
  if (value.is_null()) return std::nullopt;
  return value.get<Generation>();
}
RoleKeys role_keys_of(const json& value) {
  RoleKeys role;
  for (const json& each : value.at("held")) {
    std::optional<support::Secret> key =
        support::aes_key_of_hex(each.at("key").get_ref<const std::string&>());
    if (!key) throw InputError("a key is not 16 or 32 bytes of hex");
    role.held.emplace(each.at("generation").get<Generation>(),
                      Key{std::move(*key), each.at("sent"), each.at("received")});
  }
  role.in_use = generation_of(value.at("in_use"));
  role.next = generation_of(value.at("next"));
  return role;
}

json json_of(const Request& request) {
  return {{"id", request.id},
          {"service", request.service == Service::get ? "get" : "action"},
          {"encryption", json_of(request.encryption)},
          {"gak", request.gak},
          {"apdu", support::hex_of(request.apdu)}};
}
Request request_of(const json& value) {
  return {value.at("id").get<std::string>(),
          value.at("service") == "get" ? Service::get : Service::action,
          key_of(value.at("encryption")), value.at("gak").get<Generation>(),
          bytes_at(value, "apdu")};
}

constexpr std::array<std::pair<Delivery, const char*>, 3> delivery_names{
    {{Delivery::sent, "sent"}, {Delivery::in_doubt, "in-doubt"}, {Delivery::settled, "settled"}}};

json json_of(const Transfer& transfer) {
  const char* delivery = "";
  for (const auto& [value, name] : delivery_names)
    if (value == transfer.delivery) delivery = name;
  return {{"request", json_of(transfer.request)},
          {"invoke_byte", transfer.invoke_byte},
          {"keys", list_of(transfer.keys, [](const KeyName& key) { return json_of(key); })},
          {"next_association", transfer.next_association},
          {"delivery", delivery},
          {"reply", transfer.reply ? json(support::hex_of(*transfer.reply)) : json(nullptr)}};
}
Transfer transfer_of(const json& value) {
  Transfer transfer{request_of(value.at("request")), value.at("invoke_byte"), {},
                    value.at("next_association"),    Delivery::sent,          std::nullopt};
  for (const json& key : value.at("keys")) transfer.keys.push_back(key_of(key));
  for (const auto& [delivery, name] : delivery_names)
    if (value.at("delivery") == name) transfer.delivery = delivery;
  if (!value.at("reply").is_null()) transfer.reply = bytes_at(value, "reply");
  return transfer;
}

json json_of(const Probe& probe) {
  return {{"round", probe.round},
          {"requests", list_of(probe.requests, [](const Request& each) { return json_of(each); })},
          {"evidence", probe.evidence}};
}
Probe probe_of(const json& value) {
  Probe probe{value.at("round"), {}, value.at("evidence")};
  for (const json& each : value.at("requests")) probe.requests.push_back(request_of(each));
  return probe;
}

json json_of(const Device& device) {
  return {{"device_id", device.id},
          {"system_title", support::hex_of(device.system_title)},
          {"security_suite", device.security_suite},
          {"guek", json_of(device.of(Role::guek))},
          {"gbek", json_of(device.of(Role::gbek))},
          {"gak", json_of(device.of(Role::gak))},
          {"transfers", list_of(device.transfers, [](const Transfer& t) { return json_of(t); })},
          {"association", device.association ? json_of(*device.association) : json(nullptr)},
          {"associations", device.associations},
          {"probe", device.probe ? json_of(*device.probe) : json(nullptr)}};
}
Device device_of(const json& value) {
  Device device;
  device.id = value.at("device_id");
  device.system_title = bytes_at(value, "system_title");
  device.security_suite = value.at("security_suite");
  for (const Role role : {Role::guek, Role::gbek, Role::gak})
    device.of(role) = role_keys_of(value.at(std::string(name_of(role))));
  for (const json& each : value.at("transfers")) device.transfers.push_back(transfer_of(each));
  if (!value.at("association").is_null()) device.association = request_of(value.at("association"));
  device.associations = value.at("associations");
  if (!value.at("probe").is_null()) device.probe = probe_of(value.at("probe"));
  return device;
}

}  // namespace

std::optional<Fleet> load_state(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  try {
    const json document = json::parse(support::read_file(file));
    if (document.at("format") != format_name) throw InputError("not a state file of this program");
    std::vector<Device> devices;
    for (const json& value : document.at("devices")) devices.push_back(device_of(value));
    return Fleet(bytes_at(document, "system_title"), std::move(devices));
  } catch (const json::exception& error) {
    throw InputError(file, 1, error.what());
  } catch (const InputError& error) {
    throw InputError(file, 1, error.what());
  }
}

void save_state(const std::filesystem::path& file, const Fleet& fleet) {
  const json document{
      {"format", format_name},
      {"system_title", support::hex_of(fleet.own_title())},
      {"devices", list_of(fleet.devices(), [](const Device& device) { return json_of(device); })}};
  support::replace_private_file(file, document.dump() + "\n");
}

}  // namespace sim_headend
