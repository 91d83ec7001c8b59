// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "sim_headend/steps.hpp"

namespace sim_headend {
namespace {

using support::Bytes;

enum class Answer { none, refused, answered };
using Answers = std::map<std::string, Answer>;  // by the request's id

// Returns the keys in doubt of which the head end can find out whether the device has them.
std::vector<KeyName> keys_in_doubt(const Device& device) {
  std::vector<KeyName> keys;
  for (const Transfer& transfer : device.transfers) {
    if (transfer.delivery != Delivery::in_doubt) continue;
    for (const KeyName& key : transfer.keys)
      if (device.of(key.role).held.contains(key.generation)) keys.push_back(key);
  }
  return keys;
}

// Returns the generations of a role that the device may use, the newer first. A device that keeps
// new keys for its next association is known by that order only, for it may answer under the old
// ones, too.
std::vector<Generation> candidates(const Device& device, Role role) {
  std::vector<Generation> generations;
  for (const KeyName& key : keys_in_doubt(device))
    if (key.role == role) generations.push_back(key.generation);
  const RoleKeys& keys = device.of(role);
  if (keys.in_use && keys.held.contains(*keys.in_use)) generations.push_back(*keys.in_use);
  return generations;
}

bool in_doubt(const Device& device, Role role) {
  return std::ranges::any_of(keys_in_doubt(device),
                             [&](const KeyName& key) { return key.role == role; });
}

std::string pair_of(const Request& request) {
  return text_of(request.encryption) + ", " + text_of({Role::gak, request.gak});
}

// The conclusion from the answers of one device.
class Findings {
 public:
  Findings(Device& device, const Answers& answers) : device_(device), answers_(answers) {}

  // Writes evidence and takes keys into use, or says why not.
  void settle(Written& written) {
    const Request* unicast = first_answered(Role::guek, std::nullopt);
    if (unicast == nullptr)
      return fail(written, "it answers under none of its keys; probe again, or send somebody");
    std::vector<std::pair<KeyName, bool>> found;
    for (const KeyName& key : keys_in_doubt(device_)) {
      const Request* request =
          key.role == Role::gbek ? first_answered(Role::gbek, unicast->gak) : unicast;
      const bool holds_new = request != nullptr && uses(*request, key);
      const bool old_unheld = key.role == Role::gbek && candidates(device_, Role::gbek).size() < 2;
      if (!holds_new && ((request == nullptr && !old_unheld) || !all_refused(key)))
        return fail(written, "it answers under " + pair_of(*unicast) + ", but not each request " +
                                 "under " + text_of(key) + " was answered or refused; probe again");
      found.emplace_back(key, holds_new);
      device_.probe->evidence.push_back(
          evidence_line(device_, key, holds_new, evidence_of(key.role, request)));
    }
    for (const auto& [key, holds_new] : found) {
      if (holds_new)
        device_.take_into_use(key);
      else
        device_.of(key.role).held.erase(key.generation);
    }
    for (Transfer& transfer : device_.transfers) {
      if (transfer.delivery != Delivery::in_doubt) continue;
      transfer.delivery = Delivery::settled;
      transfer.request.apdu.clear();
    }
  }

 private:
  Answer answer_to(const Request& request) const {
    const auto found = answers_.find(request.id);
    return found == answers_.end() ? Answer::none : found->second;
  }
  static bool uses(const Request& request, const KeyName& key) {
    return request.encryption == key || (key.role == Role::gak && request.gak == key.generation);
  }
  const Request* first_answered(Role encryption, std::optional<Generation> gak) const {
    for (const Request& request : device_.probe->requests) {
      if (request.encryption.role == encryption && (!gak || request.gak == *gak) &&
          answer_to(request) == Answer::answered)
        return &request;
    }
    return nullptr;
  }
  // True where the device has refused this key in each request that could have shown it.
  bool all_refused(const KeyName& key) const {
    const bool broadcast = key.role == Role::gbek;
    return std::ranges::all_of(device_.probe->requests, [&](const Request& request) {
      return (request.encryption.role == Role::gbek) != broadcast || !uses(request, key) ||
             answer_to(request) == Answer::refused;
    });
  }
  std::string evidence_of(Role role, const Request* answered) const {
    const bool broadcast = role == Role::gbek;
    std::size_t others = 0, refused = 0;
    for (const Request& request : device_.probe->requests) {
      if ((request.encryption.role == Role::gbek) != broadcast || &request == answered) continue;
      ++others;
      if (answer_to(request) == Answer::refused) ++refused;
    }
    std::string text = broadcast ? "broadcast-set request " : "association ";
    if (answered != nullptr) text += "answered under " + pair_of(*answered);
    if (others == 0) return text;
    text += answered != nullptr ? "; refused under " : "refused under ";
    if (refused < others)
      return text + std::to_string(refused) + " of " + counted(others, "other pair");
    if (others == 1) return text + (answered != nullptr ? "the other pair" : "the one pair tried");
    constexpr std::array<const char*, 4> words{"", "", "two", "three"};
    return text + "the " + (others < words.size() ? words.at(others) : std::to_string(others)) +
           " other pairs";
  }
  void fail(Written& written, const std::string& why) const {
    device_.probe->evidence.clear();
    written.incomplete = true;
    written.notes.push_back(device_.id + " stays in doubt: " + why);
  }

