// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "audit/text.hpp"
#include "report/html.hpp"
#include "report/report.hpp"
#include "smets1kms/version.hpp"

namespace smets1kms::report {
namespace html {
namespace {

using Status = DutyStatus;

/// Values of the summary page, page/page.html, as HTML.
class Page {
 public:
  Page(const Summary& summary, std::string directory);
  /// Returns the value of that name: one of `values_`, or of a word and what it is of, like "number
  /// breaches".
  [[nodiscard]] std::string value(std::string_view name) const;

 private:
  [[nodiscard]] std::string statuses() const;
  [[nodiscard]] std::string distribution() const;
  [[nodiscard]] std::string breach_cases(const Capped<BreachCase>& some, const char* caption,
                                         const char* what) const;
  [[nodiscard]] std::string keys(const std::string& slug, std::string_view caption) const;
  [[nodiscard]] std::string reasons(const Capped<std::pair<PageRef, std::string>>& some,
                                    const char* what, const char* caption,
                                    const char* column) const;
  [[nodiscard]] std::string adjustments() const;
  [[nodiscard]] std::string adjustments(bool deviation, const char* caption) const;
  [[nodiscard]] std::string refusals() const;
  [[nodiscard]] std::string protections() const;
  [[nodiscard]] std::string editions() const;
  [[nodiscard]] std::string findings() const;
  [[nodiscard]] std::string lists() const;
  /// A number with a link to the devices behind it.
  [[nodiscard]] std::string number(const std::string& slug) const;

