// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>

#include "audit/verify.hpp"
#include "base/fields.hpp"
#include "report/fleet_list.hpp"
#include "report/statistics.hpp"

namespace smets1kms::report {

struct Options {
  audit::VerifyOptions checks;
  std::optional<std::filesystem::path> fleet_list;
  std::optional<Time> at;  ///< moment of the report; nullopt: the time of the last record
  std::optional<std::filesystem::path> html, json, csv;
};

/// Results of a token's self-test, as written when the token was first used.
struct Protections {
  Document document;
  std::string token, problem;  ///< problem: why there is no table
  struct Row {
    std::string name, needed, verdict, seen;
  };
  std::vector<Row> rows;
};

/// Content of the summary.
struct Summary {
  audit::Report trail;
  std::vector<std::string> keys;  ///< ids of the audit keys that were given
  bool has_since = false, now_given = false;
  std::uint64_t size = 0;  ///< records that the log claims to have
  LogFacts log;
  std::optional<policy::Policy> policy;
  std::string policy_source;  ///< its source; where there is no policy, why
  std::optional<FleetList> list;
  std::vector<Protections> protections;
  Time now{};
  Statistics statistics;
  Answer answer;
  std::string devices_file{};  ///< beside the JSON, without its directory
};

/// Verifies the log, judges every device by the policy of the trail, and writes the files asked
/// for, which must not be there before. A log that is not verified gets its report as well; its
/// first line says so. Memory does not grow with the log. Throws BadInput for a fleet list that
/// can't be read and files that can't be written.
[[nodiscard]] Summary make_report(audit::Log& log, const Options& options);

/// Returns the first line of every page.
[[nodiscard]] std::string banner(const Summary& summary);
/// Writes the summary. `devices`: written behind it, or nullptr where they have pages of their own
/// in `directory`.
void write_summary(std::ostream& out, const Summary& summary, const std::string& directory,
                   const std::function<void(std::ostream&)>& devices);

/// A signed head without its signatures.
[[nodiscard]] const output::Fields<audit::Checkpoint>& head_fields();
/// The summary as JSON, and a device with the page it stands on as a line of the file beside it.
[[nodiscard]] const output::Fields<Summary>& summary_fields();
[[nodiscard]] const output::Fields<policy::Fact>& fact_fields();
using DeviceLine = std::pair<const Device&, const PageRef&>;
[[nodiscard]] const output::Fields<DeviceLine>& device_fields();
/// The same device as lines of CSV, one a duty.
inline constexpr const char* csv_header =
    "device_id,kind,rule,whose,source,edition,status,breach,open,began,deadline,ended,margin_"
    "seconds,deviation,waits_for,records\n";
[[nodiscard]] std::string csv_lines(const Device& device);

}  // namespace smets1kms::report
