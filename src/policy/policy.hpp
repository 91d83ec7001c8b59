// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "policy/edition.hpp"

namespace smets1kms::policy {

/// A site's change of a rule, for duties that begin in [from, until). A change of the regulator's
/// `within` is a deviation: it ends, and every report shows it.
struct Adjustment {
  std::string edition;
  RuleId rule;
  std::optional<Period> within, due_soon;  ///< at least one is set
  Time from;                               ///< of a deviation: not before its record
  std::optional<Time> until;               ///< always there in a deviation
  std::string who, authorised_by, why;     ///< a deviation has two identities
  bool deviation;
  Time stated_from{};  ///< `from` as the site file says it
  /// True if both are one line of a site file.
  [[nodiscard]] bool is_same(const Adjustment& other) const;
};

/// The editions in use, one after the other without hole or overlap, and what a site changed.
class Policy {
 public:
  /// Gives the edition of a name; throws BadInput for one it has not.
  using Shelf = std::function<const Edition&(const std::string& name)>;
  /// Returns S1SR clause 20 until 2021-12-17, SEC Appendix AT from then on, unchanged.
  [[nodiscard]] static Policy shipped();
  /// Reads a site file. Throws BadFile with line and column for unknown keys and editions, for a
  /// change of what is the regulator's without its record, for changes that overlap; BadInput if
  /// the file can't be read.
  [[nodiscard]] static Policy load(const std::filesystem::path& site_file);
  [[nodiscard]] static Policy parse_site(std::string_view text, const std::string& file,
                                         const Shelf& edition = shipped_edition);
  /// Returns the whole policy as one text: the site file and the editions that it names.
  /// `parse_document` makes the same policy of it wherever it is read, whatever editions that
  /// program was shipped with.
  [[nodiscard]] std::string to_document() const;
  /// Reads a document. Throws BadInput for anything that `to_document` does not write.
  [[nodiscard]] static Policy parse_document(std::string_view document);
  /// Makes a policy of editions. Throws BadInput where two editions overlap, leave a hole, or don't
  /// reach from the beginning to this day and on.
  explicit Policy(std::vector<Edition> editions);

  /// Returns the editions in which a regulator's rule differs from the one that this program was
  /// shipped with, or which it was not shipped with: whoever wrote the document may have made up
  /// their numbers. Nothing where no rule is the regulator's. An adjustment, which the site makes
  /// openly, does not count.
  [[nodiscard]] std::vector<std::string> differs_from_shipped() const;

  /// Returns the edition in force at a moment.
  [[nodiscard]] const Edition& at(Time moment) const;
  /// Returns the adjustment for duties of this rule which begin at `start`; nullptr: none.
  [[nodiscard]] const Adjustment* adjustment(const Edition& edition, RuleId rule, Time start) const;
  /// Lets no deviation begin before it was recorded: at `recorded` or, where `before`, the policy
  /// in force until then, has it already, as it begins there. nullptr: there was none.
  void begin_deviations(Time recorded, const Policy* before);
  /// Returns when each adjustment begins, in ms since 1970, separated by blanks; and takes that.
  [[nodiscard]] std::string begins() const;
  void set_begins(std::string_view begins);
  /// Returns the time from a fact to its record where it is more than `recorded_late`, a project
  /// rule (24 hours unless the site file says otherwise); nullopt: it was recorded in time.
  [[nodiscard]] std::optional<std::chrono::milliseconds> late_by(const Moment& moment) const;
  [[nodiscard]] Period recorded_late() const { return recorded_late_; }
  [[nodiscard]] const std::vector<Edition>& editions() const { return editions_; }
  [[nodiscard]] const std::vector<Adjustment>& adjustments() const { return adjustments_; }

 private:
  std::vector<Edition> editions_;
  std::vector<Adjustment> adjustments_;
  Period recorded_late_{24, Unit::hours};
  std::string site_text_;
};

/// Returns "recorded 89 days late", "recorded 30 h late".
[[nodiscard]] std::string late_text(std::chrono::milliseconds late);

/// Returns why a key change for this reason is refused, and what to do; nullopt: it is not. SEC
/// Appendix AT has no periodic replacement: under an edition without P2 the reason `periodic` needs
/// a justification.
[[nodiscard]] std::optional<std::string> refuses(Reason reason, const Edition& edition,
                                                 std::string_view justification);

}  // namespace smets1kms::policy
