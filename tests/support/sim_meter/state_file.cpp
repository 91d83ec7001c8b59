// SPDX-License-Identifier: Apache-2.0
#include "sim_meter/state_file.hpp"

#include <nlohmann/json.hpp>
#include <string>

#include "common/files.hpp"

namespace sim_meter {
namespace {

using nlohmann::json;
using support::Secret;

constexpr const char* format_name = "smets1-sim-meter state 2";

json json_of(const std::optional<Secret>& key) {
  return key ? json(support::hex_of(key->reveal())) : json(nullptr);
}

std::optional<Secret> key_of(const json& value) {
  if (value.is_null()) return std::nullopt;
  std::optional<Secret> key = support::aes_key_of_hex(value.get<std::string>());
  if (!key) throw support::InputError("a key is not 16 or 32 bytes of hex");
  return key;
}

json json_of(const std::set<Fault>& faults) {
  json names = json::array();
  for (const Fault fault : faults) names.push_back(fault_name(fault));
  return names;
}

support::Bytes title_of(const json& value) {
  const std::optional<support::Bytes> title = support::bytes_of_hex(value.get<std::string>());
  if (!title || (!title->empty() && title->size() != 8))
    throw support::InputError("a system title is not 8 bytes of hex");
  return *title;
}

std::set<Fault> faults_of(const json& names) {
  std::set<Fault> faults;
  for (const json& name : names) {
    const std::optional<Fault> fault = fault_of_name(name.get<std::string>());
    if (!fault) throw support::InputError("unknown fault " + name.get<std::string>());
    faults.insert(*fault);
  }
  return faults;
}

json json_of(const History& history) {
  return {{"requests", history.requests},
          {"lost", history.lost},
          {"keys_applied", history.keys_applied},
          {"refusals", history.refusals},
          {"careless", history.careless},
          {"offered_again", history.offered_again},
          {"refused_clear", history.refused_clear},
          {"refused_tag", history.refused_tag},
          {"refused_counter", history.refused_counter},
          {"repeats", history.repeats}};
}

History history_of(const json& value) {
  History history;
  value.at("requests").get_to(history.requests);
  value.at("lost").get_to(history.lost);
  value.at("keys_applied").get_to(history.keys_applied);
  value.at("refusals").get_to(history.refusals);
  value.at("careless").get_to(history.careless);
  value.at("offered_again").get_to(history.offered_again);
  value.at("refused_clear").get_to(history.refused_clear);
  value.at("refused_tag").get_to(history.refused_tag);
  value.at("refused_counter").get_to(history.refused_counter);
  value.at("repeats").get_to(history.repeats);
  return history;
}

json json_of(const Meter& meter) {
  json keys = json::object();
  for (std::size_t id = 0; id < meter.keys.size(); ++id) {
    const KeySlot& slot = meter.keys[id];
    keys[std::to_string(id)] = {{"current", json_of(slot.current)},
                                {"pending", json_of(slot.pending)},
                                {"received", slot.received}};
  }
  return {{"device_id", meter.device_id},
          {"system_title", support::hex_of(meter.system_title)},
          {"security_suite", meter.security_suite},
          {"client_title", support::hex_of(meter.client_title)},
          {"installed_kek", meter.installed_kek},
          {"keys", keys},
          {"sent_unicast", meter.sent_unicast},
          {"sent_broadcast", meter.sent_broadcast},
          {"unicast_counter", meter.unicast_counter},
          {"broadcast_counter", meter.broadcast_counter},
          {"associations", meter.associations},
          {"faults", json_of(meter.standing_faults)},
          {"faults_once", json_of(meter.faults_once)},
          {"offered", meter.offered},
          {"history", json_of(meter.history)}};
}

Meter meter_of(const json& value) {
  Meter meter;
  value.at("device_id").get_to(meter.device_id);
  value.at("installed_kek").get_to(meter.installed_kek);
  for (std::size_t id = 0; id < meter.keys.size(); ++id) {
    const json& slot = value.at("keys").at(std::to_string(id));
    meter.keys[id].current = key_of(slot.at("current"));
    meter.keys[id].pending = key_of(slot.at("pending"));
    slot.at("received").get_to(meter.keys[id].received);
  }
  if (!meter.keys[kek_id].current)
    throw support::InputError("meter " + meter.device_id + " has no KEK");
  meter.system_title = title_of(value.at("system_title"));
  meter.client_title = title_of(value.at("client_title"));
  value.at("security_suite").get_to(meter.security_suite);
  value.at("sent_unicast").get_to(meter.sent_unicast);
  value.at("sent_broadcast").get_to(meter.sent_broadcast);
  value.at("unicast_counter").get_to(meter.unicast_counter);
  value.at("broadcast_counter").get_to(meter.broadcast_counter);
  value.at("associations").get_to(meter.associations);
  meter.standing_faults = faults_of(value.at("faults"));
  meter.faults_once = faults_of(value.at("faults_once"));
  value.at("offered").get_to(meter.offered);
  meter.history = history_of(value.at("history"));
  return meter;
}

}  // namespace

std::vector<Meter> load_state(const std::filesystem::path& file) {
  std::vector<Meter> meters;
  if (!std::filesystem::exists(file)) return meters;
  try {
    const json document = json::parse(support::read_file(file));
    if (document.at("format") != format_name)
      throw support::InputError("not a state file of this program");
    for (const json& value : document.at("meters")) meters.push_back(meter_of(value));
  } catch (const json::exception& error) {
    throw support::InputError(file, 1, error.what());
  } catch (const support::InputError& error) {
    throw support::InputError(file, 1, error.what());
  }
  return meters;
}

void save_state(const std::filesystem::path& file, const std::vector<Meter>& meters) {
  json document{{"format", format_name}, {"meters", json::array()}};
  for (const Meter& meter : meters) document["meters"].push_back(json_of(meter));
  support::replace_private_file(file, document.dump() + "\n");
}

}  // namespace sim_meter
