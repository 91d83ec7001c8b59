// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/recorded_keys.hpp"

#include <charconv>
#include <stdexcept>

#include "base/text_reader.hpp"
#include "lifecycle/key_rules.hpp"

namespace smets1kms::lifecycle {
namespace {

using audit::Record;

/// Returns a record; an empty one, equal to nothing, where the bytes are none.
Record decoded(const TrailEntry& entry) {
  try {
    return Record::decode(entry.bytes);
  } catch (const std::invalid_argument&) {
    return {};
  }
}

template <class AnyRecord>
bool is_of(const AnyRecord& record, const Key& key) {
  return record.text(Field::device) == key.device.to_string() &&
         record.text(Field::role) == to_string(key.role) &&
         record.number(Field::generation) == key.generation &&
         record.text(Field::key_id) == key.id.to_string();
}

/// Returns the outcome of the operation that the row names, for this very key; none for a row that
/// was moved to another operation, generation or id.
Record outcome_of(Context& context, const Key& key) {
  for (const auto& entry : context.registry.trail(key.device)) {
    auto record = decoded(entry);
    if (says_generated(record) && record.text(Field::op_id) == key.operation && is_of(record, key))
      return record;
  }
  return {};
}

/// Returns the outcome that the trail has of the import key's making.
Record outcome_of_import_key(Context& context, const std::string& id) {
  const auto setting = context.registry.setting(setting::import_key_record).value_or("");
  std::int64_t index = -1;
  std::from_chars(setting.data(), setting.data() + setting.size(), index);
  const auto entry = context.registry.record(index);
  auto record = entry ? decoded(*entry) : Record{};
  const bool ours = record.text(Field::op) == op::import_key_generate &&
                    record.text(Field::phase) == "outcome" && record.text(Field::key_id) == id;
  return ours ? record : Record{};
}

void refuse(const Key& key, const char* what) {
  throw Refused(RefusalReason::differs_from_trail,
                std::string(what) + " of " + in_words(key) +
                    " in the registry is not the one that the trail recorded when it was made: the "
                    "registry was changed behind our back. It is not used; "
                    "restore the registry from its backup and find out who can write to it");
}

}  // namespace

std::string digest_of_bytes(ByteView bytes) {
  return audit::to_hex(audit::sha256({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

RecordedWrap wrapped_checked_against_trail(Context& context, const Key& key) {
  Bytes blob = context.registry.wrapped(key);
  const auto record = outcome_of(context, key);
  if (record.text(Field::wrapped_sha256) != digest_of_bytes(blob) ||
      record.number(Field::wrapped_len) != blob.size())
    refuse(key, "the wrapped key");
  return {.bytes = std::move(blob), .sequence = record.number(Field::device_seq).value_or(0)};
}

std::string recorded_handover(Context& context, const Key& key, const std::string& label) {
  const auto record = outcome_of(context, key);
  for (const auto entry : split(record.text(Field::handovers), ','))
    if (entry.starts_with(label + ":")) return std::string(entry);
  return {};
}

Bytes waiting_checked_against_trail(Context& context, const Key& kek) {
  Bytes blob = context.registry.awaiting(kek);
  if (outcome_of(context, kek).text(Field::sealed_sha256) != digest_of_bytes(blob))
    refuse(kek, "the key that waits for the officer");
  return blob;
}

/// True if the record says that this blob was sealed as this key. It is read in place, as every
/// rotation needs it.
static bool says_sealed(const std::string& bytes, const Key& key, ByteView blob) {
  try {
    const auto record = audit::RecordView::parse(bytes);
    const auto operation = record.text(Field::op), result = record.text(Field::result);
    const bool sealing = operation == op::key_reseal   ? result == "resealed"
                         : operation == op::key_import ? result == "ok"
                                                       : says_generated(record);
    return sealing && is_of(record, key) &&
           record.text(Field::sealed_sha256) == digest_of_bytes(blob);
  } catch (const std::invalid_argument&) {
    return false;
  }
}

vault::KeyAtRest at_rest_checked_against_trail(Context& context, const Key& key,
                                               SecuritySuite suite) {
  vault::KeyAtRest result{.name = context.name(key, suite)};
  if (!key.is_sealed) return result;
  auto row = context.registry.sealed(key);
  const auto entry = row ? context.registry.record(row->record) : std::nullopt;
  if (!entry || !says_sealed(entry->bytes, key, row->key.blob)) refuse(key, "the sealed key");
  result.sealed = std::move(row->key);
  return result;
}

std::string import_key_checked_against_trail(Context& context, const trail::AuditContext& act,
                                             const std::function<std::string(const KeyId&)>& look) {
  const auto id = context.registry.setting(setting::import_key);
  if (!id)
    throw Refused(RefusalReason::no_import_key,
                  "there is no import key yet: run 'smets1-kms init'");
  std::string pem, wrong;
  try {
    pem = look(KeyId::parse(*id));
  } catch (const pkcs11::Error& error) {
    if (vault::is_tokens_fault(error)) throw;
    wrong = error.what();
  }
  context.in_transaction(act, std::nullopt, [&] {
    if (wrong.empty() && outcome_of_import_key(context, *id).text(Field::public_key_sha256) !=
                             audit::to_hex(audit::sha256(pem)))
      wrong = "its public half is not the one that the trail recorded";
    if (!wrong.empty())
      throw Refused(RefusalReason::import_key_replaced,
                    "the import key in the token is not the one that was made here (" + wrong +
                        "): nothing is given out or imported under it. Restore the token from its "
                        "backup and find out who has its PIN");
  });
  return pem;
}

}  // namespace smets1kms::lifecycle
