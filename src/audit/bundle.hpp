// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "audit/verify.hpp"

/// Proofs of one device's whole history, without the rest of the log.
namespace smets1kms::audit {

/// A device's history with its proofs. As text, line by line: "smets1-kms device history 1", the
/// checkpoint's lines, "statement INDEX", the record that states the device-head map, its proof,
/// "place N", the device's line of the map, its proof, "records N", and for each record "record
/// INDEX", its bytes, its proof; then "end". A proof is "proof N" and N lines of 64 hex digits.
struct Bundle {
  struct Entry {
    std::uint64_t index = 0;
    std::string bytes;
    Proof proof;
  };
  Note note;
  Entry statement;
  DeviceHead head;
  std::uint64_t place = 0;  ///< index of the device's line in the map
  Proof head_proof;
  std::vector<Entry> records;

  [[nodiscard]] std::string format() const;
  /// Reads a text. Throws VerificationFailed, with the line, for anything that `format` would not
  /// write.
  static Bundle parse(std::string_view text);
};
[[nodiscard]] bool is_bundle(std::string_view text);

/// Returns the device's history up to the last device-head map of the log. Throws
/// VerificationFailed where the log is damaged; VerificationInconclusive where it has no map, no
/// head behind it, or the map does not name the device.
[[nodiscard]] Bundle prove(Log& log, std::uint64_t device);

/// Verifies a bundle. VERIFIED: these are all records of the device up to the statement, in order,
/// in the log under the head, and legal. A bundle says nothing of what came after the statement.
[[nodiscard]] Report verify(const Bundle& bundle, const VerifyOptions& options);

}  // namespace smets1kms::audit
