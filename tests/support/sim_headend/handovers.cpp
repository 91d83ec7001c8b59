// SPDX-License-Identifier: Apache-2.0
#include "sim_headend/key_proof.hpp"
#include "sim_headend/steps.hpp"

namespace sim_headend {
namespace {

support::Secret open_key(const HandoverLine& line, const TargetKeys& target_keys,
                         const Device& device) {
  const std::string name = text_of(line.key) + " of " + device.id;
  if (sha256(line.wrapped) != line.sha256)
    line.place.refuse(name + ": sha256 is not that of wrapped: the line was changed or cut");
  std::optional<support::Secret> key = target_keys.open(line.wrapped, line.hash);
  if (!key)
    line.place.refuse(name + " is not opened by the private key given (RSA-OAEP, " + line.hash +
                      "): it was wrapped for another certificate of " + line.target +
                      ", or is damaged. Give that certificate's --target-key, too");
  const std::size_t length = device.security_suite == 2 ? 32 : 16;
  if (key->size() != length)
    line.place.refuse(name + " has " + std::to_string(key->size()) + " bytes; a key of suite " +
                      std::to_string(device.security_suite) + " has " + std::to_string(length));
  return std::move(*key);
}

}  // namespace

std::string counted(std::size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

Device& device_of(Fleet& fleet, const Place& place, const std::string& device_id) {
  Device* device = fleet.find(device_id);
  if (device == nullptr)
    place.refuse("no device '" + device_id +
                 "' is known: give --devices with its manufacturer's headend.csv");
  return *device;
}

Written open_handovers(const std::filesystem::path& file, const std::string& target,
                       const TargetKeys& target_keys, Fleet& fleet) {
  Written written;
  std::size_t others = 0, opened = 0;
  for (const HandoverLine& line : read_handovers(file, target, others)) {
    Device& device = device_of(fleet, line.place, line.device_id);
    RoleKeys& role = device.of(line.key.role);
    support::Secret key = open_key(line, target_keys, device);
    const auto held = role.held.find(line.key.generation);
    if (held != role.held.end() && !(held->second.value == key))
      line.place.refuse(text_of(line.key) + " of " + device.id +
                        " is another key than the one that was opened before");
    written.lines += receipt_line(line, key_proof(line.key.role, key, line.challenge));
    ++opened;
    // A generation before the one in use is of no use any more; it is proved all the same.
    if (held == role.held.end() && (!role.in_use || line.key.generation > *role.in_use))
      role.held.emplace(line.key.generation, Key{std::move(key)});
  }
  written.notes.push_back(
      counted(opened, "handed over key") + " opened" +
      (others == 0 ? "" : ", " + counted(others, "line") + " of other targets"));
  return written;
}

Written answer_challenges(const std::filesystem::path& file, Fleet& fleet) {
  Written written;
  for (const ChallengeLine& line : read_challenges(file)) {
    const RoleKeys& role = device_of(fleet, line.place, line.device_id).of(line.role);
    const auto key = role.in_use ? role.held.find(*role.in_use) : role.held.end();
    std::optional<support::Bytes> proof;
    if (key != role.held.end()) proof = key_proof(line.role, key->second.value, line.challenge);
    written.lines += proof_line(line, proof);
  }
  return written;
}

}  // namespace sim_headend
