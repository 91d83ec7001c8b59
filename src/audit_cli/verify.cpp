// SPDX-License-Identifier: Apache-2.0
#include "audit_cli/log_options.hpp"
#include "command_line/text.hpp"
#include "registry/database_log.hpp"
#include "report/report.hpp"

namespace smets1kms::audit_cli {
namespace {

using audit::Report;
using audit::Verdict;

constexpr const char* verify_help =
    R"(
Reads every record of an export (a directory) or of a registry's database, or a device's bundle,
and says one of:
  VERIFIED      up to the head shown nobody changed, inserted, dropped or moved a record without
                the audit key, and the story told is a legal one: each outcome has its intent, each
                key its states (SP 800-57), each change its two identities, each destruction its
                absence check; in a whole log no time before its predecessor
  FAILED        with the index of the record and the reason
  INCONCLUSIVE  with what is missing to say more
Only VERIFIED exits with 0. Below it stand findings: true, and worth a look (open intents, doubts,
silences).

--handovers takes a file that handed keys over, as well: each line has to be what the outcome of its
key says, and each checkpoint a signed head of this log over the lines before it.

--tsa checks every time stamp (RFC 3161) on a head of the log, and says since when the newest of
those heads has been there at the latest.

What it can't show: that the host recorded the truth; that nothing was cut off behind the last head.
Against the second keep the head (--keep-head) and give it the next time (--since): a log that was
cut, restored or forked does not extend it.)";

const Fields<Report>& verify_fields() {
  using audit::Finding;
  static const Fields<Finding> finding({{"kind", "a short stable word", &Finding::kind},
                                        {"text", "what was found", &Finding::text},
                                        {"index", "of the record", &Finding::index}});
  static const Fields<audit::CheckedFile> handovers(
      {{"file", "its name", &audit::CheckedFile::name},
       {"lines", "how many handovers it has", &audit::CheckedFile::lines},
       {"checkpoints", "how many signed heads it has", &audit::CheckedFile::checkpoints}});
  static const Fields<audit::ProvenHead> stamped(
      {{"records", "how many it covers", &audit::ProvenHead::records},
       {"time", "the earliest that is proved", &audit::ProvenHead::time}});
  static const Fields<Report> all(
      "smets1-audit-verify-1", "What 'verify' found",
      {{"verdict", "VERIFIED, FAILED or INCONCLUSIVE", &Report::verdict},
       {"why", "why it is not VERIFIED", [](const Report& r) { return unless_empty(r.why); }},
       {"index", "of the record that failed", &Report::index},
       {"missing", "all that an INCONCLUSIVE verdict lacks", &Report::missing},
       {"records", "how many were read", &Report::records},
       {"devices", "how many devices they are of", &Report::devices},
       {"checkpoints", "how many signed heads were checked", &Report::checkpoints},
       nested("head", "the last head that a key given has signed", report::head_fields(),
              [](const Report& r) { return r.head ? std::optional(r.head->head) : std::nullopt; }),
       nested("stamped", "the newest head with a time stamp, if --tsa was given", stamped,
              &Report::stamped),
       {"finding_counts", "how many findings there are of each kind", &Report::finding_counts},
       nested("findings", "the first thousand", finding, &Report::findings),
       nested("handovers", "the files of handovers that were given", handovers,
              &Report::handovers)});
  return all;
}

void print(std::ostream& out, const Report& report) {
  out << to_string(report.verdict) << ": ";
  if (report.verdict == Verdict::verified)
    out << report.records << " records of " << counted(report.devices, "device") << ", "
        << report.checkpoints << " signed heads\n";
  else
    out << printable(report.why) << '\n';
  if (report.head)
    out << "head      " << report.head->head.origin << ", " << report.head->head.size
        << " records, root " << audit::to_hex(report.head->head.root) << '\n';
  if (report.stamped)
    out << "stamped   the head of " << report.stamped->records << " records was there at "
        << report.stamped->time << '\n';
  for (const auto& [name, lines, checkpoints] : report.handovers)
    out << "handovers " << printable(name) << ", " << counted(lines, "line") << ", "
        << counted(checkpoints, "checkpoint") << '\n';
  constexpr std::size_t shown = 20;
  for (std::size_t i = 0; i < report.findings.size() && i < shown; ++i) {
    const auto& [kind, text, index] = report.findings[i];
    out << "finding   " << kind << (index ? " (record " + std::to_string(*index) + ")" : "") << ": "
        << printable(text) << '\n';
  }
  std::uint64_t all = 0;
  for (const auto& [kind, count] : report.finding_counts) all += count;
  if (all > shown)
    out << "          and " << all - shown << " findings more (--json lists the first thousand)\n";
}

/// Verifies a log, and the files of handovers beside it.
Report verify_log(const Invocation& in, const std::string& path, audit::VerifyOptions checks) {
  const auto log = open_log(path);
  auto keys = checks.keys;  // the log's own, too: a checkpoint that they signed has to be its head
  std::ranges::copy(log->audit_keys(), std::back_inserter(keys));
  audit::HandoverFiles handovers(keys);
  const auto files = in.values.list("handovers");
  for (const auto& file : files) read_handovers(file, handovers);
  if (!files.empty())
    checks.for_each_record = [&](const auto& record, const auto& summary) {
      handovers.add_record(record, summary);
    };
  auto report = audit::verify(*log, checks);
  if (!files.empty()) handovers.finish(*log, report);
  return report;
}

void run_verify(const Invocation& in) {
  const auto path = in.values.needed("path");
  const auto checks = checks_of(in);
  Report report;
  try {
    const auto bundle = open_bundle(path);
    if (bundle && in.values.count({"since", "handovers", "tsa"}) != 0)
      throw Usage(
          "a bundle is proved under its own head; --since, --handovers and --tsa are for a whole "
          "log");
    report = bundle ? audit::verify(*bundle, checks) : verify_log(in, path, checks);
  } catch (const audit::VerificationFailed& failure) {
    report.end(Verdict::failed, failure.what(), failure.index());
  } catch (const sqlite::Damaged& error) {
    report.end(Verdict::failed, std::string("the database is damaged: ") + error.what());
  }
  show(in, verify_fields(), report, [&](std::ostream& out) { print(out, report); });
  end_with(report.verdict, report.why);
  if (in.values.has("keep-head"))
    write_new_file(in.values.text("keep-head"), report.head->format());
}

}  // namespace

Command verify() {
  return {
      "verify",
      "check an export, a database or a device's bundle against a public audit key",
      "PATH --key audit.pem [--since HEAD] [--tsa CA.pem] [--keep-head FILE] [--handovers FILE]",
      verify_help,
      joined({{positional("path", "PATH", "an export, a database or a bundle")},
              check_options(),
              {text("keep-head", "FILE",
                    "new file for the last head, if VERIFIED: a name of its own at each visit; "
                    "keep it for --since"),
               repeated("handovers", "FILE",
                        "check this file too, as 'smets1-kms rotate --handover-out' writes "
                        "it: each line against the outcome of its key; several")}}),
      run_verify,
      {verify_fields()}};
}

}  // namespace smets1kms::audit_cli
