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
  std::array<std::uint64_t, 4>
      repeats{};  ///< per key id: applied though the meter had held that very value before
};

/// One device. It learns of the world only by `receive` and `associate`.
struct Meter {
  std::string device_id;
  std::string installed_kek;  ///< fingerprint: the KEK this meter left the factory with
  std::array<KeySlot, 4> keys;
  std::uint64_t unicast_counter = 1000;  ///< not zero, so that a reset shows
  std::uint64_t broadcast_counter = 100;
  std::uint64_t associations = 0;
  std::set<Fault> standing_faults;
  std::set<Fault> faults_once;  ///< for the next request only
  std::map<std::string, std::uint64_t> offered;
  History history;

  static Meter install(std::string device_id, support::Secret kek);

  /// The answer to one ACTION request as the sender sees it: nothing when the request or the reply
  /// was lost.
  std::optional<support::Bytes> receive(support::ByteView request);
  void associate();

 private:
  std::uint8_t carry_out(support::ByteView request, const std::set<Fault>& faults);
  std::uint8_t apply_all(const KeyTransferRequest& request, const std::set<Fault>& faults);
  bool apply(const TransferElement& element, bool switch_now);
  void note_offers(support::ByteView request);
  void note_carelessness(const KeyTransferRequest& request);
};

/// 16 hex digits that tell two keys apart without being either.
std::string fingerprint(support::ByteView key);

}  // namespace sim_meter
