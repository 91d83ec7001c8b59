// SPDX-License-Identifier: Apache-2.0
// README.md quotes what stands between the two marks: the whole of a rotation.
#include <cstdlib>
#include <iostream>
#include <smets1kms/key_manager.hpp>
using namespace smets1kms;

namespace {

/// Stands for the way through the head end: ciphers the request, sends it, and brings back the
/// meter's answer, deciphered, or none. This meter always says that it has the key.
std::optional<Bytes> send_to_meter(const Bytes& action_request) {
  std::cout << "to the meter  " << to_hex(action_request) << '\n';
  return Bytes{0xC7, 0x01, 0xC1, 0x00, 0x00};
}

/// Stands for the way to the head end, which opens each key with its private key.
void give_to_head_end(const std::vector<Handover>& handovers) {
  for (const auto& handover : handovers)
    std::cout << "to " << handover.target << "  " << to_hex(handover.wrapped) << '\n';
}

}  // namespace

int main() try {
  // README begin
  KeyManager kms = KeyManager::open(Config::load("kms.toml"));
  Authority who{.requested_by = "s1sp:ops-1", .authorised_by = "dco:ops-7", .reference = "CHG-1"};
  Rotation rotation = kms.rotate({.device = DeviceId::parse("00-DB-12-34-56-78-90-A0"),
                                  .roles = {KeyRole::guek, KeyRole::gak},
                                  .reason = Reason::post_commissioning,
                                  .authority = who});
  give_to_head_end(rotation.handovers());
  for (const KeyTransfer& transfer : rotation.transfers())
    kms.record_reply(transfer, send_to_meter(transfer.action_request()));
  // README end
  return EXIT_SUCCESS;
} catch (const Error& error) {
  std::cerr << error.what() << '\n';
  return EXIT_FAILURE;
}
