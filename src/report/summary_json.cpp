// SPDX-License-Identifier: Apache-2.0
#include "base/fields.hpp"
#include "report/report.hpp"

namespace smets1kms::report {
namespace {

using namespace output;

struct DutyFact {
  const policy::Fact* fact;
  std::string who;
};
const Fields<BreachCase>& breach_fields() {
  using policy::Duty;
  static const Fields<DutyFact> facts(
      {spread(
           fact_fields(), [](const DutyFact& f) -> auto& { return *f.fact; }),
       {"who", "who asked, who authorised, under which reference",
        [](const DutyFact& f) { return unless_empty(f.who); }}});
  static const Fields<Duty> duty(
      {{"rule", "the rule's name", &Duty::id},
       {"whose", "regulator or project", whose},
       {"edition", "the edition of the policy", [](const Duty& d) { return d.edition->name; }},
       {"status", "how the duty stands", &Duty::status},
       {"began", "when it began", &Duty::began},
       {"deadline", "until when it was to be met", deadline_of},
       {"ended", "when it was met, or ended otherwise", ended}});
  static const Fields<BreachCase> all(
      {{"device", "an EUI-64",
        [](const BreachCase& c) { return audit::device_name(c.place.device); }},
       spread(duty, &BreachCase::duty),
       nested("facts", "the records that led there", facts, [](const BreachCase& c) {
         std::vector<DutyFact> list;
         for (const auto& fact : c.duty.facts)
           list.push_back({&fact, list.size() < c.who.size() ? c.who[list.size()] : std::string()});
         return list;
       })});
  return all;
}

/// Returns the table of a list that is cut: how long it is, and its first items.
template <class Item>
Fields<Capped<Item>> capped(const Fields<Item>& items) {
  return Fields<Capped<Item>>({{"count", "how many there are", &Capped<Item>::count},
                               nested("first", "the first of them", items, &Capped<Item>::first)});
}

const Fields<policy::Policy>& policy_fields() {
  using policy::Adjustment, policy::Edition, policy::Rule;
  static const Fields<Rule> rules({{"rule", "its name", &Rule::id},
                                   {"whose", "regulator or project", &Rule::origin},
                                   {"source", "where it stands", &Rule::source},
                                   {"text", "in our words", &Rule::text}});
  static const Fields<Edition> editions({{"name", "its name", &Edition::name},
                                         {"title", "its title", &Edition::title},
                                         {"from", "from when it is in force", &Edition::from},
                                         {"until", "until when, not included", &Edition::until},
                                         nested("rules", "its rules", rules, &Edition::rules)});
  static const Fields<Adjustment> adjustments(
      {{"edition", "of the edition changed", &Adjustment::edition},
       {"rule", "the rule changed", &Adjustment::rule},
       {"deviation", "true if it is later than the regulator's", &Adjustment::deviation},
       {"from", "from when it is in force", &Adjustment::from},
       {"until", "until when", &Adjustment::until},
       {"within", "the time that it gives",
        [](const Adjustment& a) {
          return a.within ? std::optional(policy::to_string(*a.within)) : std::nullopt;
        }},
       {"who", "who decided it", &Adjustment::who},
       {"authorised_by", "who authorised it; empty: no deviation", &Adjustment::authorised_by},
       {"why", "why", &Adjustment::why}});
  static const Fields<policy::Policy> all(
      {nested("editions", "the editions in use", editions, &policy::Policy::editions),
       {"recorded_late", "project rule: after how long a fact counts from its record",
        [](const policy::Policy& p) { return policy::to_string(p.recorded_late()); }},
       nested("adjustments", "what the site changed", adjustments, &policy::Policy::adjustments)});
  return all;
}

const Fields<Capped<HandoverTarget>>& handover_fields() {
  using Target = HandoverTarget;
  static const Fields<HandedKeys> keys(
      {{"count", "how many it was handed", &HandedKeys::count},
       {"received", "of them those that it has shown to hold", &HandedKeys::received},
       {"states", "how many are in which state", &HandedKeys::states}});
  static const Fields<Target> targets(
      {{"target", "its name and generation", &Target::name},
       {"roles", "the keys that it takes",
        [](const Target& t) { return roles_of(t.admission.roles); }},
       {"hash", "of RSA-OAEP", [](const Target& t) { return t.admission.hash; }},
       {"before_transfer", "true if a transfer waits until it has shown receipt",
        [](const Target& t) { return t.admission.before_transfer; }},
       {"certificate_sha256", "of its certificate, hex", &Target::certificate},
       {"status", "admitted, renewed, retired or compromised", &Target::status},
       {"record", "the one that admits it", &Target::record},
       {"admitted_at", "when", &Target::admitted},
       {"who", "who asked, who authorised, under which reference", &Target::who},
       {"until", "when it was renewed, retired or compromised", &Target::until},
       nested("keys", "the keys that it was handed, by role", keys, [](const Target& t) {
         std::map<std::string, HandedKeys> by_role;
         for (const auto& [role, handed] : t.keys) by_role.emplace(to_string(role), handed);
         return by_role;
       })});
  static const Fields<Capped<Target>> all(
      {{"version", "of this object's form", [](const Capped<Target>&) { return 1U; }},
       {"count", "how many admissions there are", &Capped<Target>::count},
       nested("targets", "the first of them", targets, &Capped<Target>::first)});
  return all;
}

/// Returns the counts of the pages by their slug.
std::map<std::string, std::uint64_t> numbers_of(const Summary& summary) {
  const auto& statistics = summary.statistics;
  std::map<std::string, std::uint64_t> all;
  if (statistics.duties != 0) all["duties"] = statistics.duties;
  for (const auto& [slug, list] : statistics.lists) all[slug] = list.count;
  for (const auto& [slug, rows] : statistics.keys) all["keys-" + slug] = rows.count;
  return all;
}

/// Reads a member of a member.
template <class Of, class Get>
auto of(Of Summary::*member, Get get) {
  return [=](const Summary& s) -> auto& { return (s.*member).*get; };
}

const Fields<Summary> verification_fields(
    {{"verdict", "VERIFIED, FAILED or INCONCLUSIVE", of(&Summary::trail, &audit::Report::verdict)},
     {"why", "why it is not VERIFIED", [](const Summary& s) { return unless_empty(s.trail.why); }},
     {"index", "of the record that failed", of(&Summary::trail, &audit::Report::index)},
     {"records", "how many were read", of(&Summary::trail, &audit::Report::records)},
     {"checkpoints", "how many signed heads were checked",
      of(&Summary::trail, &audit::Report::checkpoints)},
     {"keys", "ids of the audit keys that were given", &Summary::keys},
     {"since_given", "true if a head of an earlier visit was given", &Summary::has_since},
     nested("head", "the last head that a key given has signed", head_fields(),
            [](const Summary& s) {
              return s.trail.head ? std::optional(s.trail.head->head) : std::nullopt;
            }),
     {"finding_counts", "how many findings there are of each kind",
      of(&Summary::trail, &audit::Report::finding_counts)}});

const Fields<Protections>& protection_fields() {
  using Row = Protections::Row;
  static const Fields<Row> rows({{"name", "what was tried", &Row::name},
                                 {"asked", "needed or wished", &Row::needed},
                                 {"verdict", "how it went", &Row::verdict},
                                 {"seen", "what was seen", &Row::seen}});
  static const Fields<Protections> all(
      {{"record", "that names the document", [](const Protections& p) { return p.document.index; }},
       {"token", "the token", &Protections::token},
       {"problem", "why there is no table", &Protections::problem},
       nested("rows", "what was tried", rows, &Protections::rows)});
  return all;
}

}  // namespace

const Fields<audit::Checkpoint>& head_fields() {
  using audit::Checkpoint;
  static const Fields<Checkpoint> all(
      {{"origin", "the log's name", &Checkpoint::origin},
       {"size", "how many records it covers", &Checkpoint::size},
       {"root", "the root of the Merkle tree over them, hex",
        [](const Checkpoint& head) { return audit::to_hex(head.root); }}});
  return all;
}

const Fields<Summary>& summary_fields() {
  using Reasoned = std::pair<PageRef, std::string>;
  static const Fields<RecordNote> remark(
      {{"record", "its index", &RecordNote::index},
       {"time", "of the record", &RecordNote::time},
       {"device", "of the record; empty: none", &RecordNote::device},
       {"text", "what it says", &RecordNote::text}});
  static const Fields<Answer> answer_fields(
      {{"compliant", "by the regulator's duties alone", &Answer::good},
       {"headline", "in a sentence", &Answer::headline},
       {"remarks", "what it leaves open", &Answer::remarks}});
  static const Fields<KeyRow> key_row(
      {{"device", "an EUI-64",
        [](const KeyRow& row) { return audit::device_name(row.place.device); }},
       {"key", "role and generation", &KeyRow::key},
       {"record", "its index", &KeyRow::index},
       {"time", "of the record", &KeyRow::time},
       {"what", "what happened", &KeyRow::what},
       {"who", "who asked, who authorised, under which reference", &KeyRow::who}});
  static const Fields<Reasoned> reasoned(
      {{"device", "an EUI-64",
        [](const Reasoned& r) { return audit::device_name(r.first.device); }},
       {"why", "why", &Reasoned::second}});
  static const Fields<FleetList> list({{"file", "its name", &FleetList::file},
                                       {"sha256", "of its bytes, hex", &FleetList::sha256},
                                       {"lines", "how many devices it names", &FleetList::lines}});
  static const auto remarks = capped(remark);
  static const auto breaches = capped(breach_fields());
  static const auto key_rows = capped(key_row);
  static const Fields<Summary> all(
      "smets1-audit-report-file-1", "The summary that 'report --json FILE' writes",
      {nested("verification", "what 'verify' says of the trail", verification_fields,
              std::identity()),
       {"as_of", "the moment as of which was judged", &Summary::now},
       nested("answer", "is the fleet compliant", answer_fields, &Summary::answer),
       {"numbers", "the numbers of the page, by their name there", numbers_of},
       {"titles", "what the lists of devices behind numbers are of",
        [](const Summary& s) {
          std::map<std::string, std::string> titles;
          for (const auto& [slug, each] : s.statistics.lists) titles[slug] = each.title;
          return titles;
        }},
       {"late", "devices that were late, by the days that it took",
        [](const Summary& s) {
          std::map<std::string, std::uint64_t> late;
          for (std::size_t i = 0; i < buckets.size(); ++i)
            late[std::string(buckets[i].slug)] = s.statistics.late[i];
          return late;
        }},
       nested("breaches", "of the regulator's duties", breaches,
              of(&Summary::statistics, &Statistics::breach_cases)),
       nested("project_rule_breaches", "of project rules", breaches,
              of(&Summary::statistics, &Statistics::project_stories)),
       nested("keys", "keys that a person should look at", key_rows,
              of(&Summary::statistics, &Statistics::keys)),
       nested("handovers", "who holds which keys", handover_fields(),
              of(&Summary::statistics, &Statistics::targets)),
       nested(
           "not_judged", "devices that can't be judged", reasoned,
           [](const Summary& s) -> auto& { return s.statistics.unknown.first; }),
       nested(
           "list_differences", "devices that are otherwise in the list", reasoned,
           [](const Summary& s) -> auto& { return s.statistics.differing.first; }),
       nested("list", "the operator's own list of devices", list, &Summary::list),
       {"policy_source", "where the policy comes from; why there is none", &Summary::policy_source},
       nested("policy", "the policy by which was judged", policy_fields(), &Summary::policy),
       {"tokens", "how many records name which token", of(&Summary::log, &LogFacts::tokens)},
       nested("protections", "what was tried on tokens", protection_fields(),
              &Summary::protections),
       nested("refusals", "what was refused, by the reason", remarks,
              of(&Summary::log, &LogFacts::refusals)),
       nested("justified", "rotations with a justification of their own", remarks,
              of(&Summary::log, &LogFacts::justified)),
       nested("token_compromises", "compromises of a token", remarks,
              of(&Summary::log, &LogFacts::token_compromises)),
       nested("gaps", "silences that were longer than promised", remarks,
              of(&Summary::log, &LogFacts::gaps)),
       nested("audit_keys", "changes of the audit key", remarks,
              of(&Summary::log, &LogFacts::audit_keys)),
       {"records_passed_over", "records later than the report's moment",
        of(&Summary::log, &LogFacts::later)},
       {"devices_file", "the file of the devices, beside this one", &Summary::devices_file}});
  return all;
}

}  // namespace smets1kms::report
