// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "report/report.hpp"

namespace smets1kms::report {
namespace {

using Json = nlohmann::ordered_json;

Json duty_of(const BreachCase& story) {
  const auto& duty = story.duty;
  Json json{{"device", audit::device_name(story.place.device)},
            {"rule", to_string(duty.id)},
            {"whose", to_string(whose(duty))},
            {"edition", duty.edition->name},
            {"status", to_string(duty.status)},
            {"began", format_time(duty.began)}};
  if (duty.limit) json["deadline"] = format_time(duty.limit->deadline);
  if (const auto when = ended(duty)) json["ended"] = format_time(*when);
  json["facts"] = Json::array();
  for (std::size_t i = 0; i < duty.facts.size(); ++i) {
    Json fact{{"what", to_string(duty.facts[i])}, {"at", format_time(duty.facts[i].moment.at)}};
    if (duty.facts[i].moment.record) fact["record"] = *duty.facts[i].moment.record;
    if (i < story.who.size() && !story.who[i].empty()) fact["who"] = story.who[i];
    json["facts"].push_back(std::move(fact));
  }
  return json;
}

Json remarks(const Capped<Remark>& some) {
  Json list = Json::array();
  for (const auto& each : some.first)
    list.push_back({{"record", each.index},
                    {"time", format_time(each.time)},
                    {"device", each.device},
                    {"text", each.text}});
  return {{"count", some.count}, {"first", std::move(list)}};
}

Json editions_of(const policy::Policy& policy) {
  Json list = Json::array();
  for (const auto& edition : policy.editions()) {
    Json rules = Json::array();
    for (const auto& rule : edition.rules)
      rules.push_back({{"rule", to_string(rule.id)},
                       {"whose", to_string(rule.origin)},
                       {"source", rule.source},
                       {"text", rule.text}});
    Json each{{"name", edition.name}, {"title", edition.title}};
    if (edition.from) each["from"] = format_time(*edition.from);
    if (edition.until) each["until"] = format_time(*edition.until);
    each["rules"] = std::move(rules);
    list.push_back(std::move(each));
  }
  return list;
}

Json adjustments_of(const policy::Policy& policy) {
  Json list = Json::array();
  for (const auto& each : policy.adjustments()) {
    Json json{{"edition", each.edition},
              {"rule", to_string(each.rule)},
              {"deviation", each.deviation},
              {"from", format_time(each.from)}};
    if (each.until) json["until"] = format_time(*each.until);
    if (each.within) json["within"] = policy::to_string(*each.within);
    json["who"] = each.who;
    json["why"] = each.why;
    list.push_back(std::move(json));
  }
  return list;
}

Json verification_of(const Summary& summary) {
  const auto& trail = summary.trail;
  Json json{{"verdict", to_string(trail.verdict)}};
  if (!trail.why.empty()) json["why"] = trail.why;
  if (trail.index) json["index"] = *trail.index;
  json.update({{"records", trail.records},
               {"checkpoints", trail.checkpoints},
               {"keys", summary.keys},
               {"since_given", summary.has_since}});
  if (trail.head)
    json["head"] = {{"origin", trail.head->head.origin},
                    {"size", trail.head->head.size},
                    {"root", audit::to_hex(trail.head->head.root)}};
  json["finding_counts"] = trail.finding_counts;
  return json;
}

}  // namespace

void write_summary_json(std::ostream& out, const Summary& summary, const std::string& lines_file) {
  const auto& statistics = summary.statistics;
  Json json{{"verification", verification_of(summary)},
            {"as_of", format_time(summary.now)},
            {"answer",
             {{"compliant", summary.answer.good},
              {"headline", summary.answer.headline},
              {"remarks", summary.answer.remarks}}}};
  Json& all = json["numbers"] = Json::object();
  for (const auto& [slug, list] : statistics.lists) all[slug] = list.count;
  for (const auto& [slug, count] : statistics.counts) all[slug] = count;
  for (const auto& [slug, rows] : statistics.keys) all["keys-" + slug] = rows.count;
  Json& titles = json["titles"] = Json::object();
  for (const auto& [slug, list] : statistics.lists) titles[slug] = list.title;
  Json& late = json["late"] = Json::object();
  for (std::size_t i = 0; i < buckets.size(); ++i)
    late[std::string(buckets[i].slug)] = statistics.late[i];
  for (const auto& [name, breach_cases] :
       {std::pair("breaches", &statistics.breach_cases),
        {"project_rule_breaches", &statistics.project_stories}}) {
    json[name] = {{"count", breach_cases->count}, {"first", Json::array()}};
    for (const auto& story : breach_cases->first) json[name]["first"].push_back(duty_of(story));
  }
  for (const auto& [slug, rows] : statistics.keys) {
    Json& list = json["keys"][slug] = Json::array();
    for (const auto& row : rows.first)
      list.push_back({{"device", audit::device_name(row.place.device)},
                      {"key", row.key},
                      {"record", row.index},
                      {"time", format_time(row.time)},
                      {"what", row.what},
                      {"who", row.who}});
  }
  for (const auto& [name, some] : {std::pair("not_judged", &statistics.unknown),
                                   {"list_differences", &statistics.differing}}) {
    json[name] = Json::array();
    for (const auto& [place, why] : some->first)
      json[name].push_back({{"device", audit::device_name(place.device)}, {"why", why}});
  }
  json["list"] = summary.list ? Json{{"file", summary.list->file},
                                     {"sha256", summary.list->sha256},
                                     {"lines", summary.list->lines}}
                              : Json();
  json["policy"] = {{"source", summary.policy_source}};
  if (summary.policy)
    json["policy"].update({{"editions", editions_of(*summary.policy)},
                           {"adjustments", adjustments_of(*summary.policy)}});
  json["tokens"] = summary.log.tokens;
  json["protections"] = Json::array();
  for (const auto& each : summary.protections) {
    Json rows = Json::array();
    for (const auto& row : each.rows)
      rows.push_back({{"name", row.name},
                      {"asked", row.needed},
                      {"verdict", row.verdict},
                      {"seen", row.seen}});
    json["protections"].push_back({{"record", each.document.index},
                                   {"token", each.token},
                                   {"problem", each.problem},
                                   {"rows", std::move(rows)}});
  }
  json["refusals"] = Json::object();
  for (const auto& [word, some] : summary.log.refusals) json["refusals"][word] = remarks(some);
  json["justified"] = remarks(summary.log.justified);
  json["token_compromises"] = remarks(summary.log.token_compromises);
  json["gaps"] = remarks(summary.log.gaps);
  json["audit_keys"] = remarks(summary.log.audit_keys);
  json["records_passed_over"] = summary.log.later;
  json["devices_file"] = lines_file;
  // Texts of a policy or a token may be in any encoding.
  out << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

}  // namespace smets1kms::report
