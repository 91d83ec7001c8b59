// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "audit_cli/commands.hpp"
#include "registry/sqlite.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::audit_cli {
namespace {

constexpr const char* help =
    "Reads every record of an export (a directory) or of a registry's database, or a device's "
    "bundle, and says one of:\n"
    "  VERIFIED      up to the head shown nobody changed, inserted, dropped or moved a record "
    "without the audit key,\n"
    "                and the story told is a legal one: each outcome has its intent, each key its "
    "states (SP 800-57),\n"
    "                each change its two identities, each destruction its absence check; in a "
    "whole log no time before its predecessor\n"
    "  FAILED        with the index of the record and the reason\n"
    "  INCONCLUSIVE  with what is missing to say more\n"
    "Only VERIFIED exits with 0. Below it stand findings: true, and worth a look (open intents, "
    "doubts, silences).\n\n"
    "What it can't show: that the host recorded the truth; that nothing was cut off behind the "
    "last head. Against the\n"
    "second keep the head (--keep-head) and give it the next time (--since): a log that was cut, "
    "restored or forked\n"
    "does not extend it.";

void print_json(const audit::Report& report) {
  Json json{{"verdict", audit::to_string(report.verdict)}};
  if (!report.why.empty()) json["why"] = report.why;
  if (report.index) json["index"] = *report.index;
  if (!report.missing.empty()) json["missing"] = report.missing;
  json.update({{"records", report.records},
               {"devices", report.devices},
               {"checkpoints", report.checkpoints}});
  if (report.head)
    json["head"] = {{"origin", report.head->head.origin},
                    {"size", report.head->head.size},
                    {"root", audit::to_hex(report.head->head.root)}};
  json["finding_counts"] = report.finding_counts;
  json["findings"] = Json::array();
  for (const auto& finding : report.findings) {
    Json each{{"kind", finding.kind}, {"text", finding.text}};
    if (finding.index) each["index"] = *finding.index;
    json["findings"].push_back(std::move(each));
  }
  print_lines(json);
}

void print_text(const audit::Report& report) {
  std::cout << audit::to_string(report.verdict);
  if (report.verdict == audit::Verdict::verified)
    std::cout << ": " << report.records << " records of " << report.devices
              << (report.devices == 1 ? " device, " : " devices, ") << report.checkpoints
              << " signed heads";
  else
    std::cout << ": " << report.why;
  std::cout << '\n';
  if (report.head)
    std::cout << "head      " << report.head->head.origin << ", " << report.head->head.size
              << " records, root " << audit::to_hex(report.head->head.root) << '\n';
  constexpr std::size_t shown = 20;
  for (std::size_t i = 0; i < report.findings.size() && i < shown; ++i) {
    const auto& finding = report.findings[i];
    std::cout << "finding   " << finding.kind
              << (finding.index ? " (record " + std::to_string(*finding.index) + ")" : "") << ": "
              << finding.text << '\n';
  }
  std::uint64_t all = 0;
  for (const auto& [kind, count] : report.finding_counts) all += count;
  if (all > shown)
    std::cout << "          and " << all - shown
              << " findings more (--json lists the first thousand)\n";
}

}  // namespace

int verify(const Invocation& invocation) {
  options::options_description own;
  add_checks(own);
  own.add_options()("keep-head", options::value<std::string>(),
                    "new file for the last head, if VERIFIED: a name of its own at each visit; "
                    "keep it for --since");
  const auto values =
      parse(invocation, "verify PATH --key audit.pem [--since HEAD] [--keep-head FILE]", help, own);
  const auto path = needed(values, "path", "PATH (an export, a database or a bundle)");
  auto checks = checks_of(values);
  ProgressLine line;
  checks.progress = [&](const char* what, std::uint64_t count, std::uint64_t total) {
    line.show(what, count, total);
  };

  audit::Report report;
  try {
    const auto bundle = open_bundle(path);
    if (bundle && checks.since)
      throw Usage("a bundle is proved under its own head; --since is for a whole log");
    report = bundle ? audit::verify(*bundle, checks) : audit::verify(*open_log(path), checks);
  } catch (const audit::VerificationFailed& failure) {
    report.verdict = audit::Verdict::failed;
    report.why = failure.what();
    report.index = failure.index();
  } catch (const sqlite::Damaged& error) {
    report.verdict = audit::Verdict::failed;
    report.why = std::string("the database is damaged: ") + error.what();
  }
  invocation.json ? print_json(report) : print_text(report);
  if (report.verdict == audit::Verdict::verified && values.count("keep-head") != 0)
    write_new(values["keep-head"].as<std::string>(), report.head->format());
  return exit_of(report.verdict);
}

}  // namespace smets1kms::audit_cli
