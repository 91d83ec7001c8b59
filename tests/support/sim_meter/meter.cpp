// SPDX-License-Identifier: Apache-2.0
#include "sim_meter/meter.hpp"

#include <utility>

#include "common/crypto.hpp"

namespace sim_meter {
namespace {

using support::Bytes;
using support::ByteView;
using support::Secret;

// DLMS action-result. Senders must not read a cause from these: meters of different makers disagree
// about them.
constexpr std::uint8_t success = 0;
constexpr std::uint8_t read_write_denied = 3;
constexpr std::uint8_t type_unmatched = 12;
constexpr std::uint8_t other_reason = 250;

constexpr std::array<std::pair<Fault, std::string_view>, 7> fault_names{{
    {Fault::lose_reply, "lose-reply"},
    {Fault::lose_request, "lose-request"},
    {Fault::not_ok_after_apply, "not-ok-after-apply"},
    {Fault::not_ok, "not-ok"},
    {Fault::first_only, "first-only"},
    {Fault::next_association, "next-association"},
    {Fault::one_element_only, "one-element-only"},
}};

}  // namespace

Bytes action_response(ByteView request, std::uint8_t result) {
  const std::uint8_t invoke_id = request.size() > 2 ? request[2] : 0xC1;
  return {0xC7, 0x01, invoke_id, result, 0x00};
}

std::string_view fault_name(Fault fault) {
  for (const auto& [value, name] : fault_names) {
    if (value == fault) return name;
  }
  return "?";
}

std::optional<Fault> fault_of_name(std::string_view name) {
  for (const auto& [value, known] : fault_names) {
    if (known == name) return value;
  }
  return std::nullopt;
}

std::string fingerprint(ByteView key) {
  return support::hex_of(support::sha256(key)).substr(0, 16);
}

Meter Meter::install(std::string device_id, Secret kek, std::optional<FirstKeys> first_keys) {
  Meter meter;
  meter.device_id = std::move(device_id);
  meter.installed_kek = fingerprint(kek.reveal());
  meter.keys[kek_id].current = std::move(kek);
  if (first_keys) {
    meter.system_title = std::move(first_keys->system_title);
    meter.security_suite = first_keys->security_suite;
    meter.keys[guek_id].current = std::move(first_keys->guek);
    meter.keys[gbek_id].current = std::move(first_keys->gbek);
    meter.keys[gak_id].current = std::move(first_keys->gak);
  }
  for (KeySlot& slot : meter.keys) {
    if (slot.current) slot.received[fingerprint(std::as_const(*slot.current).reveal())] = 1;
  }
  return meter;
}

std::optional<Bytes> Meter::receive(ByteView request) {
  std::set<Fault> faults = standing_faults;
  faults.merge(std::exchange(faults_once, {}));
  const bool clear = client_title.empty();
  const std::optional<Ciphered> apdu = clear ? std::nullopt : parse_ciphered(request);
  const std::optional<Opened> opened = apdu ? open(*apdu) : std::nullopt;
  note_offers(opened ? ByteView(opened->plain) : request);
  if (faults.contains(Fault::lose_request)) {
    ++history.lost;
    return std::nullopt;
  }
  ++history.requests;
  if (clear) ++unicast_counter;
  const Bytes reply = clear ? action_response(request, carry_out(request, faults))
                            : answer_ciphered(request, apdu, opened, faults);
  if (faults.contains(Fault::lose_reply)) {
    ++history.lost;
    return std::nullopt;
  }
  return reply;
}

void Meter::associate() {
  ++associations;
  for (std::size_t id = 0; id < keys.size(); ++id) {
    if (keys[id].pending) take_into_use(id, *std::exchange(keys[id].pending, std::nullopt));
  }
}

// The invocation counters belong to the key: a new one starts them again, whichever model it is.
void Meter::take_into_use(std::size_t key_id, Secret key) {
  keys[key_id].current = std::move(key);
  keys[key_id].pending.reset();
  if (key_id == guek_id) unicast_counter = sent_unicast = 0;
  if (key_id == gbek_id) broadcast_counter = sent_broadcast = 0;
}

std::uint8_t Meter::carry_out(ByteView bytes, const std::set<Fault>& faults) {
  const std::optional<KeyTransferRequest> request = parse_key_transfer_request(bytes);
  const bool too_many =
      request && faults.contains(Fault::one_element_only) && request->elements.size() > 1;
  std::uint8_t refusal = success;
  if (!request || too_many) {
    refusal = type_unmatched;
  } else if (faults.contains(Fault::not_ok)) {
    refusal = other_reason;
  } else {
    refusal = apply_all(*request, faults);
  }
  if (refusal != success) {
    ++history.refusals;
  } else if (faults.contains(Fault::not_ok_after_apply)) {
    return other_reason;  // not a refusal: the keys were replaced all the same
  }
  return refusal;
}

std::uint8_t Meter::apply_all(const KeyTransferRequest& request, const std::set<Fault>& faults) {
  note_carelessness(request);
  const bool switch_now = !faults.contains(Fault::next_association);
  const bool stop_after_first = faults.contains(Fault::first_only) && request.elements.size() > 1;
  for (const TransferElement& element : request.elements) {
    // In order, and what was applied before a failure stays applied: no meter rolls back.
    if (!apply(element, switch_now)) return read_write_denied;
    if (stop_after_first) return read_write_denied;
  }
  return success;
}

bool Meter::apply(const TransferElement& element, bool switch_now) {
  const Secret& kek = *keys[kek_id].current;
  std::optional<Secret> key = support::rfc3394_unwrap(kek, element.wrapped);
  if (!key || key->size() < kek.size()) return false;
  if (key->size() > kek.size()) {  // real stacks truncate without a word
    ++history.careless;
    key = Secret(std::as_const(*key).reveal().first(kek.size()));
  }

  KeySlot& slot = keys[element.key_id];
  if (++slot.received[fingerprint(key->reveal())] > 1) ++history.repeats[element.key_id];
  ++history.keys_applied;
  // No association uses the KEK, so it changes at once on every model.
  if (switch_now || element.key_id == kek_id) {
    take_into_use(element.key_id, std::move(*key));
  } else {
    slot.pending = std::move(key);
  }
  return true;
}

// RFC 3394 is deterministic: the same key under the same KEK is the same blob, whether or not it
// arrived.
void Meter::note_offers(ByteView bytes) {
  const std::optional<KeyTransferRequest> request = parse_key_transfer_request(bytes);
  if (!request) return;
  for (const TransferElement& element : request->elements) {
    const std::string offer = std::to_string(element.key_id) + ":" + fingerprint(element.wrapped);
    if (++offered[offer] > 1) ++history.offered_again;
  }
}

void Meter::note_carelessness(const KeyTransferRequest& request) {
  std::set<std::uint8_t> ids;
  for (const TransferElement& element : request.elements) ids.insert(element.key_id);
  const bool duplicates = ids.size() != request.elements.size();
  const bool kek_mixed = ids.contains(static_cast<std::uint8_t>(kek_id)) && ids.size() > 1;
  if (request.elements.empty() || duplicates || kek_mixed) ++history.careless;
}

}  // namespace sim_meter
