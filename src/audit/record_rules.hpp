// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "audit/handovers.hpp"
#include "audit/record.hpp"
#include "audit/verdict.hpp"
#include "smets1kms/types.hpp"

/// Rules for one record by itself, and the summary that its device's replay needs.
namespace smets1kms::audit {

/// True if SP 800-57's closed table of transitions has this one.
[[nodiscard]] bool is_legal(KeyState from, KeyState to);
/// Returns "guek"; "key" for a key of no device.
[[nodiscard]] std::string_view role_name(std::optional<KeyRole> role);

struct RecordSummary;
struct RecordType;

/// Effect of a record on the key that it names.
enum class Effect : std::uint8_t {
  remark,   ///< nothing
  plan,     ///< intent: a new key is to be made; its id is fixed
  begin,    ///< intent: something is to be done to a key that is there
  make,     ///< outcome: the planned key exists
  finish,   ///< outcome: what was begun is done
  abandon,  ///< outcome: it failed; a planned key is dropped
  change,   ///< note: the key's state or way changes
  settle,   ///< outcome, on opening: what a process that died had begun is closed by what the token
            ///< shows
  conflict,  ///< settlement: more objects than one under the id; a person decides, the intent stays
             ///< open
};

using Digest = std::array<std::uint8_t, 16>;
/// Returns the first half of the SHA-256 of `bytes`.
[[nodiscard]] Digest short_digest(std::string_view bytes);
/// Returns the digest of what is registered of a device, each as its record has it.
[[nodiscard]] Digest facts_digest(std::string_view kind, std::string_view model,
                                  std::string_view suite, std::string_view supports);
/// Returns a record's time ("2026-11-22T18:00:00.000Z", as check_fields accepts it), ms since 1970.
[[nodiscard]] std::int64_t time_of_record(std::string_view text);
/// Reads into a summary what a registry's rows repeat. The fields must be as check_fields wants.
void read_content(const RecordView& record, const RecordType& type, RecordSummary& summary);

/// Summary of a record for its device's replay, of a fixed size, so that millions can be put aside
/// in files.
struct RecordSummary {
  std::uint64_t index = 0, device = 0, sequence = 0;
  /// Index of the device's previous record as stored beside this one, plus 1; 0: none.
  std::uint64_t before = 0;
  Hash leaf{}, previous{};
  std::array<std::uint8_t, 16> key{}, predecessor{};
  /// First half of the SHA-256 of the wrap that an imported KEK came in.
  std::array<std::uint8_t, 16> kek{};
  std::array<std::uint8_t, 16> operation{};  ///< the first half of SHA-256 over the operation id
  std::array<std::uint8_t, 8> authority{};   ///< first bytes of SHA-256 over who, what for and why
  // What a registry's rows repeat; each digest is the first half of a SHA-256.
  Digest content{};  ///< of the key wrapped for its device, or of a registered device's facts
  Digest blob{};     ///< of the sealed key, or of the reason for which a device has no KEK
  std::int64_t time = 0, at = 0;  ///< its times, ms since 1970; `at` 0: it has none
  std::uint32_t generation = 0;
  std::uint32_t transfer = 0;  ///< number of the device's transfer that the key goes in; 0: none
  std::uint32_t target = 0;  ///< tag of the handover target that the record names, or of a storage
                             ///< key's purpose; settlement: of the operation that its detail
                             ///< names
  HandoverTags handovers{};  ///< key.generate, outcome: the targets that the key was wrapped for
  std::uint16_t rule = 0;    ///< the row of the table that it is read by
  std::optional<KeyRole> role;
  KeyState from = KeyState::none, to = KeyState::none;
  bool has_device = false, has_key = false, has_states = false, has_kek = false,
       has_predecessor = false, has_target = false;
  bool is_sealed = false;  ///< the key rests wrapped, outside of the token
  bool has_time = false;   ///< the field `at`
  bool is_claim = false;   ///< no record, but a line of the device-head map of `index` records:
                           ///< `before`, `sequence` and `leaf` are the device's last

  /// Orders by device, then by record: what a map claims stands before the record at its size.
  friend bool operator<(const RecordSummary& a, const RecordSummary& b) {
    const auto place = [](const RecordSummary& each) {
      return std::pair(each.device, 2 * each.index + (each.is_claim ? 0 : 1));
    };
    return place(a) < place(b);
  }
};

/// A row of the table of all that may be recorded. A record that fits no row was not written by
/// this product, or by a later version.
struct RecordType {
  std::string_view operation, phase, result;
  Effect effect;
  bool dual_control;             ///< two distinct identities and a reference
  std::string_view detail = "";  ///< patterns of its detail (fits_pattern); empty: it has none
  std::uint16_t states = 0;  ///< bits of the states in which it may leave the key; 0: where it was
  Delivery delivery = Delivery::planned;  ///< make, change: the key's delivery afterwards
  std::uint8_t from = 0;  ///< change: bits of the deliveries that may lead there; 0: it stays
};
[[nodiscard]] const RecordType& record_type_of(const RecordSummary& summary);
[[nodiscard]] std::span<const RecordType> record_types();

/// Reads one record by itself: known, complete, two identities where they are needed, a legal
/// transition. Throws VerificationFailed; VerificationInconclusive for a record of a later version
/// of the product.
[[nodiscard]] RecordSummary summarise(const RecordView& record, std::uint64_t index,
                                      const Hash& leaf);

/// Checks a record that is about to be written by the rules that it is read by. Throws
/// std::logic_error that says what the verifier would say.
void check_before_writing(std::string_view bytes, std::uint64_t index, const Hash& leaf);

/// Returns a device's number; nullopt unless it is spelt as in the records
/// ("00-DB-12-34-56-78-90-A0").
[[nodiscard]] std::optional<std::uint64_t> parse_device(std::string_view text);
[[nodiscard]] std::string device_name(std::uint64_t device);

}  // namespace smets1kms::audit
