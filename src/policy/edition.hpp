// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/calendar.hpp"
#include "smets1kms/duties.hpp"

namespace smets1kms {
class TomlTable;
}

/// Editions of the rules as data (hsm-config/policy): what was asked, from when until when, and by
/// whom.
namespace smets1kms::policy {

/// The numbers of a rule that asks for replacements.
struct RuleTerms {
  Period within;                  ///< after the event that makes the duty
  Period due_soon;                ///< before the deadline; a project number, whoever's the rule is
  std::vector<KeyRole> roles;     ///< as far as the device supports them
  std::vector<DeviceKind> kinds;  ///< kinds of device
};

struct Rule {
  RuleId id;
  RuleOrigin origin;
  std::string source;              ///< by name: "S1SR clause 20", "SEC Appendix AT", "smets1-kms"
  std::string text;                ///< the rule in this project's words
  std::optional<RuleTerms> terms;  ///< only P1, P2 and P3 have them
};

struct Edition {
  std::string name, title;
  std::optional<Time> from;   ///< nullopt: from the beginning
  std::optional<Time> until;  ///< first moment out of force; nullopt: still in force
  std::vector<Rule> rules;
  std::string file_text{};  ///< as it was read
  /// Returns a rule; nullptr: this edition has none.
  [[nodiscard]] const Rule* rule(RuleId id) const;
};

/// Each returns the value of a word. Throws BadInput that lists the accepted words.
[[nodiscard]] RuleId parse_rule_id(std::string_view text);
[[nodiscard]] RuleOrigin parse_rule_origin(std::string_view text);

/// Reads a local time of Europe/London; nullopt where there is none. Throws BadFile.
[[nodiscard]] std::optional<Time> london_time(TomlTable& in, const std::string& key);
/// Reads an edition. Throws BadFile with line and column for what is not TOML, a key that is
/// unknown or missing, a value that is not what its key holds, a rule that stands twice. `file` is
/// the name to show.
[[nodiscard]] Edition parse_edition(std::string_view text, const std::string& file);
/// Returns name and text of each file of hsm-config/policy/*.toml, as compiled in
/// (src/embed.cmake).
[[nodiscard]] std::span<const std::pair<std::string_view, std::string_view>>
shipped_edition_texts();
/// Returns a compiled-in edition; nullptr for any other name.
[[nodiscard]] const Edition* find_shipped_edition(std::string_view name);
/// Does the same; throws BadInput for any other name.
[[nodiscard]] const Edition& shipped_edition(std::string_view name);

}  // namespace smets1kms::policy
