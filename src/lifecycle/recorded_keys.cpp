// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/recorded_keys.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

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

std::string digest_of_bytes(ByteView bytes) { return audit::to_hex(audit::sha256(bytes)); }

RecordedMaking recorded_making(Context& context, const Key& key) {
  RecordedMaking making;
  context.trail.end();  // the device's chain also has this transaction's records
  for (const auto& entry : context.registry.trail(key.device)) {
    auto record = decoded(entry);
    // The row was moved where operation, generation or id is another.
    if (record.text(Field::op_id) != key.operation || !is_of(record, key)) continue;
    const auto operation = record.text(Field::op), result = record.text(Field::result);
    if (operation == op::handover_receive && result == "received")
      making.received.emplace_back(record.text(Field::target));
    if (operation == op::transfer_release && result == "released") making.is_released = true;
    if (says_generated(record)) making.outcome = std::move(record);
  }
  return making;
}

std::optional<audit::Handover> RecordedMaking::handover(std::string_view label) const {
  for (const auto& each : handovers())
    if (each.target == label) return each;
  return std::nullopt;
}

bool RecordedMaking::is_received_by(std::string_view label) const {
  return std::ranges::find(received, label) != received.end();
}

bool RecordedMaking::is_received() const {
  return std::ranges::all_of(handovers(), [&](const audit::Handover& each) {
    return !each.before_transfer || is_received_by(each.target);
  });
}

RecordedWrap wrapped_checked_against_trail(Context& context, const Key& key) {
  Bytes blob = context.registry.wrapped(key);
  const auto making = recorded_making(context, key);
  const auto& record = making.outcome;
  if (record.text(Field::wrapped_sha256) != digest_of_bytes(blob) ||
      record.number(Field::wrapped_len) != blob.size())
    refuse(key, "the wrapped key");
  if (record.text(Field::result) == "withheld" && !making.is_released &&
      key.delivery != Delivery::withheld)
    refuse(key, "the state of delivery");
  return {.bytes = std::move(blob), .sequence = record.number(Field::device_seq).value_or(0)};
}

Bytes waiting_checked_against_trail(Context& context, const Key& kek) {
  Bytes blob = context.registry.awaiting(kek);
  if (recorded_making(context, kek).outcome.text(Field::sealed_sha256) != digest_of_bytes(blob))
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
