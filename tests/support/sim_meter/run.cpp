// SPDX-License-Identifier: Apache-2.0
#include "sim_meter/run.hpp"

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "common/files.hpp"
#include "sim_meter/fleet.hpp"
#include "sim_meter/proof.hpp"
#include "sim_meter/state_file.hpp"

namespace sim_meter {
namespace {

using nlohmann::json;
using support::Bytes;
using support::InputError;

struct Transfer {
  json transfer_id;  ///< echoed, whatever it is
  std::string device_id;
  Meter* meter;
  Bytes action_request;
};

json object_of(const std::filesystem::path& file, const support::Line& line) {
  json object = json::parse(line.text, nullptr, false);
  if (!object.is_object()) throw InputError(file, line.number, "not a JSON object");
  return object;
}

std::string text_of(const std::filesystem::path& file, const support::Line& line,
                    const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) {
    throw InputError(file, line.number, std::string("no text called ") + name);
  }
  return found->get<std::string>();
}

Meter* meter_of(const std::filesystem::path& file, const support::Line& line, Fleet& fleet,
                const std::string& device_id) {
  Meter* meter = fleet.find(device_id);
  if (meter == nullptr)
    throw InputError(file, line.number, "no meter '" + device_id + "' in this fleet");
  return meter;
}

std::vector<Transfer> read_transfers(const std::filesystem::path& file, Fleet& fleet) {
  std::vector<Transfer> transfers;
  for (const support::Line& line : support::read_lines(file)) {
    const json object = object_of(file, line);
    if (!object.contains("transfer_id")) throw InputError(file, line.number, "no transfer_id");
    const std::string device_id = text_of(file, line, object, "device_id");
    std::optional<Bytes> request =
        support::bytes_of_hex(text_of(file, line, object, "action_request"));
    if (!request) throw InputError(file, line.number, "action_request is not hex");
    transfers.push_back({object["transfer_id"], device_id, meter_of(file, line, fleet, device_id),
                         std::move(*request)});
  }
  return transfers;
}

void write_text(const std::filesystem::path& file, const std::string& text, bool append) {
  std::ofstream out(file, append ? std::ios::app : std::ios::trunc);
  out << text << std::flush;
  if (!out) throw InputError(file.string() + ": can't be written");
}

json hex_or_null(const std::optional<Bytes>& bytes) {
  return bytes ? json(support::hex_of(*bytes)) : json(nullptr);
}

std::string deliver(const std::vector<Transfer>& transfers) {
  std::string replies;
  for (const Transfer& transfer : transfers) {
    const json reply{{"transfer_id", transfer.transfer_id},
                     {"device_id", transfer.device_id},
                     {"reply", hex_or_null(transfer.meter->receive(transfer.action_request))}};
    replies += reply.dump() + "\n";
  }
  return replies;
}

std::string answer_challenges(const std::filesystem::path& file, Fleet& fleet) {
  std::string proofs;
  for (const support::Line& line : support::read_lines(file)) {
    json object = object_of(file, line);
    const Meter* meter = meter_of(file, line, fleet, text_of(file, line, object, "device_id"));
    const std::optional<std::size_t> key_id = provable_key_id(text_of(file, line, object, "role"));
    if (!key_id) throw InputError(file, line.number, "role must be guek, gbek or gak");
    const std::optional<Bytes> challenge =
        support::bytes_of_hex(text_of(file, line, object, "challenge"));
    if (!challenge || challenge->size() < challenge_min || challenge->size() > challenge_max) {
      throw InputError(file, line.number, "challenge must be 16 to 64 bytes of hex");
    }
    object["proof"] = hex_or_null(prove(*meter, *key_id, *challenge));
    proofs += object.dump() + "\n";
  }
  return proofs;
}

void set_faults(const Options& options, Fleet& fleet) {
  for (const FaultSetting& setting : options.faults) {
    for (Meter* meter : fleet.select(setting.selector)) {
      if (!setting.fault) {
        meter->standing_faults.clear();
        meter->faults_once.clear();
      } else if (options.fault_once) {
        meter->faults_once.insert(*setting.fault);
      } else {
        meter->standing_faults.insert(*setting.fault);
      }
    }
  }
}

json report_of(const History& history) {
  const auto& repeats = history.repeats;
  return {{"requests", history.requests},
          {"lost", history.lost},
          {"keys_applied", history.keys_applied},
          {"refusals", history.refusals},
          {"refused_clear", history.refused_clear},
          {"refused_tag", history.refused_tag},
          {"refused_counter", history.refused_counter},
          {"repeats", std::accumulate(repeats.begin(), repeats.end(), std::uint64_t{0})},
          {"repeats_by_key_id", repeats},
          {"careless", history.careless},
          {"offered_again", history.offered_again}};
}

void add(History& total, const History& one) {
  total.requests += one.requests;
  total.lost += one.lost;
  total.keys_applied += one.keys_applied;
  total.refusals += one.refusals;
  total.refused_clear += one.refused_clear;
  total.refused_tag += one.refused_tag;
  total.refused_counter += one.refused_counter;
  total.careless += one.careless;
  total.offered_again += one.offered_again;
  for (std::size_t id = 0; id < total.repeats.size(); ++id) total.repeats[id] += one.repeats[id];
}

json report_of(const Meter& meter) {
  json report = report_of(meter.history);
  json current = json::array();
  json pending = json::array();
  for (std::size_t id = 0; id < meter.keys.size(); ++id) {
    if (meter.keys[id].current) current.push_back(id);
    if (meter.keys[id].pending) pending.push_back(id);
  }
  json faults = json::array();
  for (const Fault fault : meter.standing_faults) faults.push_back(fault_name(fault));
  report["current_key_ids"] = current;
  report["pending_key_ids"] = pending;
  report["unicast_counter"] = meter.unicast_counter;
  report["broadcast_counter"] = meter.broadcast_counter;
  report["associations"] = meter.associations;
  report["ciphered"] = !meter.client_title.empty();
  report["faults"] = faults;
  return report;
}

json report_of(const Fleet& fleet) {
  json devices = json::object();
  History total;
  for (const Meter& meter : fleet.meters()) {
    devices[meter.device_id] = report_of(meter);
    add(total, meter.history);
  }
  json totals = report_of(total);
  totals["devices"] = fleet.meters().size();
  return {{"devices", devices}, {"total", totals}};
}

}  // namespace

void run(const Options& options) {
  Fleet fleet(load_state(options.state));
  if (options.meters) fleet.install(*options.meters);
  if (fleet.meters().empty()) {
    throw InputError(options.state.string() +
                     ": no meters yet: give --meters meters.csv on the first run");
  }
  const Bytes client_title = options.client_title ? *options.client_title : fleet.client_title();
  if (!client_title.empty()) fleet.cipher(client_title);
  set_faults(options, fleet);

  // All input is read before the first meter changes, so a bad line leaves the fleet as it was. The
  // state is saved before the replies: a key that a meter took is never forgotten, a reply may be
  // lost.
  std::string replies;
  if (options.transfers) replies = deliver(read_transfers(*options.transfers, fleet));
  for (const std::string& selector : options.associate) {
    for (Meter* meter : fleet.select(selector)) meter->associate();
  }
  std::string proofs;
  if (options.challenges) proofs = answer_challenges(*options.challenges, fleet);
  save_state(options.state, fleet.meters());

  if (options.replies) write_text(*options.replies, replies, options.append);
  if (options.proofs) write_text(*options.proofs, proofs, false);
  if (options.report) std::cout << report_of(fleet).dump(2) << '\n';
}

}  // namespace sim_meter
