// SPDX-License-Identifier: Apache-2.0
#include "report/report.hpp"

#include "audit/text.hpp"
#include "report/site.hpp"
#include "smets1kms/errors.hpp"

namespace smets1kms::report {
namespace {

/// Returns one of the trail's documents; otherwise sets why it is not there.
std::optional<std::string> find_document(audit::Log& log, const Document& document,
                                         std::string& problem) try {
  auto text = log.document(document.sha256);
  if (!text) problem = "is not in the export";
  return text;
} catch (const audit::VerificationFailed& failure) {
  problem = std::string("can't be used: ") + failure.what();
  return std::nullopt;
}

/// Lets the deviations of the last policy begin when they were recorded.
void begin_deviations(audit::Log& log, Summary& summary) {
  std::optional<policy::Policy> before;
  for (const auto& document : summary.log.documents) {
    if (document.name != "policy") continue;
    std::string problem;
    std::optional<policy::Policy> next;
    if (const auto text = find_document(log, document, problem)) try {
        next = policy::Policy::parse_document(*text);
        next->begin_deviations(document.time, before ? &*before : nullptr);
      } catch (const BadInput&) {  // of another form: nothing in it counts
      }
    before = std::move(next);
  }
  summary.policy = std::move(before);
}

/// Finds the last policy that the trail names; without one, takes the shipped editions.
void find_policy(audit::Log& log, Summary& summary) {
  const auto& all = summary.log.documents;
  const auto last = std::find_if(all.rbegin(), all.rend(),
                                 [](const Document& each) { return each.name == "policy"; });
  if (last == all.rend()) {
    summary.policy = policy::Policy::shipped();
    summary.policy_source =
        "no policy document was exported: judged by the editions this program was shipped with, "
        "unchanged";
    return;
  }
  const std::string which = "the policy document named by record " + std::to_string(last->index) +
                            " (SHA-256 " + last->sha256 + ")";
  std::string problem;
  const auto text = find_document(log, *last, problem);
  if (!text) {
    summary.policy_source = which + " " + problem + ": no duty was judged";
    return;
  }
  try {
    summary.policy = policy::Policy::parse_document(*text);
    summary.policy_source = which;
    begin_deviations(log, summary);
  } catch (const BadInput& error) {
    summary.policy_source = which + " can't be read (" + error.what() + "): no duty was judged";
  }
}

/// Reads "token TAB identity", then a line a protection: name, needed or wished, verdict, what was
/// seen.
void find_protections(audit::Log& log, Summary& summary) {
  for (const auto& document : summary.log.documents) {
    if (document.name != "token-protections") continue;
    Protections found{.document = document, .token = {}, .problem = {}, .rows = {}};
    const auto text = find_document(log, document, found.problem);
    std::string_view rest = text ? std::string_view(*text) : std::string_view();
    for (bool first = true; !rest.empty(); first = false) {
      auto line = audit::take_word(rest, '\n');
      const auto take_cell = [&] { return std::string(audit::take_word(line, '\t')); };
      const auto name = take_cell();
      if (first && name == "token")
        found.token = line;
      else if (first)
        break;
      else
        found.rows.push_back({.name = name,
                              .needed = take_cell(),
                              .verdict = take_cell(),
                              .seen = std::string(line)});
    }
    if (text && found.token.empty()) found.problem = "is not in the form that this program knows";
    summary.protections.push_back(std::move(found));
  }
}

/// Files of a report: refused before the long work where one is there already, removed where it
/// fails.
struct Files {
  explicit Files(const Options& options) {
    if (options.html) {
      html.emplace(*options.html);
      if (std::filesystem::exists(beside(*options.html, "-devices")))
        throw BadInput(
            beside(*options.html, "-devices").string() +
            " is there already: the pages of a large fleet would go there; name another --html");
    }
    if (options.json) {
      json.emplace(*options.json);
      lines.emplace(beside(*options.json, "-devices.jsonl"));
    }
    if (options.csv) csv.emplace(*options.csv);
    if (csv) csv->out() << csv_header;
  }
  void keep() {
    for (auto* file : {&html, &json, &lines, &csv})
      if (*file) (*file)->keep();
  }
  std::optional<NewFile> html, json, lines, csv;
};

}  // namespace

Summary make_report(audit::Log& log, const Options& options) {
  Files files(options);
  Events events;
  Summary summary;
  if (options.fleet_list) summary.list = read_fleet_list(*options.fleet_list, events);
  Collector collector(events, options.at);
  audit::VerifyOptions checks = options.checks;
  checks.for_each_record = [&](const audit::RecordView& record, const audit::RecordSummary& step) {
    collector.add(record, step);
  };
  summary.trail = audit::verify(log, checks);
  summary.size = log.size();
  summary.log = collector.facts();
  summary.has_since = checks.since.has_value();
  for (const auto& key : checks.keys) summary.keys.push_back(audit::to_hex(key.id()));
  summary.now_given = options.at.has_value();
  summary.now = options.at ? *options.at : summary.log.last.value_or(Time{});
  find_policy(log, summary);
  find_protections(log, summary);

  const policy::Policy* policy = summary.policy ? &*summary.policy : nullptr;
  const bool paged =
      std::max(collector.devices(), summary.list ? summary.list->lines : 0) > Site::largest_page;
  summary.statistics = Statistics(policy, summary.now, summary.list.has_value(),
                                  paged ? Capped<int>::most : 2 * Site::largest_page);
  summary.statistics.targets = summary.log.targets;
  summary.statistics.doubtful = summary.log.doubtful;
  std::optional<Site> site;
  if (options.html)
    site.emplace(*options.html, paged,
                 "Key changes of " +
                     (summary.trail.head ? summary.trail.head->head.origin : "an unverified trail"),
                 banner(summary));
  if (site && paged)
    summary.statistics.listed = [&](const std::string& slug, const PageRef& place) {
      site->list(slug, summary.statistics.lists[slug].title, place);
    };
  Lookup lookup(log);
  std::uint64_t done = 0;
  events.for_each_device([&](std::span<const Event> of_device) {
    // A refusal may name a device that does not exist: a mistyped id.
    if (std::ranges::all_of(of_device,
                            [](const Event& event) { return event.what == EventKind::refused; }))
      return;
    Device device = device_facts(of_device, policy, summary.now);
    for (auto& problem : device.problems)
      if (problem.kind == Problem::Kind::without_kek)
        problem.why = lookup.record(*problem.event).text(audit::Field::detail);
    const PageRef place = site ? site->next(device.id) : PageRef{.device = device.id};
    summary.statistics.add_device(device, place, lookup);
    if (site) site->add(device, place, lookup);
    if (files.lines) output::write_line(files.lines->out(), device_fields(), {device, place});
    if (files.csv) files.csv->out() << csv_lines(device);
    if (checks.progress && (++done & 1023) == 0)
      checks.progress("devices judged", done, collector.devices());
  });
  summary.statistics.listed = {};
  summary.answer =
      answer(summary.statistics, summary.trail.verdict, policy, summary.list.has_value());
  if (site) {
    site->finish();
    write_summary(
        files.html->out(), summary, site->directory(),
        paged ? std::function<void(std::ostream&)>()
              : [&](std::ostream& out) { site->write_devices(out); });
  }
  if (files.json) {
    summary.devices_file = beside(*options.json, "-devices.jsonl").filename().string();
    output::write_line(files.json->out(), summary_fields(), summary);
  }
  files.keep();
  if (site) site->keep();
  return summary;
}

}  // namespace smets1kms::report