  Device& device_;
  const Answers& answers_;
};

}  // namespace

Written cipher_probes(Fleet& fleet) {
  Written written;
  std::size_t devices = 0, requests = 0;
  for (Device& device : fleet.devices()) {
    if (!device.has(Delivery::in_doubt)) continue;
    Probe probe{device.probe ? device.probe->round + 1 : 1, {}, {}};
    const auto ask = [&](Role encryption) {
      for (const Generation key : candidates(device, encryption)) {
        for (const Generation gak : candidates(device, Role::gak)) {
          const std::string id = device.id + "/probe-" + std::to_string(probe.round) + "-" +
                                 std::to_string(probe.requests.size() + 1);
          probe.requests.push_back(device.cipher(id, Service::get, {encryption, key}, gak,
                                                 fleet.own_title(), association_request()));
          written.lines += request_line(device, probe.requests.back());
        }
      }
    };
    ask(Role::guek);  // first: this association brings a GBEK into use, too
    if (in_doubt(device, Role::gbek)) ask(Role::gbek);
    ++devices;
    requests += probe.requests.size();
    device.probe = std::move(probe);
  }
  written.notes.push_back(counted(devices, "device") + " in doubt, " +
                          counted(requests, "request") + " to probe them");
  return written;
}

namespace {

// Exception response, "invocation-counter-error": it says nothing about the keys.
bool is_counter_error(const Bytes& reply) {
  return reply.size() > 2 && reply[0] == 0xD8 && reply[2] == 0x06;
}

Answer judge(Device& device, const Request& request, const ReplyLine& line) {
  if (!line.reply || line.reply->empty() || is_counter_error(*line.reply)) return Answer::none;
  if (line.reply->front() == 0xD8) return Answer::refused;
  Unreadable reason{};
  return device.decipher(request, *line.reply, reason) ? Answer::answered : Answer::none;
}

}  // namespace

Written read_probe_answers(const std::filesystem::path& file, Fleet& fleet) {
  Written written;
  std::vector<std::pair<Device*, Answers>> asked;  // in the order of the file
  std::map<std::string, std::size_t> index;
  for (const ReplyLine& line : read_replies(file)) {
    Device& device = device_of(fleet, line.place, line.device_id);
    if (!line.transfer_id.starts_with(device.id + "/probe-"))
      line.place.refuse(line.transfer_id + " is no probe: --ciphered-replies reads the others");
    if (!device.probe) line.place.refuse(device.id + " was not probed");
    const auto request = std::ranges::find_if(
        device.probe->requests, [&](const Request& each) { return each.id == line.transfer_id; });
    if (request == device.probe->requests.end()) continue;  // an earlier round's
    if (index.try_emplace(device.id, asked.size()).second) asked.emplace_back(&device, Answers());
    if (!device.probe->evidence.empty()) continue;  // read before
    asked[index[device.id]].second.try_emplace(line.transfer_id, judge(device, *request, line));
  }
  for (auto& [device, answers] : asked) {
    if (device->probe->evidence.empty()) Findings(*device, answers).settle(written);
    for (const std::string& line : device->probe->evidence) written.lines += line;
  }
  return written;
}

}  // namespace sim_headend
