// SPDX-License-Identifier: Apache-2.0
#include "audit/export.hpp"

#include "audit/verdict.hpp"
#include "registry/database_log.hpp"
#include "smets1kms/audit_log.hpp"
#include "trail/checkpoint_log.hpp"

namespace smets1kms {
namespace {

registry::Registry signed_registry(const Config& config) {
  auto found = registry::Registry::open(config.database, sqlite::Mode::read_only);
  if (!found.setting(registry::setting::origin) ||
      !registry::LogTables(found.database()).last_checkpoint())
    throw StorageError("the audit trail of " + config.database.string() +
                       " is not signed yet: 'smets1-kms init' makes its key");
  return found;
}

/// Adds the documents beside the log, each of which a record names.
void add_documents(registry::Registry& registry, audit::ExportWriter& writer) {
  const auto add_key = [&](const std::string& pem) { writer.add(audit::AuditKey::from_pem(pem)); };
  registry.for_each_setting(registry::setting::former_audit_keys, add_key);
  registry.for_each_setting(registry::setting::audit_key_pem, add_key);
  registry.for_each_setting(registry::setting::policy_documents, [&](const std::string& document) {
    writer.add_document("policy", document);
  });
  registry.for_each_setting(registry::setting::protections, [&](const std::string& document) {
    writer.add_document("token-protections", document);
  });
}

/// Adds the time stamps on the heads that are exported; one may have come since they were read.
void add_timestamps(registry::Registry& registry, audit::ExportWriter& writer) {
  registry.for_each_setting(registry::setting::timestamps, [&](const std::string& setting) {
    const auto [records, response] = registry::read_timestamp(setting);
    if (records <= writer.size()) writer.add_timestamp(response);
  });
}

/// Adds the map that the log states last, if a head covers its statement.
void add_map(registry::DatabaseLog& log, audit::ExportWriter& writer) {
  const auto map = log.maps().front();
  if (log.maps().size() < 2 || map >= writer.size()) return;
  writer.add_map(map, [&](const auto& visit) { log.for_each_head(map, visit); });
}

}  // namespace

AuditIdentity audit_identity(const Config& config) {
  auto registry = signed_registry(config);
  const auto origin = *registry.setting(registry::setting::origin),
             pem = registry.setting(registry::setting::audit_key_pem).value_or("");
  return {.origin = origin,
          .public_key = pem,
          .vkey = audit::AuditKey::from_pem(pem).vkey(origin),
          .head = registry::LogTables(registry.database()).last_checkpoint().value_or("")};
}

ExportResult export_audit_log(const Config& config, const std::filesystem::path& directory,
                              const std::function<void(const Progress&)>& progress) try {
  auto registry = signed_registry(config);
  audit::ExportWriter writer(directory, *registry.setting(registry::setting::origin));
  registry::DatabaseLog log(config.database);
  const auto before = writer.size();
  if (before > 0) {
    const auto note = registry::LogTables(registry.database()).checkpoint_of(before);
    if (!note || audit::Note::parse(*note).head.root != writer.root())
      throw BadInput(directory.string() + " holds " + std::to_string(before) +
                     " records that are not this audit trail's: nothing is added to it. Name "
                     "another directory");
  }
  log.skip(before, writer.checkpoints());
  ExportResult result{.records = before, .added = 0, .head = {}};
  while (const auto note = log.next_checkpoint()) {
    for (; writer.size() < note->head.size; ++result.added) {
      const auto record = log.next_record();
      if (!record)
        throw StorageError(
            "the audit trail has fewer records than its head covers: 'smets1-audit verify' says "
            "more");
      writer.add(*record);
      if (progress && result.added % 1024 == 0)
        progress({.what = "records exported", .done = writer.size(), .total = log.size()});
    }
    writer.add(*note);
  }
  add_map(log, writer);
  add_documents(registry, writer);
  add_timestamps(registry, writer);
  writer.finish();
  result.records = writer.size();
  if (const auto last = log.last_checkpoint()) result.head = last->format();
  return result;
} catch (const audit::VerificationFailed& failure) {
  throw StorageError(std::string("the audit trail can't be exported: ") + failure.what());
} catch (const std::invalid_argument& error) {
  throw StorageError(std::string("the audit trail can't be exported: ") + error.what());
} catch (const Error&) {
  throw;
} catch (const std::runtime_error& error) {
  throw BadInput(error.what());
}

}  // namespace smets1kms
