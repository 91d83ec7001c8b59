// SPDX-License-Identifier: Apache-2.0
#include "report/report.hpp"

#include <iostream>

#include "audit_cli/commands.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::audit_cli {
namespace {

constexpr const char* help =
    "Verifies an export or a registry's database as 'verify' does, and shows for each device what "
    "the policy of its trail\n"
    "asked, by when, whether it was done, by whom, and which records prove it. It needs no "
    "token.\n\n"
    "The list given with --fleet is the operator's own, of all commissioned devices: its first "
    "line is\n"
    "device_id,kind,commissioned_at, each other one like "
    "00-DB-12-34-56-78-90-A0,ESME,2021-03-27T23:30:00Z. Without it the\n"
    "report can't say that it is complete: a trail can't show the devices it never heard of.\n\n"
    "Without --at everything is judged as of the last record. A trail that is not VERIFIED gets "
    "its report all the same,\n"
    "with that in its first line, and the exit code of the verdict. Of more than 2000 devices each "
    "has its place on a page\n"
    "in a directory beside the report (report-devices/). JSON: the summary, and beside it "
    "report-devices.jsonl with a line\n"
    "a device. CSV: a line a duty.";

std::optional<std::filesystem::path> file_of(const options::variables_map& values,
                                             const char* name) {
  return values.count(name) == 0
             ? std::nullopt
             : std::optional<std::filesystem::path>(values[name].as<std::string>());
}

void print(const report::Summary& summary, bool json) {
  if (json) {
    Json out{{"verdict", audit::to_string(summary.trail.verdict)}};
    if (!summary.trail.why.empty()) out["why"] = summary.trail.why;
    out.update({{"as_of", format_time(summary.now)},
                {"compliant", summary.answer.good},
                {"headline", summary.answer.headline},
                {"remarks", summary.answer.remarks}});
    for (const char* slug : {"devices", "overdue-now", "breaches", "facts-unknown", "unheard"})
      out[slug] = summary.statistics.number(slug);
    print_lines(out);
    return;
  }
  std::cout << audit::to_string(summary.trail.verdict) << ": "
            << (summary.trail.why.empty() ? std::to_string(summary.trail.records) + " records"
                                          : summary.trail.why)
            << '\n'
            << summary.answer.headline << " (as of " << format_time(summary.now) << ", "
            << summary.statistics.number("devices") << " devices)\n";
  for (const auto& remark : summary.answer.remarks) std::cout << "- " << remark << '\n';
}

}  // namespace

int report(const Invocation& invocation) {
  options::options_description own;
  add_checks(own);
  own.add_options()("fleet", options::value<std::string>(),
                    "the operator's list of commissioned devices, CSV")(
      "at", options::value<std::string>(),
      "judge as of this moment (RFC 3339 with a zone), past or future")(
      "html", options::value<std::string>(), "file to write the report to; it must not be there")(
      "json", options::value<std::string>(), "the same as JSON")(
      "csv", options::value<std::string>(), "the duties as CSV");
  const auto values = parse(invocation,
                            "report PATH --key audit.pem [--fleet list.csv] [--at TIME] --html "
                            "report.html [--json report.json] [--csv report.csv]",
                            help, own);
  const auto path = needed(values, "path", "PATH (an export or a database)");
  report::Options wanted;
  wanted.checks = checks_of(values);
  wanted.fleet_list = file_of(values, "fleet");
  wanted.html = file_of(values, "html");
  wanted.json = file_of(values, "json");
  wanted.csv = file_of(values, "csv");
  if (!wanted.html && !wanted.json && !wanted.csv)
    throw Usage("--html, --json or --csv is missing: where is the report to go?");
  if (values.count("at") != 0) try {
      wanted.at = parse_time(values["at"].as<std::string>());
    } catch (const BadInput& error) {
      throw Usage(std::string("--at: ") + error.what());
    }
  ProgressLine line;
  wanted.checks.progress = [&](const char* what, std::uint64_t count, std::uint64_t total) {
    line.show(what, count, total);
  };
  const auto summary = report::make_report(*open_log(path), wanted);
  print(summary, invocation.json);
  return exit_of(summary.trail.verdict);
}

}  // namespace smets1kms::audit_cli
