// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>

#include "audit/handovers.hpp"
#include "lifecycle/context.hpp"

/// Checks of what the registry and the token hand out once more against what the trail recorded
/// when it was made. They find a row or an object that was changed alone; 'smets1-audit verify'
/// finds a record that was rewritten with it, because the heads of the trail are signed in the
/// token.
namespace smets1kms::lifecycle {

/// Returns SHA-256 of a blob as hex, as records have it.
[[nodiscard]] std::string digest_of_bytes(ByteView bytes);
/// A key wrapped for its device, and the place of its record among its device's.
struct RecordedWrap {
  Bytes bytes;
  std::uint64_t sequence;  ///< for several keys of an operation: the order that they were made in
};
/// Returns the key wrapped for its device, as the operation that made it recorded it (length and
/// SHA-256). Throws Refused (differs_from_trail), also where by the trail its transfer is withheld
/// and by the registry it is not.
[[nodiscard]] RecordedWrap wrapped_checked_against_trail(Context& context, const Key& key);
/// True if a record says that a key was generated, whether its transfer was released or withheld.
template <class AnyRecord>
[[nodiscard]] bool says_generated(const AnyRecord& record) {
  const auto result = record.text(Field::result);
  return record.text(Field::op) == op::key_generate && record.text(Field::phase) == "outcome" &&
         (result == "ok" || result == "withheld");
}
/// A key's making, and what became of its handovers, as its device's records have it.
struct RecordedMaking {
  audit::Record outcome;                ///< of the operation that the key's row names; or empty
  std::vector<std::string> received{};  ///< labels of targets that have shown that they hold it
  bool is_released = false;             ///< its transfer was withheld, and released later
  /// Returns what the outcome names as wrapped for targets; views of `outcome`.
  [[nodiscard]] std::vector<audit::Handover> handovers() const {
    return audit::parse_handovers(outcome.text(Field::handovers))
        .value_or(std::vector<audit::Handover>());
  }
  [[nodiscard]] std::optional<audit::Handover> handover(std::string_view label) const;
  [[nodiscard]] bool is_received_by(std::string_view label) const;
  /// True if every target that its transfer waits for has shown that it holds the key.
  [[nodiscard]] bool is_received() const;
};
[[nodiscard]] RecordedMaking recorded_making(Context& context, const Key& key);
/// Returns a KEK that waits for the officer, under the enrolment key, checked likewise.
[[nodiscard]] Bytes waiting_checked_against_trail(Context& context, const Key& kek);
/// Returns a key and where it rests; for a sealed one the blob, checked likewise against the
/// operation that sealed it.
[[nodiscard]] vault::KeyAtRest at_rest_checked_against_trail(Context& context, const Key& key,
                                                             SecuritySuite suite);

/// Returns the import key's public half, PEM, as `look` has it from the token (pkcs11::Error where
/// the pair is not as it must be). Throws Refused (import_key_replaced), recorded, where the pair
/// is not the one that was made here.
std::string import_key_checked_against_trail(Context& context, const trail::AuditContext& act,
                                             const std::function<std::string(const KeyId&)>& look);

}  // namespace smets1kms::lifecycle
