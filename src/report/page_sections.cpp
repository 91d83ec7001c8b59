// SPDX-License-Identifier: Apache-2.0
#include "report/page.hpp"
#include "smets1kms/version.hpp"

namespace smets1kms::report::html {

void Page::reasons(const Capped<std::pair<PageRef, std::string>>& some, const char* what,
                   const char* caption, const char* column) {
  const auto row = [&](const auto& each) {
    return cell(links_.device(each.first)) + cell(escape(each.second));
  };
  write_capped(some, what, caption, {"Device", column}, row, false);
}

void Page::doubts() {
  begin("sec-doubts", "Rotations in doubt, and what is left open");
  out_ << "<p>" << devices("in-doubt") << " with a rotation in doubt, " << number("unproven")
       << " with a KEK that is not proved, " << number("open-intent")
       << " with an operation that has no outcome, " << number("conflict")
       << " with a conflict. A lost or negative answer means unknown, not unchanged: the device "
          "may hold either key.</p>\n";
  keys("in-doubt", "Keys in doubt");
  keys("unproven", "KEKs delivered, and proved by no GAK yet");
  keys("open-intent", "Begun, without an outcome");
  keys("conflict", "Conflicts");
  if (statistics_.unknown.count != 0) out_ << "<h3>Devices that can't be judged</h3>\n";
  reasons(statistics_.unknown, "devices", "Facts unknown: never guessed", "Why");
  out_ << "</section>\n";
}

void Page::exemptions() {
  begin("sec-exemptions", "Exemptions");
  out_ << "<p>The rules ask for the keys that a device supports (&#8220;where the device supports "
          "it&#8221;). What a device supports was recorded when it was "
          "taken in; it is not inferred. "
       << "Without a role: " << devices("exempt") << "; GUEK " << number("exempt-guek") << ", GBEK "
       << number("exempt-gbek") << ", GAK " << number("exempt-gak") << ".</p></section>\n";
}

void Page::deviations() {
  begin("sec-deviations", "Deviations, adjustments, justifications");
  const auto rows = [&](bool deviation, const char* caption) {
    if (!summary_.policy) return;
    std::vector<policy::Adjustment> all;
    std::ranges::copy_if(summary_.policy->adjustments(), std::back_inserter(all),
                         [&](const auto& each) { return each.deviation == deviation; });
    if (all.empty()) return;
    write_table(
        out_, caption, {"Rule", "Numbers", "From", "Until", "Who", "Why"}, all,
        [&](const policy::Adjustment& each) {
          return cell(std::string(to_string(each.rule)) + (deviation ? "" : " ") +
                      (deviation ? "" : project_tag) + "<br><small>" + escape(each.edition) +
                      "</small>") +
                 cell((each.within ? "within " + policy::to_string(*each.within) : "") +
                      (each.due_soon ? " due soon " + policy::to_string(*each.due_soon) + " before"
                                     : "")) +
                 cell(time(each.from)) + cell(each.until ? time(*each.until) : "no end") +
                 cell(escape(each.who)) + cell(escape(each.why));
        });
  };
  out_ << "<p>"
       << "Judged by a deviation from the regulator's number: " << devices("deviation")
       << "; of them " << number("deviation-beyond")
       << " met the deviation's deadline after the regulator's own. Judged by adjusted numbers "
          "that are not the regulator's: "
       << devices("adjusted") << ".</p>\n";
  rows(true, "Deviations from a regulator's number");
  rows(false, "Adjustments of project numbers");
  if (summary_.policy && summary_.policy->adjustments().empty())
    out_ << "<p>The policy has no deviation and no adjustment.</p>\n";
  out_ << "<h3>Justified and refused</h3>\n<p>Records with a justification: "
       << summary_.log.justified.count << ". Operations that the rules refused: ";
  std::uint64_t refused = 0;
  for (const auto& [word, some] : summary_.log.refusals) refused += some.count;
  out_ << refused << ".</p>\n";
  remarks(summary_.log.justified, "Justifications");
  for (const auto& [word, some] : summary_.log.refusals)
    remarks(some, ("Refused: " + word + ", " + std::to_string(some.count) + " times").c_str());
  out_ << "</section>\n";
}

void Page::compromises() {
  begin("sec-compromises", "Suspected compromises");
  out_ << "<p>Keys marked: " << statistics_.number("keys-compromised") << ", on "
       << devices("compromised") << ". Tokens: " << summary_.log.token_compromises.count
       << ". That the keys are replaced, and in what time, is a <span class=\"tag "
          "project\">project rule</span> (P3).</p>\n";
  remarks(summary_.log.token_compromises, "Tokens suspected to be compromised, and whom to notify");
  keys("compromised", "Keys marked, whom to notify, and what replaced them");
  out_ << "</section>\n";
}

void Page::destructions() {
  begin("sec-destructions", "Destructions");
  out_ << "<p>Keys destroyed: " << statistics_.number("keys-destroyed") << ", on "
       << devices("destroyed")
       << ". Of a key in the token each was followed by a search that found nothing under its id; "
          "a destruction without it fails the verification. "
          "Of a sealed key every blob in the registry was deleted; a backup of the registry can be "
          "opened until its storage key is destroyed.</p>\n";
  keys("destroyed", "Destroyed");
  out_ << "</section>\n";
}

void Page::reconciliation() {
  begin("sec-reconciliation", "Against the operator's list of commissioned devices");
  if (!summary_.list) {
    out_ << "<p><strong>Completeness was not checked.</strong> A trail can't show the devices it "
            "never heard of: give the operator's own list with "
            "<code>--fleet</code>.</p></section>\n";
    return;
  }
  out_ << "<p>" << escape(summary_.list->file) << ", " << summary_.list->lines
       << " lines (SHA-256 <span class=\"hash\">" << summary_.list->sha256
       << "</span>): the trail has never heard of " << number("unheard") << "; "
       << number("unlisted") << " in service are missing on the list; " << number("kind-differs")
       << " are of another kind, " << number("date-differs")
       << " have another date of commissioning; " << number("listed-decommissioned")
       << " are listed and decommissioned. Listed as commissioned after the moment of this report, "
          "and not looked at: "
       << number("listed-later") << ".</p>\n";
  reasons(statistics_.differing, "differences", "Differences", "What differs");
  out_ << "</section>\n";
}

void Page::token() {
  begin("sec-token", "The token, and the protections it held");
  if (summary_.log.tokens.empty()) out_ << "<p>No record names a token.</p>\n";
  for (const auto& [token, count] : summary_.log.tokens)
    out_ << "<p>" << escape(token) << ": " << count << " records.</p>\n";
  if (summary_.log.unprotected != 0)
    out_ << "<p><span class=\"mark warn\">for testing</span> " << summary_.log.unprotected
         << " records were made with a token that lacks a needed protection and was taken for "
            "testing only.</p>\n";
  if (summary_.protections.empty())
    out_ << "<p>The trail names no record of what the token was tried for "
            "(token-protections).</p>\n";
  for (const auto& each : summary_.protections) {
    out_ << "<h3>Tried at record " << each.document.index << "</h3>\n";
    if (!each.problem.empty()) {
      out_ << "<p>The document with SHA-256 <span class=\"hash\">" << escape(each.document.sha256)
           << "</span> " << escape(each.problem) << ".</p>\n";
      continue;
    }
    write_table(out_, "Protections of " + each.token,
                {"Protection", "Asked", "Verdict", "What was seen"}, each.rows,
                [](const Protections::Row& row) {
                  return cell(escape(row.name)) + cell(escape(row.needed)) +
                         cell(escape(row.verdict)) + cell(escape(row.seen));
                });
  }
  remarks(summary_.log.audit_keys, "Audit keys made and destroyed");
  out_ << "</section>\n";
}

void Page::editions() {
  begin("sec-editions", "The rules it was judged by");
  out_ << "<p>Source: " << escape(summary_.policy_source)
       << ". The texts are in our own words. Conduct is judged by the edition in force when a duty "
          "began.</p>\n";
  if (summary_.policy)
    for (const auto& edition : summary_.policy->editions()) {
      out_ << "<h3>" << escape(edition.name) << ": " << escape(edition.title)
           << "</h3>\n<p class=\"soft\">"
           << (edition.from ? "From " + time(*edition.from) : "From the beginning")
           << (edition.until ? " until " + time(*edition.until) : ", still in force") << ".</p>\n";
      write_table(
          out_, "Rules of " + edition.name, {"Rule", "Source", "Text"}, edition.rules,
          [](const policy::Rule& rule) {
            return cell(to_string(rule.id)) +
                   cell(rule.origin == RuleOrigin::project ? project_tag : escape(rule.source)) +
                   cell(escape(rule.text));
          });
    }
  out_ << "</section>\n";
}

void Page::verification() {
  const auto& trail = summary_.trail;
  begin("sec-verification", "How the trail was verified");
  std::string keys;
  for (const auto& key : summary_.keys) keys += (keys.empty() ? "" : ", ") + key;
  out_ << "<dl><dt>Verdict</dt><dd>" << to_string(trail.verdict)
       << (trail.why.empty() ? "" : ": " + escape(trail.why)) << "</dd>\n<dt>Records</dt><dd>"
       << trail.records << " read";
  if (summary_.log.first)
    out_ << ", from " << time(*summary_.log.first) << " to " << time(*summary_.log.last);
  out_ << "</dd>\n<dt>Audit keys given</dt><dd class=\"hash\">" << (keys.empty() ? "none" : keys)
       << "</dd>\n<dt>Signed heads</dt><dd>" << trail.checkpoints << "</dd>\n";
  if (trail.head)
    out_ << "<dt>Last head</dt><dd>" << escape(trail.head->head.origin) << ", "
         << trail.head->head.size << " records, root <span class=\"hash\">"
         << audit::to_hex(trail.head->head.root) << "</span></dd>\n";
  out_ << "<dt>Earlier head</dt><dd>"
       << (summary_.has_since ? "given, and extended"
                              : "none was given (--since): a log cut or forked since an earlier "
                                "visit would not be seen")
       << "</dd></dl>\n";
  if (!trail.finding_counts.empty()) {
    write_table(out_, "Findings: true, and worth a look", {"Finding", "Count"},
                trail.finding_counts, [](const auto& each) {
                  return cell(escape(each.first)) +
                         cell(std::to_string(each.second), number_column);
                });
    std::vector<audit::Finding> of_log;
    std::ranges::copy_if(trail.findings, std::back_inserter(of_log),
                         [&](const auto& each) { return !statistics_.keys.contains(each.kind); });
    write_table(out_, "Of the log itself", {"Finding", "Record", "What"}, of_log,
                [](const audit::Finding& each) {
                  return cell(escape(each.kind)) +
                         cell(each.index ? std::to_string(*each.index) : "") +
                         cell(escape(each.text));
                });
  }
  remarks(summary_.log.gaps, "Gaps: the log went on from a restored copy");
  out_ << "</section>\n";
}

void Page::limits() {
  begin("sec-limits", "What this report can't show");
  out_ << "<ul>\n<li>That the host recorded the truth. The trail proves that nobody changed it "
          "afterwards, not that what was written happened.</li>\n"
          "<li>What was cut off behind the last head that left the host. Keep this head, and give "
          "it at the next visit (<code>--since</code>).</li>\n"
          "<li>Devices that the trail never heard of, "
       << (summary_.list
               ? "other than those on the operator's list; that list is taken as it is.</li>\n"
               : "since no list was given.</li>\n")
       << "<li>That a device holds a key: it is what the device answered, or proved, to the head "
          "end that reported it.</li>\n"
          "<li>The text of SEC Appendix AT. We do not have it; it is cited by name, and its rule "
          "is in our own words.</li>\n"
          "<li>Anything about SoftHSM beyond its software: a token that is a file can be copied by "
          "whoever can read it.</li>\n"
          "<li>When something happened more exactly than the host's clock; each record says "
          "whether it was synchronised.</li>\n</ul>\n<p class=\"soft\">Made "
          "by smets1-audit "
       << escape(version()) << " without a token.</p></section>\n";
}

}  // namespace smets1kms::report::html
