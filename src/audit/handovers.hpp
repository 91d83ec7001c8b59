// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/record.hpp"
#include "smets1kms/types.hpp"

/// Texts of records about handovers: a key wrapped once more, for a party that uses it.
namespace smets1kms::audit {

inline constexpr std::size_t most_targets = 8;  ///< admitted at a time

/// A handover target as a record names it: "NAME/GENERATION".
struct TargetName {
  std::string_view name;
  std::uint32_t generation = 0;
};
/// Returns nullopt unless NAME is 1 to 32 of [A-Za-z0-9._-] and GENERATION is 1 to 2^32-1.
[[nodiscard]] std::optional<TargetName> parse_target(std::string_view text);
/// Returns the first 4 bytes of SHA-256 over "NAME/GENERATION", to tell a key's targets apart.
[[nodiscard]] std::uint32_t target_tag(std::string_view target);

/// An entry of the field `handovers`.
struct Handover {
  std::string_view target;  ///< "NAME/GENERATION"
  TargetName name;
  std::string_view hash;    ///< of RSA-OAEP: "SHA-1" or "SHA-256"
  std::string_view sha256;  ///< of the wrapped key, 64 lower-case hex digits
  bool before_transfer = false;
};
/// Returns nullopt unless these are one to eight entries, sorted by NAME.
[[nodiscard]] std::optional<std::vector<Handover>> parse_handovers(std::string_view text);
/// Returns "head-end/1, tool/2" for such a field; the text itself where it is none.
[[nodiscard]] std::string target_names(std::string_view handovers);

/// A key's handovers as its device's replay needs them.
struct HandoverTags {
  std::array<std::uint32_t, most_targets> targets{};
  std::uint8_t count = 0;
  std::uint8_t before_transfer = 0;  ///< a bit for each of `targets`
};

/// Content of the outcome that admits a target.
struct Admission {
  std::string name;
  std::uint32_t generation = 0;
  std::string hash;        ///< of RSA-OAEP: "SHA-1" or "SHA-256"
  std::uint8_t roles = 0;  ///< a bit for each KeyRole
  bool before_transfer = false;
  [[nodiscard]] bool takes(KeyRole role) const {
    return (roles >> static_cast<unsigned>(role) & 1) != 0;
  }
};
/// Reads an admission. Throws std::invalid_argument for a field that can't be.
[[nodiscard]] Admission read_admission(const RecordView& record);

struct RecordSummary;
struct RecordType;
/// Reads the targets that a record names into its summary. Throws std::invalid_argument where its
/// type does not have them so.
void read_targets(const RecordView& record, const RecordType& type, RecordSummary& summary);

}  // namespace smets1kms::audit
