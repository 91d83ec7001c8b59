// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstring>
#include <string>

#include "audit/external_sort.hpp"
#include "audit/record_rules.hpp"
#include "smets1kms/types.hpp"

/// The report for assessors, made from the trail alone: what each device's policy asked, by when,
/// what was done, and where the proof is.
namespace smets1kms::report {

/// Kind of an event of a device, from a record or a line of the operator's list.
enum class EventKind : std::uint8_t {
  listed,  ///< no record: the operator's list names the device
  registered,
  commissioned,
  suspended,
  resumed,
  decommissioned,
  recommissioned,
  begun,
  made,      ///< a key in the token
  withheld,  ///< the same, and its transfer waits for receipts
  released,  ///< a transfer that was withheld
  received,  ///< a key, by a handover target
  imported,  ///< a KEK
  failed,
  in_doubt,
  unproven,
  confirmed,
  not_held,
  compromised,
  destroyed,
  settled,
  conflict,
  refused,
  other,
};

/// How far the time of a fact may be ahead of its record: clocks differ.
inline constexpr std::chrono::minutes date_tolerance{5};

/// An event of a device, of a fixed size, so that a fleet's can be put aside in files.
struct Event {
  std::uint64_t device = 0;
  std::uint64_t index = UINT64_MAX;  ///< index of its record
  Time time{};                       ///< time of its record
  Time since{};                      ///< moment from which it is so: what became of a device
  std::uint64_t key = 0, operation = 0, leaf = 0;  ///< the first 8 bytes of the key's id, the
                                                   ///< operation id's hash, the record's leaf hash
  std::uint32_t generation = 0;                    ///< for a line of the list: its number
  std::uint16_t row = 0;                           ///< of the audit trail's table of records
  std::uint16_t target = 0;  ///< received: number of the handover target, from 1
  EventKind what = EventKind::other;
  std::optional<KeyRole> role;
  KeyState state = KeyState::none;  ///< the key's state afterwards; none: the record has none
  DeviceKind kind{};
  std::uint8_t supports = 0;  ///< a bit a KeyRole
  bool is_dated = true;       ///< false: registered, and not commissioned then
  bool readable = true;       ///< false: kind, supports or time are not as they should be
  friend bool operator<(const Event& a, const Event& b) {
    return a.device != b.device ? a.device < b.device : a.index < b.index;
  }
};
using Events = audit::ExternalSort<Event>;

/// Returns the first 8 bytes of an id or a hash as a number, to tell them apart.
template <class Bytes>
[[nodiscard]] std::uint64_t first_8(const Bytes& bytes) {
  std::uint64_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

[[nodiscard]] const audit::RecordType& rule_of(const Event& event);
/// Returns "key.generate outcome ok".
[[nodiscard]] std::string name_of(const Event& event);
/// Returns "guek 2"; empty where the record names no key of a device.
[[nodiscard]] std::string key_of(const Event& event);
[[nodiscard]] std::vector<KeyRole> roles_of(std::uint8_t bits);
/// Returns "guek, gak"; "none" where empty.
[[nodiscard]] std::string names_of(const std::vector<KeyRole>& roles);

/// Returns the event of a record that names a device. Throws audit::VerificationFailed for a time
/// that can't be.
[[nodiscard]] Event event_of(const audit::RecordView& record, const audit::RecordSummary& step);
[[nodiscard]] Time time_of(const audit::RecordView& record, std::uint64_t index);

}  // namespace smets1kms::report
