// SPDX-License-Identifier: Apache-2.0
// What a meter does with ciphered requests.
#include <algorithm>

#include "common/files.hpp"
#include "sim_meter/meter.hpp"

namespace sim_meter {
namespace {

using support::Bytes;
using support::ByteView;

// Exception responses go out in clear: there is no key that both sides are known to have. Green
// Book, "Exception response": the state error service-not-allowed, then a service error.
constexpr std::uint8_t operation_not_possible = 1;
constexpr std::uint8_t deciphering_error = 5;
constexpr std::uint8_t invocation_counter_error = 6;

Bytes exception_response(std::uint8_t service_error) { return {0xD8, 0x01, service_error}; }

bool is_broadcast(const Ciphered& apdu) {
  return (apdu.envelope.security_control & broadcast_set) != 0;
}
bool is_get(const Ciphered& apdu) { return apdu.envelope.tag == glo_get_request; }

// The one object that a GET finds is the clock, of which the time is not set.
Bytes get_response(ByteView request) {
  constexpr std::array<std::uint8_t, 10> clock_time{0x00, 0x08, 0x00, 0x00, 0x01,
                                                    0x00, 0x00, 0xFF, 0x02, 0x00};
  constexpr std::uint8_t object_undefined = 4;
  const std::uint8_t invoke_id = request.size() > 2 ? request[2] : 0;
  if (request.size() != 3 + clock_time.size() || request[0] != 0xC0 || request[1] != 0x01 ||
      !std::equal(clock_time.begin(), clock_time.end(), request.begin() + 3)) {
    return {0xC4, 0x01, invoke_id, 0x01, object_undefined};
  }
  return {0xC4, 0x01, invoke_id, 0x00, 0x09, 0x0C, 0xFF, 0xFF, 0xFF,
          0xFF, 0xFF, 0xFF,      0xFF, 0xFF, 0xFF, 0x80, 0x00, 0xFF};
}

}  // namespace

void Meter::cipher(ByteView title) {
  if (system_title.empty()) {
    throw support::InputError(device_id +
                              " has no system title and no first GUEK and GAK, so it can't be "
                              "spoken to ciphered: begin a new state file with a meters.csv that "
                              "has them");
  }
  client_title.assign(title.begin(), title.end());
}

std::optional<Meter::Opened> Meter::open(const Ciphered& apdu) const {
  const auto control = static_cast<std::uint8_t>(secured | security_suite);
  const bool unicast = apdu.envelope.security_control == control;
  const bool broadcast = apdu.envelope.security_control == (control | broadcast_set);
  const bool action = apdu.envelope.tag == glo_action_request;
  if (!(action && unicast) && !(is_get(apdu) && (unicast || broadcast))) return std::nullopt;
  // A GET is an association. It is made under the keys that wait for one, or under those in use:
  // that leaves the new keys waiting.
  if (is_get(apdu) && unicast) {
    if (std::optional<Opened> opened = open_with(apdu, true)) return opened;
  }
  return open_with(apdu, false);
}

std::optional<Meter::Opened> Meter::open_with(const Ciphered& apdu, bool new_keys) const {
  const auto key_of = [&](std::size_t id) -> const std::optional<support::Secret>& {
    return new_keys && keys.at(id).pending ? keys.at(id).pending : keys.at(id).current;
  };
  const auto& encryption = key_of(is_broadcast(apdu) ? gbek_id : guek_id);
  const auto& authentication = key_of(gak_id);
  if (!encryption || !authentication) return std::nullopt;
  std::optional<Bytes> plain = decipher(apdu, client_title, {*encryption, *authentication});
  if (!plain) return std::nullopt;
  return Opened{std::move(*plain), *encryption, *authentication, new_keys};
}

std::uint64_t Meter::last_counter(const Ciphered& apdu, const Opened& opened) const {
  if (is_broadcast(apdu)) return broadcast_counter;
  return opened.new_keys && keys[guek_id].pending ? 0 : unicast_counter;
}

Bytes Meter::answer_ciphered(ByteView request, const std::optional<Ciphered>& apdu,
                             const std::optional<Opened>& opened, const std::set<Fault>& faults) {
  if (opened) {
    const std::uint64_t last = last_counter(*apdu, *opened);
    if (apdu->envelope.invocation_counter > last) {
      return carry_out_ciphered(*apdu, *opened, faults);
    }
    ++history.refused_counter;
    Bytes refusal = exception_response(invocation_counter_error);
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
      refusal.push_back(static_cast<std::uint8_t>(last >> shift));
    }
    return refusal;
  }
  const bool ciphered = !request.empty() && (request.front() == glo_get_request ||
                                             request.front() == glo_action_request);
  ++(ciphered ? history.refused_tag : history.refused_clear);
  return exception_response(ciphered ? deciphering_error : operation_not_possible);
}

Bytes Meter::carry_out_ciphered(const Ciphered& apdu, const Opened& opened,
                                const std::set<Fault>& faults) {
  const bool broadcast = is_broadcast(apdu);
  if (opened.new_keys) {
    associate();
  } else if (is_get(apdu) && !broadcast) {
    ++associations;
  }
  (broadcast ? broadcast_counter : unicast_counter) = apdu.envelope.invocation_counter;
  // The answer goes under the keys of the request, and its counter is drawn before a new GUEK
  // starts it again.
  const std::uint32_t counter = ++(broadcast ? sent_broadcast : sent_unicast);
  const Bytes plain = is_get(apdu) ? get_response(opened.plain)
                                   : action_response(opened.plain, carry_out(opened.plain, faults));
  return encipher({is_get(apdu) ? glo_get_response : glo_action_response,
                   apdu.envelope.security_control, counter},
                  system_title, {opened.encryption_key, opened.authentication_key}, plain);
}

}  // namespace sim_meter