  const Summary& summary_;
  const Statistics& statistics_;
  Links links_;
  std::map<std::string, std::string, std::less<>> values_;
};

std::string records(const Capped<RecordNote>& some, std::string_view caption) {
  return capped_table(some, "records", caption, {"Index", "Time", "Device", "What it says"},
                      [](const RecordNote& each) {
                        return cell(std::to_string(each.index)) + cell(time(each.time)) +
                               cell(escape(each.device), " class=\"id\"") + cell(escape(each.text));
                      });
}

std::string paragraph(const std::string& text) { return "<p>" + text + ".</p>\n"; }

Page::Page(const Summary& summary, std::string directory)
    : summary_(summary), statistics_(summary.statistics), links_(std::move(directory)) {
  const auto& trail = summary.trail;
  const auto& log = summary.log;
  const auto& answer = summary.answer;
  const auto unless_0 = [](std::uint64_t n) { return n == 0 ? "" : std::to_string(n); };
  std::string remarks, tokens, list, head;
  for (const auto& each : answer.remarks) remarks += "<li>" + escape(each) + ".</li>";
  for (const auto& [token, count] : log.tokens)
    tokens += paragraph(escape(token) + ": " + std::to_string(count) + " records");
  if (summary.list)
    list = escape(summary.list->file) + ", " + std::to_string(summary.list->lines) +
           " lines (SHA-256 <span class=\"hash\">" + summary.list->sha256 + "</span>)";
  if (trail.head)
    head = escape(trail.head->head.origin) + ", " + std::to_string(trail.head->head.size) +
           " records, root <span class=\"hash\">" + audit::to_hex(trail.head->head.root) +
           "</span>";
  std::uint64_t refused = 0;
  for (const auto& [word, some] : log.refusals) refused += some.count;
  values_ = {
      {"now", time(summary.now)},
      {"asked", summary.now_given ? "yes" : ""},
      {"later", unless_0(log.later)},
      {"end", summary.now_given && log.last && summary.now > *log.last ? time(*log.last) : ""},
      {"answer", answer.good ? "good" : "bad"},
      {"headline", escape(answer.headline)},
      {"remarks", remarks},
      {"statuses", statuses()},
      {"distribution", distribution()},
      {"breaches", breach_cases(statistics_.breach_cases,
                                "Regulator's duties that were not met in time", "breaches")},
      {"missed-deadlines", breach_cases(statistics_.project_stories,
                                        "Project rule: not met in time", "missed deadlines")},
      {"unknown", reasons(statistics_.unknown, "devices", "Facts unknown: never guessed", "Why")},
      {"adjustments", adjustments()},
      {"targets", handovers(statistics_.targets)},
      {"justified", std::to_string(log.justified.count)},
      {"refused", std::to_string(refused)},
      {"refusals", refusals()},
      {"tokens-compromised", std::to_string(log.token_compromises.count)},
      {"list", list},
      {"differences", reasons(statistics_.differing, "differences", "Differences", "What differs")},
      {"tokens", tokens.empty() ? paragraph("No record names a token") : tokens},
      {"unprotected", unless_0(log.unprotected)},
      {"protections", protections()},
      {"policy-source", escape(summary.policy_source)},
      {"editions", editions()},
      {"verdict",
       std::string(to_string(trail.verdict)) + (trail.why.empty() ? "" : ": " + escape(trail.why))},
      {"read", std::to_string(trail.records)},
      {"times", log.first ? "from " + time(*log.first) + " to " + time(*log.last) : ""},
      {"audit-keys", audit::join_words(summary.keys)},
      {"checkpoints", std::to_string(trail.checkpoints)},
      {"head", head},
      {"since", summary.has_since ? "yes" : ""},
      {"findings", findings()},
      {"version", escape(version())},
      {"directory", links_.directory()},
      {"lists", lists()},
  };
}

std::string Page::value(std::string_view name) const {
  if (const auto found = values_.find(name); found != values_.end()) return found->second;
  const auto word = audit::take_word(name);
  const std::string slug(audit::take_word(name));
  const auto& log = summary_.log;
  if (word == "number") return number(slug);
  if (word == "devices")
    return number(slug) + (statistics_.number(slug) == 1 ? " device" : " devices");
  if (word == "key-count") return std::to_string(statistics_.keys.at(slug).count);
  if (word == "keys") return keys(slug, name);
  if (word != "records") throw std::logic_error("page.html: " + std::string(word) + " is unknown");
  return records(slug == "justified"           ? log.justified
                 : slug == "token-compromises" ? log.token_compromises
                 : slug == "gaps"              ? log.gaps
                                               : log.audit_keys,
                 name);
}

std::string Page::number(const std::string& slug) const {
  if (!statistics_.lists.contains(slug)) throw std::logic_error("page.html: no list is " + slug);
  const auto count = statistics_.number(slug);
  const std::string data = " data-number=\"" + slug + "\"";
  if (count == 0) return "<span" + data + ">0</span>";
  return "<a" + data + " href=\"#" + slug + "\">" + std::to_string(count) + "</a>";
}

std::string Page::statuses() const {
  if (!summary_.policy) return paragraph("No duty was judged: " + escape(summary_.policy_source));
  std::string text =
      "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Devices in each "
      "status\"><table class=\"status\"><caption>Devices with a duty in this status; with several "
      "duties they can be in several rows</caption><thead><tr><th scope=\"col\">Status</th>";
  for (const auto& column : statistics_.columns)
    text += "<th scope=\"col\" class=\"n\">" + rule_label(column, *summary_.policy) + "</th>";
  text += "</tr></thead><tbody>\n";
  constexpr Status order[] = {
      Status::overdue,       Status::outcome_unknown, Status::due_soon,
      Status::pending,       Status::met_late,        Status::met,
      Status::lapsed,        Status::closed,          Status::exempt_unsupported,
      Status::not_applicable};
  for (const auto status : order) {
    const std::string name(to_string(status));
    text += "<tr><th scope=\"row\">" + name + "</th>";
    for (const auto& column : statistics_.columns)
      text += cell(number(column.slug() + "-" + name), number_column);
    text += "</tr>\n";
  }
  return text + table_end;
}

std::string Page::distribution() const {
  return chart(statistics_) +
         table("The same as numbers", {"Time", "Devices", "Of them late"}, buckets,
               [&](const Bucket& each) {
                 const auto late = statistics_.late[static_cast<std::size_t>(&each - &buckets[0])];
                 return cell(each.title) + cell(number(std::string(each.slug)), number_column) +
                        cell(std::to_string(late), number_column);
               });
}

std::string Page::breach_cases(const Capped<BreachCase>& some, const char* caption,
                               const char* what) const {
  return capped_table(
      some, what, caption, {"Device", "Rule", "Status", "Required by", "What happened"},
      [&](const BreachCase& each) {
        const auto& duty = each.duty;
        return cell(links_.device(each.place)) + cell(rule_label(duty)) +
               cell(status_mark(duty.status, duty.breach) + small_line(margin_of(duty))) +
               cell(required(duty), required_column) +
               cell(facts_of(duty, each.who, each.place, links_));
      });
}

std::string Page::keys(const std::string& slug, std::string_view caption) const {
  return capped_table(
      statistics_.keys.at(slug), "keys", caption, {"Device", "Key", "Since", "What", "Who"},
      [&](const KeyRow& row) {
        return cell(links_.device(row.place)) + cell(escape(row.key)) +
               cell(time(row.time) + small_line(links_.record(row.place, row.index))) +
               cell(escape(row.what)) + cell(escape(row.who));
      });
}

std::string Page::reasons(const Capped<std::pair<PageRef, std::string>>& some, const char* what,
                          const char* caption, const char* column) const {
  const auto row = [&](const auto& each) {
    return cell(links_.device(each.first)) + cell(escape(each.second));
  };
  return capped_table(some, what, caption, {"Device", column}, row, false);
}

std::string Page::adjustments(bool deviation, const char* caption) const {
  std::vector<policy::Adjustment> all;
  std::ranges::copy_if(summary_.policy->adjustments(), std::back_inserter(all),
                       [&](const auto& each) { return each.deviation == deviation; });
  if (all.empty()) return {};
  return table(
      caption, {"Rule", "Numbers", "From", "Until", "Who", "Why"}, all,
      [&](const policy::Adjustment& each) {
        return cell(std::string(to_string(each.rule)) + (deviation ? "" : " ") +
                    (deviation ? "" : project_tag) + small_line(escape(each.edition))) +
               cell((each.within ? "within " + policy::to_string(*each.within) : "") +
                    (each.due_soon ? " due soon " + policy::to_string(*each.due_soon) + " before"
                                   : "")) +
               cell(time(each.from)) + cell(each.until ? time(*each.until) : "no end") +
               cell(escape(each.who) + (each.authorised_by.empty()
                                            ? ""
                                            : ", authorised by " + escape(each.authorised_by))) +
               cell(escape(each.why));
      });
}

std::string Page::adjustments() const {
  if (!summary_.policy) return {};
  if (summary_.policy->adjustments().empty())
    return paragraph("The policy has no deviation and no adjustment");
  return adjustments(true, "Deviations from a regulator's number") +
         adjustments(false, "Adjustments of project numbers");
}

std::string Page::refusals() const {
  std::string text;
  for (const auto& [word, some] : summary_.log.refusals)
    text += records(some, "Refused: " + word + ", " + std::to_string(some.count) + " times");
  return text;
}

std::string Page::protections() const {
  std::string text;
  for (const auto& each : summary_.protections) {
    text += "<h3>Tried at record " + std::to_string(each.document.index) + "</h3>\n";
    if (!each.problem.empty())
      text += paragraph("The document with SHA-256 <span class=\"hash\">" +
                        escape(each.document.sha256) + "</span> " + escape(each.problem));
    else
      text +=
          table("Protections of " + each.token, {"Protection", "Asked", "Verdict", "What was seen"},
                each.rows, [](const Protections::Row& row) {
                  return cell(escape(row.name)) + cell(escape(row.needed)) +
                         cell(escape(row.verdict)) + cell(escape(row.seen));
                });
  }
  return !text.empty() ? text
                       : paragraph(
                             "The trail names no record of what the token was tried for "
                             "(token-protections)");
}

std::string Page::editions() const {
  std::string text;
  if (!summary_.policy) return text;
  for (const auto& edition : summary_.policy->editions())
    text += "<h3>" + escape(edition.name) + ": " + escape(edition.title) +
            "</h3>\n<p class=\"soft\">" +
            (edition.from ? "From " + time(*edition.from) : "From the beginning") +
            (edition.until ? " until " + time(*edition.until) : ", still in force") + ".</p>\n" +
            table("Rules of " + edition.name, {"Rule", "Source", "Text"}, edition.rules,
                  [](const policy::Rule& rule) {
                    return cell(to_string(rule.id)) +
                           cell(rule.origin == RuleOrigin::project ? project_tag
                                                                   : escape(rule.source)) +
                           cell(escape(rule.text));
                  });
  return text + "<p>" + project_tag + " A fact from the field that was recorded more than " +
         policy::to_string(summary_.policy->recorded_late()) +
         " late counts from its record wherever its own time would help.</p>\n";
}

std::string Page::findings() const {
  const auto& trail = summary_.trail;
  if (trail.finding_counts.empty()) return {};
  std::vector<audit::Finding> of_log;
  std::ranges::copy_if(trail.findings, std::back_inserter(of_log),
                       [&](const auto& each) { return !statistics_.keys.contains(each.kind); });
  return table("Findings: true, and worth a look", {"Finding", "Count"}, trail.finding_counts,
               [](const auto& each) {
                 return cell(escape(each.first)) + cell(std::to_string(each.second), number_column);
               }) +
         table("Of the log itself", {"Finding", "Record", "What"}, of_log,
               [](const audit::Finding& each) {
                 return cell(escape(each.kind)) +
                        cell(each.index ? std::to_string(*each.index) : "") +
                        cell(escape(each.text));
               });
}

std::string Page::lists() const {
  std::string text;
  for (const auto& [slug, list] : statistics_.lists) {
    if (list.count == 0) continue;
    const auto title = escape(list.title), count = std::to_string(list.count);
    text += "<section id=\"" + slug + "\"><h3>" + title + ": " + count + "</h3>\n";
    if (!links_.directory().empty())
      text += paragraph("<a href=\"" + links_.directory() + page_name(slug, 1) + "\">All " + count +
                        " of them (" + title + ")</a>" +
                        (list.count > list.first.size()
                             ? "; here the first " + std::to_string(list.first.size())
                             : ""));
    text += "<ul class=\"ids\">\n";
    for (const auto& place : list.first) text += "<li>" + links_.device(place) + "</li>\n";
    text += "</ul></section>\n";
  }
  return text;
}

}  // namespace
}  // namespace html

std::string banner(const Summary& summary) {
  const auto& trail = summary.trail;
  const bool good = trail.verdict == audit::Verdict::verified;
  std::string text = "<p class=\"banner " + std::string(good ? "good" : "bad") + "\"><strong>" +
                     std::string(to_string(trail.verdict)) + "</strong>: ";
  if (good)
    text += "the audit trail " + html::escape(trail.head->head.origin) + " of " +
            std::to_string(trail.records) + " records, up to its head of " +
            std::to_string(trail.head->head.size) + " records, by audit key " +
            audit::join_words(summary.keys) +
            (summary.has_since ? "; it extends the head that was kept from an earlier visit" : "") +
            ".";
  else
    text += html::escape(trail.why) + ". <strong>Nothing on this page is proved" +
            (trail.records < summary.size ? ", and only " + std::to_string(trail.records) + " of " +
                                                std::to_string(summary.size) + " records are in it"
                                          : "") +
            ".</strong>";
  return text + "</p>";
}

void write_summary(std::ostream& out, const Summary& summary, const std::string& directory,
                   const std::function<void(std::ostream&)>& devices) {
  html::begin_page(
      out,
      "Key changes of " +
          (summary.trail.head ? summary.trail.head->head.origin : "an unverified trail") +
          ", as of " + format_time(summary.now),
      banner(summary));
  const html::Page page(summary, directory);
  out << html::fill(html::page_text("page.html"),
                    [&](std::string_view name) { return page.value(name); });
  if (devices) {
    out << "<section id=\"all-devices\"><h2>Devices and their records</h2>\n";
    devices(out);
    out << "</section>\n";
  }
  html::end_page(out);
}

}  // namespace smets1kms::report
