// SPDX-License-Identifier: Apache-2.0
#include "sim_headend/device.hpp"

#include <algorithm>
#include <utility>

#include "common/files.hpp"

namespace sim_headend {
namespace {

using support::Bytes;
using support::ByteView;

constexpr std::array<std::string_view, 4> role_names{"guek", "gbek", "gak", "kek"};

// Authenticated and encrypted, the broadcast key set where it is a GBEK's, the suite.
std::uint8_t security_control(const Device& device, Role encryption) {
  const unsigned set = encryption == Role::gbek ? 0x40U : 0U;
  return static_cast<std::uint8_t>(0x30U | set | device.security_suite);
}

}  // namespace

std::string_view name_of(Role role) { return role_names.at(static_cast<std::size_t>(role)); }

std::optional<Role> role_of(std::string_view name) {
  const auto found = std::ranges::find(role_names, name);
  if (found == role_names.end()) return std::nullopt;
  return static_cast<Role>(found - role_names.begin());
}

std::string text_of(const KeyName& key) {
  return std::string(name_of(key.role)) + " " + std::to_string(key.generation);
}

std::string_view text_of(Unreadable reason) {
  switch (reason) {
    case Unreadable::not_ciphered: return "it is in clear, so anybody may have sent it";
    case Unreadable::wrong_tag:
      return "it can't be deciphered under the keys of its request: another key's, or changed on "
             "the way";
    case Unreadable::old_counter: return "its invocation counter was seen before: a replay";
  }
  return "?";
}

bool Device::has_next() const {
  return std::ranges::any_of(keys, [](const RoleKeys& role) { return role.next.has_value(); });
}

bool Device::has(Delivery delivery) const {
  return std::ranges::any_of(transfers,
                             [&](const Transfer& each) { return each.delivery == delivery; });
}

Transfer* Device::find_transfer(std::string_view transfer_id) {
  const auto found = std::ranges::find_if(
      transfers, [&](const Transfer& each) { return each.request.id == transfer_id; });
  return found == transfers.end() ? nullptr : &*found;
}

Request Device::cipher(std::string request_id, Service service, const KeyName& encryption,
                       Generation gak, const Bytes& own_title, ByteView plain) {
  Key& key = of(encryption.role).held.at(encryption.generation);
  const Protection protection{security_control(*this, encryption.role), own_title, key.value,
                              of(Role::gak).held.at(gak).value};
  if (++key.sent == 0)
    throw support::InputError(id + ": " + text_of(encryption) +
                              " has no invocation counter left: rotate it");
  return {std::move(request_id), service, encryption, gak,
          protect(static_cast<std::uint8_t>(service), key.sent, protection, plain)};
}

std::optional<Bytes> Device::decipher(const Request& request, ByteView answer, Unreadable& reason) {
  constexpr std::uint8_t first_ciphered = 0xC8;
  constexpr std::uint8_t last_ciphered = 0xCF;
  if (answer.empty() || answer.front() < first_ciphered || answer.front() > last_ciphered) {
    reason = Unreadable::not_ciphered;
    return std::nullopt;
  }
  reason = Unreadable::wrong_tag;
  auto& encryption = of(request.encryption.role).held;
  auto& gaks = of(Role::gak).held;
  const auto key = encryption.find(request.encryption.generation);
  const auto gak = gaks.find(request.gak);
  if (key == encryption.end() || gak == gaks.end()) return std::nullopt;
  std::optional<Unprotected> opened =
      unprotect(answer_tag(request.service),
                {security_control(*this, request.encryption.role), system_title, key->second.value,
                 gak->second.value},
                answer);
  if (!opened) return std::nullopt;
  reason = Unreadable::old_counter;
  if (opened->counter <= key->second.received) return std::nullopt;
  key->second.received = opened->counter;
  return std::move(opened->plain);
}

void Device::take_into_use(const KeyName& key) {
  RoleKeys& role = of(key.role);
  role.in_use = key.generation;
  role.next.reset();
  role.held.erase(role.held.begin(), role.held.lower_bound(key.generation));
}

}  // namespace sim_headend
