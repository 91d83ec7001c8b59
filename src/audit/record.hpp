// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "audit/hash.hpp"
#include "audit/record_types.hpp"

/// Records of the audit trail. This folder depends on OpenSSL only: an assessor's tool is built
/// from it without PKCS#11.
namespace smets1kms::audit {

/// A field of a record, in the order of the encoding (sorted by name): the full list of what may be
/// recorded. There is no field for key bytes, clear or wrapped, nor for free text of an error.
enum class Field : std::uint8_t {
  at,
  attributes,
  authorised_by,
  boot_id,
  certificate_sha256,
  ckr,
  clock,
  detail,
  device,
  device_prev,
  device_seq,
  edition,
  event_id,
  generation,
  handovers,  ///< targets that a key was wrapped for: "NAME/GENERATION:HASH:SHA256", with
              ///< ":before-transfer" where its transfer waits for the target's receipt, by comma
  host,
  justification,
  kek_id,
  key_id,
  kind,
  mechanism,
  model,
  mono_ns,  ///< read only: it was written before mono_us, and could not be 104 days after a boot
            ///< (2^53 ns)
  mono_us,
  notify,
  op,
  op_id,
  phase,
  predecessor,
  protection,
  public_key_sha256,
  reason,
  reference,
  requested_by,
  result,
  role,
  roles,  ///< of a handover target: "guek+gak"
  rule,
  salt,
  sealed_sha256,
  software,
  state_from,
  state_to,
  suite,
  supports,
  target,  ///< a handover target: "NAME/GENERATION"
  time,
  token,
  transfer,
  v,
  wrapped_len,
  wrapped_sha256,
};
inline constexpr std::size_t field_count = static_cast<std::size_t>(Field::wrapped_sha256) + 1;
[[nodiscard]] std::string_view field_name(Field field);
inline constexpr std::size_t max_record_length = 4096;  ///< bytes

/// A record read in place: texts are views into the bytes it was read from. Nothing is copied, so
/// that a million are read in a second.
class RecordView {
 public:
  /// Reads a record. Throws std::invalid_argument, with the byte offset, for anything that
  /// Record::encode would not write.
  static RecordView parse(std::string_view bytes);
  [[nodiscard]] bool has(Field field) const {
    return slices_[static_cast<std::size_t>(field)].data() != nullptr;
  }
  /// Returns a text, or the digits of a number; empty where absent.
  [[nodiscard]] std::string_view text(Field field) const {
    return slices_[static_cast<std::size_t>(field)];
  }
  /// Returns a number; nullopt where absent or a string.
  [[nodiscard]] std::optional<std::uint64_t> number(Field field) const;

 private:
  std::array<std::string_view, field_count> slices_{};
};

/// A record as one flat object, in a strict subset of RFC 8785 JSON: members sorted, values
/// printable ASCII without quote and backslash, or integers 0 to 2^53-1; no white space. A leaf of
/// the log is exactly these bytes; a reader hashes what it was given and never re-serialises.
class Record {
 public:
  using Value = std::variant<std::string, std::uint64_t>;
  /// Sets a field. Throws std::invalid_argument for a character or number outside the encoding, or
  /// a field of the other type.
  Record& set(Field field, std::string_view text);
  Record& set(Field field, std::uint64_t number);
  [[nodiscard]] const std::optional<Value>& get(Field field) const {
    return values_[static_cast<std::size_t>(field)];
  }
  /// Returns a text; empty where absent or a number.
  [[nodiscard]] std::string_view text(Field field) const;
  [[nodiscard]] std::optional<std::uint64_t> number(Field field) const;
  /// Returns the bytes, at most 4096. Throws std::invalid_argument for more.
  [[nodiscard]] std::string encode() const;
  /// Reads a record as RecordView::parse does.
  static Record decode(std::string_view bytes);
  friend bool operator==(const Record&, const Record&) = default;

 private:
  std::array<std::optional<Value>, field_count> values_;
};

/// Replaces what the encoding can't hold by '?', cuts at `limit`, and takes the blanks off both
/// ends, as the records' table asks of every text: for names that come from outside.
[[nodiscard]] std::string printable(std::string_view text, std::size_t limit);

}  // namespace smets1kms::audit
