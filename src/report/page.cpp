// SPDX-License-Identifier: Apache-2.0
#include "report/page.hpp"

namespace smets1kms::report {

std::string banner(const Summary& summary) {
  const auto& trail = summary.trail;
  const bool good = trail.verdict == audit::Verdict::verified;
  std::string keys;
  for (const auto& key : summary.keys) keys += (keys.empty() ? "" : ", ") + key;
  std::string text = "<p class=\"banner " + std::string(good ? "good" : "bad") + "\"><strong>" +
                     std::string(to_string(trail.verdict)) + "</strong>: ";
  if (good)
    text += "the audit trail " + html::escape(trail.head->head.origin) + " of " +
            std::to_string(trail.records) + " records, up to its head of " +
            std::to_string(trail.head->head.size) + " records, by audit key " + keys +
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
  html::Page page(out, summary, directory);
  page.first_screen();
  page.distribution();
  page.breaches();
  page.doubts();
  page.exemptions();
  page.deviations();
  page.compromises();
  page.destructions();
  page.reconciliation();
  page.token();
  page.editions();
  page.verification();
  page.limits();
  page.lists();
  if (devices) {
    out << "<section id=\"all-devices\"><h2>Devices and their records</h2>\n";
    devices(out);
    out << "</section>\n";
  }
  html::end_page(out);
}

namespace html {

using Status = DutyStatus;

void Page::begin(const char* id, const char* title) {
  out_ << "<section id=\"" << id << "\"><h2>" << title << "</h2>\n";
}

std::string Page::number(const std::string& slug) const {
  const auto count = statistics_.number(slug);
  const std::string data = " data-number=\"" + slug + "\"";
  if (count == 0) return "<span" + data + ">0</span>";
  return "<a" + data + " href=\"#" + slug + "\">" + std::to_string(count) + "</a>";
}

std::string Page::devices(const std::string& slug) const {
  return number(slug) + (statistics_.number(slug) == 1 ? " device" : " devices");
}

void Page::capped(std::uint64_t shown, std::uint64_t count, const char* what) {
  if (count > shown)
    out_ << "<p class=\"soft\">The first " << shown << " of " << count << " " << what << ".</p>\n";
}

void Page::first_screen() {
  const auto& answer = summary_.answer;
  out_ << "<h1>Are the keys of this fleet changed as the rules ask?</h1>\n<p class=\"soft\">As of "
       << time(summary_.now)
       << (summary_.now_given ? ", the moment asked for" : ", the time of the last record") << ".";
  if (summary_.log.later != 0)
    out_ << " " << summary_.log.later << " later records are passed over.";
  if (summary_.now_given && summary_.log.last && summary_.now > *summary_.log.last)
    out_ << " The trail ends at " << time(*summary_.log.last)
         << ": what was done after that is not known here, and counts as not done.";
  out_ << "</p>\n<p class=\"answer " << (answer.good ? "good" : "bad") << "\">"
       << escape(answer.headline) << ".</p>\n";
  if (!answer.remarks.empty()) {
    out_ << "<ul>";
    for (const auto& each : answer.remarks) out_ << "<li>" << escape(each) << ".</li>";
    out_ << "</ul>\n";
  }
  out_ << "<p class=\"soft\">Only the regulator's duties decide this (S1SR clause 20, SEC Appendix "
          "AT). What is a <span class=\"tag project\">project "
          "rule</span> is ours, "
          "stands apart and never counts.</p>\n<div class=\"columns\">\n<section "
          "id=\"sec-status\"><h2>Devices in each status</h2>\n";
  statuses();
  wanted("The life of the devices", {{"devices", "in the trail"},
                                     {"in-service", "in service"},
                                     {"suspended", "of them suspended"},
                                     {"recommissioned", "recommissioned at least once"},
                                     {"decommissioned", "decommissioned"}});
  out_ << "</section>\n<section id=\"sec-person\"><h2>What needs a person</h2>\n";
  wanted("Devices that need a person",
         {{"overdue-now", "overdue by the regulator's rules"},
          {"due-soon", "due soon by the regulator's rules"},
          {"outcome-unknown", "outcome unknown: all that is missing is in doubt"},
          {"in-doubt", "with a rotation in doubt"},
          {"unproven", "with a KEK that is not proved yet"},
          {"open-intent", "with an operation begun and not ended"},
          {"conflict", "with a conflict in the token"},
          {"facts-unknown", "can't be judged: facts unknown"},
          {"overdue-now-project", "overdue by a <span class=\"tag project\">project rule</span>"}});
  if (summary_.list)
    wanted("Against the operator's list",
           {{"unheard", "the trail has never heard of"},
            {"unlisted", "missing on the list"},
            {"kind-differs", "of another kind there"},
            {"date-differs", "with another date there"},
            {"listed-decommissioned", "listed, and decommissioned"}});
  if (!summary_.trail.finding_counts.empty())
    out_ << "<p>The log itself has findings: <a href=\"#sec-verification\">verification</a>.</p>\n";
  out_ << "</section>\n</div>\n";
}

void Page::statuses() {
  if (!summary_.policy) {
    out_ << "<p>No duty was judged: " << escape(summary_.policy_source) << ".</p>\n";
    return;
  }
  const char* caption =
      "Devices with a duty in this status; with several duties they can be in several rows";
  out_ << "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Devices in each "
          "status\"><table class=\"status\"><caption>"
       << caption << "</caption><thead><tr><th scope=\"col\">Status</th>";
  for (const auto& column : statistics_.columns)
    out_ << "<th scope=\"col\" class=\"n\">" << rule_label(column, *summary_.policy) << "</th>";
  out_ << "</tr></thead><tbody>\n";
  constexpr Status order[] = {
      Status::overdue,       Status::outcome_unknown, Status::due_soon,
      Status::pending,       Status::met_late,        Status::met,
      Status::lapsed,        Status::closed,          Status::exempt_unsupported,
      Status::not_applicable};
  for (const auto status : order) {
    out_ << "<tr><th scope=\"row\">" << to_string(status) << "</th>";
    for (const auto& column : statistics_.columns)
      out_ << "<td class=\"n\">" << number(column.slug() + "-" + std::string(to_string(status)))
           << "</td>";
    out_ << "</tr>\n";
  }
  end_table(out_);
}

void Page::wanted(const char* caption, std::initializer_list<Wanted> all) {
  begin_table(out_, caption, {"Devices", "What"});
  for (const auto& each : all)
    out_ << "<tr><td class=\"n\">" << number(each.slug) << "</td><td>" << each.what
         << "</td></tr>\n";
  end_table(out_);
}

void Page::distribution() {
  begin("sec-distribution", "From commissioning to confirmed replacement");
  out_ << "<p>P1: every key that the device supports and the rule names, generated after its "
          "commissioning and confirmed by the device, in the time that the "
          "edition in force gives. The regulator's is 7 days (the earlier of 168 h and the end of "
          "the seventh following day in Europe/London). Devices "
          "decommissioned before it was due are left out. What is late is judged by each "
          "device's own deadline, which a clock change brings forward and a deviation puts "
          "off.</p>\n<div class=\"columns\">\n";
  chart();
  begin_table(out_, "The same as numbers", {"Time", "Devices", "Of them late"});
  for (std::size_t i = 0; i < buckets.size(); ++i)
    out_ << "<tr><td>" << buckets[i].title << "</td><td class=\"n\">"
         << number(std::string(buckets[i].slug)) << "</td><td class=\"n\">" << statistics_.late[i]
         << "</td></tr>\n";
  end_table(out_);
  out_ << "</div></section>\n";
}

/// Writes a chart of horizontal bars, so that the words beside them stay readable on a narrow page.
void Page::chart() {
  constexpr int row = 19, top = 6, left = 108, width = 190, gap = 8;
  std::uint64_t most = 1;
  for (const auto& each : buckets)
    most = std::max(most, statistics_.number(std::string(each.slug)));
  const auto place = [&](std::size_t i) {
    return top + static_cast<int>(i) * row + (i >= limit_bucket ? gap : 0) +
           (i + 1 == buckets.size() ? gap : 0);
  };
  const int height = place(buckets.size() - 1) + row + 4;
  out_ << "<figure style=\"margin:0\"><svg viewBox=\"0 0 360 " << height
       << "\" role=\"img\" aria-labelledby=\"chart-title chart-desc\">"
       << "<title id=\"chart-title\">Time from commissioning to confirmed replacement</title><desc "
          "id=\"chart-desc\">A bar for each number of days, with the "
          "number of devices; "
          "a dashed line stands at the regulator's limit of 7 days. The table beside it has the "
          "same numbers.</desc>\n";
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const auto count = statistics_.number(std::string(buckets[i].slug)), late = statistics_.late[i];
    const auto length = [&](std::uint64_t n) {
      return n == 0 ? 0.0
                    : std::max(1.0, static_cast<double>(n) * width / static_cast<double>(most));
    };
    const double on_time = length(count - late), is_late = length(late);
    const bool open = i + 1 == buckets.size();
    const std::string lateness = open ? "past the deadline" : "late";
    out_ << "<text x=\"" << left - 6 << "\" y=\"" << place(i) + 12 << "\" text-anchor=\"end\">"
         << buckets[i].title << "</text>";
    out_ << "<rect class=\"" << (open ? "open" : "met") << "\" x=\"" << left << "\" y=\""
         << place(i) + 1 << "\" width=\"" << on_time << "\" height=\"14\"/>";
    out_ << "<rect class=\"late\" x=\"" << static_cast<double>(left) + on_time << "\" y=\""
         << place(i) + 1 << "\" width=\"" << is_late << "\" height=\"14\"/>";
    out_ << "<text x=\"" << static_cast<double>(left) + on_time + is_late + 5 << "\" y=\""
         << place(i) + 12 << "\">" << count
         << (late != 0 && late != count ? " (" + std::to_string(late) + " " + lateness + ")"
             : late != 0                ? " " + lateness
                                        : "")
         << "</text>\n";
  }
  const int line = place(limit_bucket) - gap / 2 - 1;
  out_ << "<line class=\"limit\" x1=\"0\" x2=\"360\" y1=\"" << line << "\" y2=\"" << line
       << "\"/><text class=\"note\" x=\"358\" y=\"" << line - 4
       << "\" text-anchor=\"end\">regulator's limit: 7 days</text></svg></figure>\n";
}

void Page::breach_cases(const Capped<BreachCase>& some, const char* caption, const char* what) {
  if (some.count == 0) return;
  capped(some.first.size(), some.count, what);
  begin_table(out_, caption, {"Device", "Rule", "Status", "Required by", "What happened"}, true);
  for (const auto& breach_case : some.first) {
    const auto& duty = breach_case.duty;
    out_ << "<tr><td>" << links_.device(breach_case.place) << "</td><td>" << rule_label(duty)
         << "</td><td>" << status_mark(duty.status, duty.breach) << "<br><small>" << margin_of(duty)
         << "</small></td><td data-label=\"Required by\">" << required(duty) << "</td><td>";
    write_facts(out_, duty, breach_case.who, breach_case.place, links_);
    out_ << "</td></tr>\n";
  }
  end_table(out_);
}

void Page::breaches() {
  begin("sec-breaches", "Breaches, and what was mended late");
  out_ << "<p>Of a regulator's duty: " << devices("breaches") << ". " << number("overdue-now")
       << " overdue now, " << number("breaches-late") << " met after the deadline, "
       << number("breaches-past")
       << " never met, where nothing can be done any more (the rule has ended, or the device is "
          "gone).</p>\n";
  breach_cases(statistics_.breach_cases, "Regulator's duties that were not met in time",
               "breaches");
  out_ << "<h3>Project rule: deadlines missed</h3>\n<p>" << devices("breaches-project")
       << ". These are no breaches of the regulator's rules.</p>\n";
  breach_cases(statistics_.project_stories, "Project rule: not met in time", "missed deadlines");
  out_ << "</section>\n";
}

void Page::keys(const std::string& slug, const char* caption) {
  const auto& rows = statistics_.keys.at(slug);
  if (rows.count == 0) return;
  capped(rows.first.size(), rows.count, "keys");
  begin_table(out_, caption, {"Device", "Key", "Since", "What", "Who"}, true);
  for (const auto& row : rows.first)
    out_ << "<tr><td>" << links_.device(row.place) << "</td><td>" << escape(row.key) << "</td><td>"
         << time(row.time) << "<br><small>" << links_.record(row.place, row.index)
         << "</small></td><td>" << escape(row.what) << "</td><td>" << escape(row.who)
         << "</td></tr>\n";
  end_table(out_);
}

void Page::remarks(const Capped<RecordNote>& some, const char* caption) {
  if (some.count == 0) return;
  capped(some.first.size(), some.count, "records");
  begin_table(out_, caption, {"Index", "Time", "Device", "What it says"}, true);
  for (const auto& each : some.first)
    out_ << "<tr><td>" << each.index << "</td><td>" << time(each.time) << "</td><td class=\"id\">"
         << escape(each.device) << "</td><td>" << escape(each.text) << "</td></tr>\n";
  end_table(out_);
}

void Page::lists() {
  begin("sec-lists", "The devices behind the numbers");
  if (!links_.directory().empty())
    out_ << "<p><a href=\"" << links_.directory() << "index.html\">All devices, by page</a></p>\n";
  for (const auto& [slug, list] : statistics_.lists) {
    if (list.count == 0) continue;
    out_ << "<section id=\"" << slug << "\"><h3>" << escape(list.title) << ": " << list.count
         << "</h3>\n";
    if (!links_.directory().empty())
      out_ << "<p><a href=\"" << links_.directory() << page_name(slug, 1) << "\">All " << list.count
           << " of them (" << escape(list.title) << ")</a>"
           << (list.count > list.first.size()
                   ? "; here the first " + std::to_string(list.first.size())
                   : "")
           << ".</p>\n";
    out_ << "<ul class=\"ids\">\n";
    for (const auto& place : list.first) out_ << "<li>" << links_.device(place) << "</li>\n";
    out_ << "</ul></section>\n";
  }
  out_ << "</section>\n";
}

}  // namespace html
}  // namespace smets1kms::report
