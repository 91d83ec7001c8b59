// SPDX-License-Identifier: Apache-2.0
#include "report/report.hpp"

#include "audit_cli/log_options.hpp"
#include "command_line/text.hpp"

namespace smets1kms::audit_cli {
namespace {

using report::Summary;

constexpr const char* report_help =
    R"(
Verifies an export or a registry's database as 'verify' does, and shows for each device what the
policy of its trail asked, by when, whether it was done, by whom, and which records prove it. It
needs no token.

The list given with --fleet is the operator's own, of all commissioned devices: its first line is
device_id,kind,commissioned_at, each other one like
00-DB-12-34-56-78-90-A0,ESME,2021-03-27T23:30:00Z. Without it the report can't say that it is
complete: a trail can't show the devices it never heard of.

Without --at everything is judged as of the last record. A trail that is not VERIFIED gets its
report all the same, with that in its first line, and the exit code of the verdict. Of more than
2000 devices each has its place on a page in a directory beside the report (report-devices/).
JSON: the summary, and beside it report-devices.jsonl with a line a device. CSV: a line a duty.)";

const Fields<Summary>& report_fields() {
  const auto number = [](const char* slug) {
    return [slug](const Summary& s) { return s.statistics.number(slug); };
  };
  static const Fields<Summary> all(
      "smets1-audit-report-1", "What 'report' says beside the files it writes",
      {{"verdict", "VERIFIED, FAILED or INCONCLUSIVE",
        [](const Summary& s) { return s.trail.verdict; }},
       {"why", "why it is not VERIFIED",
        [](const Summary& s) { return unless_empty(s.trail.why); }},
       {"as_of", "the moment as of which was judged", &Summary::now},
       {"compliant", "by the regulator's duties alone",
        [](const Summary& s) { return s.answer.good; }},
       {"headline", "the answer in a sentence", [](const Summary& s) { return s.answer.headline; }},
       {"remarks", "what the answer leaves open",
        [](const Summary& s) { return s.answer.remarks; }},
       {"devices", "how many devices there are", number("devices")},
       {"overdue-now", "how many are overdue", number("overdue-now")},
       {"breaches", "how many duties were missed", number("breaches")},
       {"facts-unknown", "how many devices could not be judged", number("facts-unknown")},
       {"unheard", "how many devices of the list the trail does not know", number("unheard")}});
  return all;
}

void print(std::ostream& out, const Summary& summary) {
  const auto& why = summary.trail.why;
  out << to_string(summary.trail.verdict) << ": "
      << printable(why.empty() ? std::to_string(summary.trail.records) + " records" : why) << '\n'
      << summary.answer.headline << " (as of " << format_time(summary.now) << ", "
      << summary.statistics.number("devices") << " devices)\n";
  for (const auto& remark : summary.answer.remarks) out << "- " << printable(remark) << '\n';
}

void run_report(const Invocation& in) {
  const auto file_of = [&](const char* name) {
    return in.values.optional(name,
                              [](const std::string& file) { return std::filesystem::path(file); });
  };
  const auto path = in.values.needed("path");
  const report::Options wanted{.checks = checks_of(in),
                               .fleet_list = file_of("fleet"),
                               .at = in.values.optional("at", parse_time),
                               .html = file_of("html"),
                               .json = file_of("json"),
                               .csv = file_of("csv")};
  if (in.values.count({"html", "json", "csv"}) == 0)
    throw Usage("--html, --json or --csv is missing: where is the report to go?");
  const auto summary = report::make_report(*open_log(path), wanted);
  show(in, report_fields(), summary, [&](std::ostream& out) { print(out, summary); });
  end_with(summary.trail.verdict, summary.trail.why);
}

}  // namespace

Command report() {
  return {
      "report",
      "what the rules asked of each device, by when, and whether it was done: HTML, JSON, CSV",
      "PATH --key audit.pem [--fleet list.csv] [--at TIME] --html report.html [--json report.json] "
      "[--csv report.csv]",
      report_help,
      joined(
          {{positional("path", "PATH", "an export or a database")},
           check_options(),
           {text("fleet", "FILE", "the operator's list of commissioned devices, CSV"),
            text("at", "TIME", "judge as of this moment (RFC 3339 with a zone), past or future"),
            text("html", "FILE", "file to write the report to; it must not be there"),
            text("json", "FILE", "the same as JSON"), text("csv", "FILE", "the duties as CSV")}}),
      run_report,
      {report_fields(), report::summary_fields(), report::device_fields()}};
}

}  // namespace smets1kms::audit_cli
