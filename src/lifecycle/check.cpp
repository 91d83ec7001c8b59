// SPDX-License-Identifier: Apache-2.0
#include "smets1kms/check.hpp"

#include "lifecycle/check.hpp"
#include "registry/database_log.hpp"
#include "registry/log_tables.hpp"

namespace smets1kms {
namespace lifecycle {
namespace {

std::vector<audit::AuditKey> keys_of(registry::Registry& registry) {
  std::vector<audit::AuditKey> keys;
  const auto add = [&](const std::string& pem) {
    try {
      keys.push_back(audit::AuditKey::from_pem(pem));
    } catch (const std::invalid_argument&) {  // the comparison of the settings names it
    }
  };
  registry.for_each_setting(registry::setting::audit_key_pem, add);
  registry.for_each_setting(registry::setting::former_audit_keys, add);
  return keys;
}

/// Replays the log beside the rows. What is missing is no contradiction where a restored registry
/// went on over a gap, as the trail says.
void check_rows(registry::Registry& registry, registry::DatabaseLog& log,
                const Callbacks& callbacks, CheckResult& result, Contradictions& found) {
  LogFacts facts;
  DeviceTables tables(registry.database(), result, found, facts);
  audit::VerifyOptions options{.keys = keys_of(registry)};
  options.for_each_record = [&](const auto& record, const auto& summary) {
    facts.add(record, summary);
  };
  bool was_replayed = false;
  options.for_each_device = [&](const auto& replay, auto records) {
    was_replayed = true;
    tables.add(replay, records);
  };
  if (callbacks.progress)
    options.progress = [&](const char* what, std::uint64_t done, std::uint64_t total) {
      callbacks.progress({.what = what, .done = done, .total = total});
    };
  const auto report = audit::verify(log, options);
  result.records = report.records;
  if (report.verdict == audit::Verdict::failed)
    found.add("audit trail", report.why, report.index);
  else if (report.missing.size() > facts.gaps)
    found.add("audit trail", report.why, report.index);
  // Where the log is not to be read to its end, most rows would seem to lack their records.
  if (report.verdict == audit::Verdict::failed && !was_replayed) {
    result.not_checked.emplace_back("the rows: the audit trail fails before its end");
    return;
  }
  tables.finish();
  for (const auto& [intent, record] : facts.open)
    facts.open_operations.emplace(intent.first, record);
  check_operations(registry.database(), found, facts);
  check_settings(registry, found, facts);
  check_targets(registry, found, facts);
  check_log_tables(registry, found, report);
}

}  // namespace
}  // namespace lifecycle

/// A registry and its log, both as of one moment: the log is read by a connection of its own.
struct Snapshot {
  explicit Snapshot(const Config& config)
      : registry(registry::Registry::open(config.database, sqlite::Mode::read_only)),
        transaction(registry.database()),
        records(registry::LogTables(registry.database()).record_count()),
        log(config.database) {}
  registry::Registry registry;
  sqlite::ReadTransaction transaction;
  std::uint64_t records;
  registry::DatabaseLog log;
};

/// Takes a snapshot between two commits of a writer.
static std::unique_ptr<Snapshot> take_snapshot(const Config& config) {
  constexpr int most = 100;
  for (int i = 0; i < most; ++i)
    if (auto both = std::make_unique<Snapshot>(config); both->log.size() == both->records)
      return both;
  throw StorageError("the registry is written without a pause: check it when the service rests");
}

CheckResult check_registry(const Config& config, const Callbacks& callbacks, bool with_token) {
  CheckResult result;
  lifecycle::Contradictions found(result);
  std::shared_ptr<vault::TokenConnection> token;
  if (with_token)
    token = std::make_shared<vault::TokenConnection>(vault::load_module(config), config,
                                                     vault::pins_of(config).user, callbacks);
  else
    result.not_checked.emplace_back(
        "the token: that its keys are there with their attributes, that it holds no others, and "
        "that the audit key is its own");
  try {
    const auto snapshot = take_snapshot(config);
    lifecycle::check_file(snapshot->registry, found);
    lifecycle::check_rows(snapshot->registry, snapshot->log, callbacks, result, found);
    if (token) lifecycle::check_token_objects(snapshot->registry, *token, result, found);
  } catch (const audit::VerificationFailed& failure) {
    found.add("audit trail", failure.what(), failure.index());
  } catch (const sqlite::Damaged& error) {
    found.add("file", error.what());
  }
  return result;
}

}  // namespace smets1kms
