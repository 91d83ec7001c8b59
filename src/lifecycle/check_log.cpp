// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "audit/text.hpp"
#include "lifecycle/check.hpp"
#include "lifecycle/open_intents.hpp"
#include "lifecycle/target_certificate.hpp"
#include "lifecycle/targets.hpp"
#include "lifecycle/token_keys.hpp"
#include "registry/log_tables.hpp"
#include "registry/schema.hpp"

namespace smets1kms::lifecycle {

using audit::Effect;
using audit::RecordSummary;
using audit::RecordView;

void LogFacts::add(const RecordView& record, const RecordSummary& summary) {
  if (summary.has_device) return;
  const auto& type = audit::record_type_of(summary);
  const auto text = [&](Field field) { return std::string(record.text(field)); };
  const auto detail = record.text(Field::detail);
  if (type.operation == op::registry_create) store = detail.substr(detail.find(' ') + 1);
  if (type.operation == op::audit_gap) ++gaps;
  if (type.operation == op::audit_device_map) last_map = summary.index;
  if (type.operation == op::audit_document)
    if (const auto at = detail.find("sha256 "); at != std::string_view::npos) {
      const std::string what(detail.substr(std::min(at + 72, detail.size())));
      documents[std::string(detail.substr(at + 7, 64))] = what;
      if (what == "policy")
        policies.emplace_back(detail.substr(at + 7, 64),
                              Time(std::chrono::milliseconds(summary.time)));
    }
  const std::pair intent(summary.operation, summary.key);
  if (type.effect == Effect::plan || type.effect == Effect::begin)
    open[intent] = summary.index;
  else if (type.effect == Effect::conflict)
    conflicts.insert(summary.operation);
  else if (type.effect != Effect::remark)
    open.erase(intent);
  const bool is_target = type.operation.starts_with("target.");
  if (type.effect == Effect::make && !is_target)
    keys.push_back({.operation = text(Field::op),
                    .id = text(Field::key_id),
                    .detail = std::string(detail),
                    .public_key = text(Field::public_key_sha256),
                    .record = summary.index});
  const bool is_end = type.effect == Effect::finish || type.effect == Effect::settle;
  for (auto& key : keys)
    if (is_end && key.id == record.text(Field::key_id)) key.is_destroyed = true;
  if (!is_target) return;
  const auto label = text(Field::target);
  const auto name = label.substr(0, label.find('/') + 1);
  if (type.effect == Effect::make) {
    for (auto& [other, target] : targets)
      if (other.starts_with(name) && target.status == TargetStatus::admitted)
        target.status = TargetStatus::replaced;
    targets[label] = {.record = summary.index, .time = summary.time};
  } else if (type.operation == op::target_retire) {
    targets[label].status = TargetStatus::retired;
  } else if (type.operation == op::target_compromise) {
    for (auto& [other, target] : targets)
      if (other.starts_with(name)) target.status = TargetStatus::compromised;
  }
}

const LogFacts::OwnKey* LogFacts::last(std::string_view operation, std::string_view detail) const {
  const auto found = std::ranges::find_if(keys.rbegin(), keys.rend(), [&](const OwnKey& key) {
    return key.operation == operation && (detail.empty() || key.detail == detail);
  });
  return found == keys.rend() ? nullptr : &*found;
}

/// Returns when the adjustments of the policy in force begin, by the records of the policies.
static std::string begins_of_deviations(registry::Registry& registry, const LogFacts& facts) {
  std::optional<policy::Policy> before;
  for (const auto& [digest, recorded] : facts.policies) {
    std::optional<policy::Policy> next;
    try {
      next = policy::Policy::parse_document(
          registry.setting(std::string(setting::policy_documents) + digest).value_or(""));
      next->begin_deviations(recorded, before ? &*before : nullptr);
    } catch (const BadInput&) {  // of another form: nothing in it counts
    }
    before = std::move(next);
  }
  return before ? before->begins() : "";
}

void check_settings(registry::Registry& registry, Contradictions& found, const LogFacts& facts) {
  const auto is = [&](std::string_view name, const std::string& wanted,
                      std::optional<std::uint64_t> record = {}) {
    const auto value = registry.setting(name);
    if (value.value_or("") != wanted)
      found.add("setting " + std::string(name),
                (value ? "it is '" + value->substr(0, 80) + "'" : "it is missing") +
                    ", and by the trail " + (wanted.empty() ? "nothing" : "'" + wanted + "'"),
                record);
  };
  const auto names_last = [&](std::string_view name, std::string_view operation,
                              std::string_view purpose = {}) {
    const auto* key = facts.last(operation, purpose);
    is(name, key != nullptr ? key->id : "",
       key != nullptr ? std::optional(key->record) : std::nullopt);
    return key;
  };
  const auto is_pem = [&](const std::string& name, const std::string& pem,
                          const LogFacts::OwnKey* key) {
    if (key == nullptr || audit::to_hex(audit::sha256(pem)) != key->public_key)
      found.add("setting " + name, "it is not the public key that the trail has the SHA-256 of",
                key != nullptr ? std::optional(key->record) : std::nullopt);
  };
  is(setting::store, facts.store, 0);
  is(setting::policy_in_force, facts.policies.empty() ? "" : facts.policies.back().first);
  is(setting::policy_begins, begins_of_deviations(registry, facts));
  is(setting::device_map, facts.last_map != 0 ? std::to_string(facts.last_map) : "",
     facts.last_map);
  const auto* import_key = names_last(setting::import_key, op::import_key_generate);
  is(setting::import_key_record, import_key != nullptr ? std::to_string(import_key->record) : "");
  (void)names_last(setting::enrolment_key, op::enrolment_key_generate);
  if (const auto* key = names_last(setting::audit_key, op::audit_key_generate))
    is_pem(std::string(setting::audit_key_pem),
           registry.setting(setting::audit_key_pem).value_or(""), key);
  for (const auto& storage : storage_keys)
    (void)names_last(storage.setting, op::storage_key_generate, vault::purpose_of(storage.which));
  for (auto row = registry.database().query("SELECT name,value FROM setting"); row.step();) {
    const auto name = row.text(0), value = row.text(1);
    const auto id = name.substr(name.rfind('/') + 1);
    const auto known = std::ranges::find(facts.keys, id, &LogFacts::OwnKey::id);
    if (name.starts_with(setting::former_audit_keys))
      is_pem(name, value, known != facts.keys.end() ? &*known : nullptr);
    for (const auto& storage : storage_keys)
      if (name.starts_with(setting::older(storage.setting, "")) &&
          (known == facts.keys.end() || known->is_destroyed || value != id ||
           known->detail != vault::purpose_of(storage.which)))
        found.add("setting " + name, "the trail has no such storage key");
    const bool is_policy = name.starts_with(setting::policy_documents);
    if (!is_policy && !name.starts_with(setting::protections)) continue;
    const auto digest = audit::to_hex(audit::sha256(value));
    if (!facts.documents.contains(digest) || (is_policy && digest != id))
      found.add("setting " + name, "no record has the SHA-256 of this document");
  }
}

void check_targets(registry::Registry& registry, Contradictions& found, const LogFacts& facts) try {
  auto missing = facts.targets;
  RecordReader records(registry.database());
  for (const auto& target : registry::HandoverTables(registry.database()).targets()) {
    const auto label = target.info.label();
    const auto name = "target row " + label;
    const auto known = missing.find(label);
    if (known == missing.end()) {
      found.add(name, "by the trail it was never admitted");
      continue;
    }
    const auto [record, time, status] = known->second;
    missing.erase(known);
    const auto fail = [&, at = record](const std::string& what) { found.add(name, what, at); };
    const auto& admission = records.at(static_cast<std::int64_t>(record));
    auto wanted = admission_facts(target.info, target.keep);
    wanted.emplace_back(Field::key_id, target.info.id.to_string());
    wanted.emplace_back(Field::certificate_sha256, target.info.fingerprint);
    for (const auto& [field, text] : wanted)
      if (admission.text(field) != text)
        fail("its " + std::string(audit::field_name(field)) + " is '" + text +
             "', and by the trail '" + std::string(admission.text(field)) + "'");
    if (target.record != static_cast<std::int64_t>(record)) fail("it names another record");
    if (registry::column(target.info.admitted_at) != time) fail("its time of admission is another");
    if (target.info.status != status)
      fail("it is " + std::string(to_string(target.info.status)) + ", and by the trail " +
           std::string(to_string(status)));
  }
  for (const auto& [label, target] : missing)
    found.add("target row " + label, "it is missing", target.record);
} catch (const registry::DamagedRow& error) {
  found.add("target rows", error.what());
}

void check_log_tables(registry::Registry& registry, Contradictions& found,
                      const audit::Report& report) {
  auto& database = registry.database();
  const std::uint64_t covered = report.head ? report.head->head.size : 0;
  const auto count = [&](const char* sql) { return registry::count(database, sql); };
  if (count("SELECT count(*) FROM node") != covered >> audit::node_level)
    found.add("node table", "it has not a row for each 256 records under the last head");
  try {
    auto [size, peaks] = registry::LogTables(database).peaks();
    const audit::CompactRange tree(size, std::move(peaks));
    if (report.head && (size != covered || tree.root() != report.head->head.root))
      found.add("log_peaks row", "it is not of the tree under the last head");
  } catch (const std::exception& error) {
    found.add("log_peaks row", error.what());
  }
  for (auto row = database.query("SELECT id,size,note FROM checkpoint"); row.step();) {
    const auto note = row.text(2);
    std::string_view lines = note;
    (void)audit::take_line(lines);
    if (audit::take_line(lines).value_or("") != std::to_string(row.integer(1)))
      found.add("checkpoint row " + std::to_string(row.integer(0)),
                "its size is not that of its head");
  }
  if (const auto origin = registry.setting(setting::origin);
      report.head && origin != report.head->head.origin)
    found.add("setting audit.origin", "it is not the name that the log's heads have");
}

void check_file(registry::Registry& registry, Contradictions& found) {
  const auto schema_of = [](sqlite::Database& database) {
    std::set<std::array<std::string, 4>> all;
    for (auto row = database.query(
             "SELECT type,name,tbl_name,coalesce(sql,'') FROM sqlite_master WHERE name NOT LIKE "
             "'sqlite\\_%' ESCAPE '\\'");
         row.step();)
      all.insert({row.text(0), row.text(1), row.text(2), row.text(3)});
    return all;
  };
  sqlite::Database made(":memory:", sqlite::Mode::create);
  made.execute(registry::schema);
  const auto wanted = schema_of(made), is = schema_of(registry.database());
  const auto name_all = [&](const auto& some, const auto& others, const char* what) {
    for (const auto& each : some)
      if (!others.contains(each)) found.add("schema: " + each[0] + " " + each[1], what);
  };
  name_all(is, wanted, "it is not one that a registry of this version has");
  name_all(wanted, is, "it is missing, or another");
  for (auto row = registry.database().query("PRAGMA integrity_check"); row.step();)
    if (row.text(0) != "ok") found.add("file", "SQLite's integrity check: " + row.text(0));
}

void check_operations(sqlite::Database& database, Contradictions& found, const LogFacts& facts) {
  RecordReader records(database);
  auto missing = facts.open_operations;
  for (auto row = database.query("SELECT id,kind,device,state,detail,before_gap,intent,outcome "
                                 "FROM operation ORDER BY id");
       row.step();) {
    const auto id = row.text(0), kind = row.text(1), detail = row.text(4);
    const auto digest = audit::short_digest(id);
    const auto intent = row.integer(6), state = row.integer(3);
    const auto fail = [&](const std::string& what, std::int64_t record) {
      found.add("operation row " + id.substr(0, 64), what, static_cast<std::uint64_t>(record));
    };
    const auto& first = records.at(intent);
    const auto operation = first.text(Field::op);
    if (first.text(Field::op_id) != id)
      fail("the record that it names as its first is of another operation", intent);
    else if (!may_begin(kind, operation) || first.text(Field::phase) == "outcome" ||
             first.text(Field::result) == "refused")
      fail("its kind is " + kind + ", and its first record is '" + std::string(operation) + "'",
           intent);
    else if (row.is_null(2)
                 ? kind == "rotate"
                 : first.text(Field::device) != registry::device_id(row.integer(2)).to_string())
      fail("its device is not that of its first record", intent);
    if ((kind.starts_with("token-key") || kind == op::audit_key_destroy) &&
        first.text(Field::key_id) != detail)
      fail("its detail names another key than its first record", intent);
    const bool is_open = facts.open_operations.contains(digest),
               without_intent = kind == op::token_compromise ||
                                (kind == target_end && operation != op::target_destroy);
    if (state == 0 && !is_open && !without_intent)
      fail("it is open, and by the trail it has ended", intent);
    if (state != 0 && is_open && !facts.conflicts.contains(digest))
      fail("it has ended, and by the trail it is open",
           static_cast<std::int64_t>(facts.open_operations.at(digest)));
    if (row.integer(5) != 0 && facts.gaps == 0)
      fail("it is marked as open before a gap, and the trail has none", intent);
    if (const auto outcome = row.integer(7); state == 0 ? outcome != 0 : outcome < intent)
      fail("the record that it names as its last is not one of its own", outcome);
    else if (state != 0 && (kind == "rotate" || kind == "import")) {
      const auto& last = records.at(outcome);
      const auto result = last.text(Field::result);
      const bool failed = result == "failed" || last.text(Field::op) == op::operation_settle;
      if (last.text(Field::op_id) != id || failed != (state == 2))
        fail("it has ended otherwise than the record says that it names as its last", outcome);
    }
    missing.erase(digest);
  }
  for (const auto& [digest, record] : missing)
    found.add("operation row", "the row of an operation that is open by the trail is missing",
              record);
}

}  // namespace smets1kms::lifecycle
