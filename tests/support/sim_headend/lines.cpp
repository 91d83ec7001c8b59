// SPDX-License-Identifier: Apache-2.0
#include "sim_headend/lines.hpp"

#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "sim_headend/key_proof.hpp"

namespace sim_headend {
namespace {

using nlohmann::json;
using support::Bytes;

class Object {
 public:
  Object(const std::filesystem::path& file, const support::Line& line)
      : place_{file, line.number}, object_(json::parse(line.text, nullptr, false)) {
    if (!object_.is_object()) place_.refuse("not a JSON object");
  }
  Object(Place place, json object) : place_(std::move(place)), object_(std::move(object)) {
    if (!object_.is_object()) place_.refuse("an element of keys is not a JSON object");
  }

  const Place& place() const { return place_; }
  bool has(const char* name) const { return object_.contains(name); }
  const json& at(const char* name) const {
    const auto found = object_.find(name);
    if (found == object_.end()) place_.refuse(std::string("no member called ") + name);
    return *found;
  }
  std::string text(const char* name) const {
    if (!at(name).is_string()) place_.refuse(std::string(name) + " is not a text");
    return at(name).get<std::string>();
  }
  Bytes hex(const char* name) const {
    std::optional<Bytes> bytes = support::bytes_of_hex(text(name));
    if (!bytes) place_.refuse(std::string(name) + " is not hex");
    return std::move(*bytes);
  }
  bool flag(const char* name) const {
    if (!at(name).is_boolean()) place_.refuse(std::string(name) + " is neither true nor false");
    return at(name).get<bool>();
  }
  KeyName key() const {
    const std::string name = text("role");
    const std::optional<Role> role = role_of(name);
    if (!role) place_.refuse("role '" + name + "': expected guek, gbek, gak or kek");
    const json& generation = at("generation");
    if (!generation.is_number_unsigned() || generation.get<std::uint64_t>() == 0 ||
        generation.get<std::uint64_t>() > UINT32_MAX)
      place_.refuse("generation is not a number from 1");
    return {*role, generation.get<Generation>()};
  }

 private:
  Place place_;
  json object_;
};

template <class Read>
auto for_each_line(const std::filesystem::path& file, Read read) {
  std::vector<decltype(read(std::declval<Object>(), std::string()))> all;
  for (const support::Line& line : support::read_lines(file))
    all.push_back(read(Object(file, line), line.text));
  return all;
}

json hex_or_null(const std::optional<Bytes>& bytes) {
  return bytes ? json(support::hex_of(*bytes)) : json(nullptr);
}

std::string line_of(const json& object) { return object.dump() + "\n"; }

HandoverLine handover_of(const Object& line) {
  HandoverLine handover{line.place(),        line.text("device_id"), line.key(),
                        line.text("target"), line.text("hash"),      line.hex("wrapped"),
                        line.hex("sha256"),  line.hex("challenge")};
  const Place& place = line.place();
  if (handover.key.role == Role::kek) place.refuse("role kek: a KEK is never handed over");
  if (handover.hash != "SHA-1" && handover.hash != "SHA-256")
    place.refuse("hash '" + handover.hash + "': expected SHA-1 or SHA-256");
  if (handover.challenge.size() < shortest_challenge ||
      handover.challenge.size() > longest_challenge)
    place.refuse("the challenge is not 16 to 64 bytes");
  return handover;
}

}  // namespace

void Place::refuse(const std::string& what) const { throw support::InputError(file, line, what); }

std::vector<HandoverLine> read_handovers(const std::filesystem::path& file,
                                         const std::string& target, std::size_t& others) {
  std::vector<HandoverLine> handovers;
  for (const support::Line& each : support::read_lines(file)) {
    const Object line(file, each);
    if (line.has("checkpoint")) continue;
    if (line.text("target") == target)
      handovers.push_back(handover_of(line));
    else
      ++others;
  }
  return handovers;
}

std::string receipt_line(const HandoverLine& handover, const Bytes& proof) {
  return line_of({{"device_id", handover.device_id},
                  {"role", name_of(handover.key.role)},
                  {"generation", handover.key.generation},
                  {"target", handover.target},
                  {"proof", support::hex_of(proof)}});
}

std::vector<TransferLine> read_transfers(const std::filesystem::path& file) {
  return for_each_line(file, [](const Object& line, const std::string& /*text*/) {
    TransferLine transfer{
        line.place(), line.text("transfer_id"),  line.text("device_id"), {}, false, false,
        false,        line.hex("action_request")};
    if (line.has("keys")) {
      if (!line.at("keys").is_array() || line.at("keys").empty())
        line.place().refuse("keys is not a list of keys");
      for (const json& key : line.at("keys"))
        transfer.keys.push_back(Object(line.place(), key).key());
    } else {
      transfer.keys.push_back(line.key());
    }
    const std::string activation = line.text("activation");
    if (activation != "immediate" && activation != "next-association")
      line.place().refuse("activation '" + activation +
                          "': expected immediate or next-association");
    transfer.next_association = activation == "next-association";
    transfer.resets_unicast = line.flag("resets_unicast_counter");
    transfer.resets_broadcast = line.flag("resets_broadcast_counter");
    const Bytes& request = transfer.action_request;
    if (request.size() < 3 || request[0] != 0xC3 || request[1] != 0x01)
      line.place().refuse("action_request is no ACTION-Request-Normal (C3 01 ...)");
    return transfer;
  });
}

std::string request_line(const Device& device, const Request& request) {
  return line_of({{"transfer_id", request.id},
                  {"device_id", device.id},
                  {"action_request", support::hex_of(request.apdu)}});
}

std::vector<ReplyLine> read_replies(const std::filesystem::path& file) {
  return for_each_line(file, [](const Object& line, const std::string& /*text*/) {
    ReplyLine reply{line.place(), line.text("transfer_id"), line.text("device_id"), std::nullopt};
    if (!line.at("reply").is_null()) reply.reply = line.hex("reply");
    return reply;
  });
}

std::string reply_line(const Device& device, const Transfer& transfer) {
  return line_of({{"transfer_id", transfer.request.id},
                  {"device_id", device.id},
                  {"reply", hex_or_null(transfer.reply)}});
}

std::string evidence_line(const Device& device, const KeyName& key, bool holds_new,
                          const std::string& evidence) {
  return line_of({{"device_id", device.id},
                  {"role", name_of(key.role)},
                  {"generation", key.generation},
                  {"holds", holds_new ? "new" : "old"},
                  {"evidence", evidence}});
}

std::vector<ChallengeLine> read_challenges(const std::filesystem::path& file) {
  return for_each_line(file, [](const Object& line, const std::string& text) {
    const std::optional<Role> role = role_of(line.text("role"));
    if (!role || *role == Role::kek) line.place().refuse("role must be guek, gbek or gak");
    ChallengeLine challenge{line.place(), text, line.text("device_id"), *role,
                            line.hex("challenge")};
    if (challenge.challenge.size() < shortest_challenge ||
        challenge.challenge.size() > longest_challenge)
      line.place().refuse("challenge must be 16 to 64 bytes of hex");
    return challenge;
  });
}

std::string proof_line(const ChallengeLine& challenge, const std::optional<Bytes>& proof) {
  json line = json::parse(challenge.text);
  line["proof"] = hex_or_null(proof);
  return line_of(line);
}

}  // namespace sim_headend
