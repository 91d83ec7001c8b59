// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "sim_meter/ciphering.hpp"
#include "sim_meter/key_transfer_request.hpp"

namespace sim_meter {

inline constexpr std::size_t guek_id = 0;
inline constexpr std::size_t gbek_id = 1;
inline constexpr std::size_t gak_id = 2;
inline constexpr std::size_t kek_id = 3;

enum class Fault {
  lose_reply,
  lose_request,
  not_ok_after_apply,
  not_ok,
  first_only,
  next_association,
  one_element_only,
};

std::string_view fault_name(Fault fault);
std::optional<Fault> fault_of_name(std::string_view name);

struct KeySlot {
  std::optional<support::Secret> current;
  std::optional<support::Secret> pending;  ///< received, in use from the next association on
  std::map<std::string, std::uint64_t>
      received;  ///< fingerprint of each key value ever applied → how often
};

/// What happened to a meter since it was installed.
struct History {
  std::uint64_t requests = 0;      ///< that reached the meter
  std::uint64_t lost = 0;          ///< requests or replies lost on the way
  std::uint64_t keys_applied = 0;  ///< repeats included
  std::uint64_t refusals = 0;      ///< requests not carried out whole
  std::uint64_t careless =
      0;  ///< bad input taken, as real meters take it: only the sender can refuse it
  std::uint64_t offered_again = 0;  ///< elements sent a second time, arrived or not: a blind retry
  std::uint64_t refused_clear = 0;  ///< requests in clear, where they must be ciphered
  std::uint64_t refused_tag = 0;    ///< requests that no key in use opens, or of a wrong form
  std::uint64_t refused_counter = 0;  ///< requests whose invocation counter was not above the last
  std::array<std::uint64_t, 4>
      repeats{};  ///< per key id: applied though the meter had held that very value before
};

/// The identity and the keys that a meter leaves the factory with, beside its KEK.
struct FirstKeys {
  support::Bytes system_title;  ///< 8 bytes
  std::uint8_t security_suite;  ///< 0, 1 or 2
  support::Secret guek, gak;
  std::optional<support::Secret> gbek;
};

/// One device. It learns of the world only by `receive` and `associate`.
struct Meter {
  std::string device_id;
  support::Bytes system_title;  ///< 8 bytes; empty in a meter without first keys
  std::uint8_t security_suite = 0;
  support::Bytes client_title;  ///< who may speak to a ciphered meter; empty: it speaks in clear
  std::string installed_kek;    ///< fingerprint: the KEK this meter left the factory with
  std::array<KeySlot, 4> keys;
  std::uint64_t unicast_counter = 1000;  ///< of the last request; not zero, so that a reset shows
  std::uint64_t broadcast_counter = 100;
  std::uint32_t sent_unicast = 0;  ///< the meter's own invocation counter, under the GUEK in use
  std::uint32_t sent_broadcast = 0;
  std::uint64_t associations = 0;
  std::set<Fault> standing_faults;
  std::set<Fault> faults_once;  ///< for the next request only
  std::map<std::string, std::uint64_t> offered;
  History history;

  static Meter install(std::string device_id, support::Secret kek,
                       std::optional<FirstKeys> first_keys);

  /// Makes the meter take from now on only what `title` (8 bytes) has ciphered. Throws InputError
  /// where it has no first keys.
  void cipher(support::ByteView title);
  /// The answer to one request as the sender sees it: nothing when the request or the reply was
  /// lost.
  std::optional<support::Bytes> receive(support::ByteView request);
  void associate();

 private:
  /// A request that was deciphered.
  struct Opened {
    support::Bytes plain;
    support::Secret encryption_key, authentication_key;  ///< the answer goes under the same
    bool new_keys;  ///< true where they are those that wait for the next association
  };
  std::optional<Opened> open(const Ciphered& apdu) const;
  std::optional<Opened> open_with(const Ciphered& apdu, bool new_keys) const;
  std::uint64_t last_counter(const Ciphered& apdu, const Opened& opened) const;
  support::Bytes answer_ciphered(support::ByteView request, const std::optional<Ciphered>& apdu,
                                 const std::optional<Opened>& opened,
                                 const std::set<Fault>& faults);
  support::Bytes carry_out_ciphered(const Ciphered& apdu, const Opened& opened,
                                    const std::set<Fault>& faults);
  void take_into_use(std::size_t key_id, support::Secret key);

  std::uint8_t carry_out(support::ByteView request, const std::set<Fault>& faults);
  std::uint8_t apply_all(const KeyTransferRequest& request, const std::set<Fault>& faults);
  bool apply(const TransferElement& element, bool switch_now);
  void note_offers(support::ByteView request);
  void note_carelessness(const KeyTransferRequest& request);
};

/// Returns an ACTION-Response-Normal without data to `request`, in clear.
support::Bytes action_response(support::ByteView request, std::uint8_t result);

/// 16 hex digits that tell two keys apart without being either.
std::string fingerprint(support::ByteView key);

}  // namespace sim_meter
