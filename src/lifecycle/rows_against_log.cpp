// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/rows_against_log.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "audit/handovers.hpp"
#include "audit/record_rules.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {
namespace {

using audit::Record;

[[noreturn]] void refuse(const std::string& row, std::string_view column, std::uint64_t record) {
  throw Refused(
      RefusalReason::differs_from_trail,
      "the registry says otherwise of " + row + " (" + std::string(column) + ") than record " +
          std::to_string(record) +
          " of the audit trail, which it names: it was changed behind our back. Nothing is "
          "done with it; restore the registry from its backup and find out who can write "
          "to it ('smets1-kms check' names every such row)");
}

/// Reader of the record that a row names, whose bytes must fit the leaf stored beside them.
class Named {
 public:
  Named(Context& context, std::string row, std::uint64_t index, const Prover& prover = {})
      : row_(std::move(row)), index_(index) {
    auto entry = context.registry.record(static_cast<std::int64_t>(index));
    if (!entry) fail("record");
    const auto leaf = audit::leaf_hash(entry->bytes);
    if (audit::to_hex(leaf) != entry->leaf_hash || (prover && !prover(index, leaf))) fail("record");
    bytes_ = std::make_shared<const std::string>(std::move(entry->bytes));
    try {
      record = audit::RecordView::parse(*bytes_);
    } catch (const std::invalid_argument&) {
      fail("record");
    }
  }
  [[noreturn]] void fail(std::string_view column) const { refuse(row_, column, index_); }
  void need(std::string_view column, bool same) const {
    if (!same) fail(column);
  }
  void need(std::string_view column, Field field, std::string_view text) const {
    need(column, record.text(field) == text);
  }

  audit::RecordView record;

 private:
  std::shared_ptr<const std::string> bytes_;  // `record` is a view of them
  std::string row_;
  std::uint64_t index_;
};

std::string text_of(const std::optional<KeyId>& id) { return id ? id->to_string() : ""; }

/// Compares what never changes of a key.
void check_key(const Named& named, const Key& key) {
  const auto& record = named.record;
  named.need("device", Field::device, key.device.to_string());
  named.need("role", Field::role, to_string(key.role));
  named.need("generation", record.number(Field::generation) == key.generation);
  named.need("id", Field::key_id, key.id.to_string());
  named.need("predecessor", Field::predecessor, text_of(key.predecessor));
  named.need("kek", Field::kek_id, text_of(key.kek));
  named.need("transfer", record.number(Field::transfer).value_or(0) == key.transfer);
}

/// Returns the delivery that a record of this type leads to; nullopt: it leaves it as it was.
std::optional<Delivery> delivery_of(const audit::RecordView& record) {
  const auto types = audit::record_types();
  const auto type = std::ranges::find_if(types, [&](const audit::RecordType& each) {
    return each.operation == record.text(Field::op) && each.phase == record.text(Field::phase) &&
           each.result == record.text(Field::result);
  });
  if (type == types.end()) return std::nullopt;
  const bool leads = type->effect == audit::Effect::make ||
                     (type->effect == audit::Effect::change && type->from != 0);
  return leads ? std::optional(type->delivery) : std::nullopt;
}

std::string_view status_of(std::string_view result) {
  return result == "resumed" || result == "recommissioned" ? "commissioned" : result;
}

}  // namespace

bool has_sound_head(Context& context, DeviceId device) {
  const auto head = context.registry.head(device);
  if (head.record < 0) return !context.registry.device(device);  // a device has its registration
  const auto end = context.registry.record(head.record);
  if (!end || end->leaf_hash != audit::to_hex(head.leaf)) return false;
  const auto last = audit::RecordView::parse(end->bytes);
  return last.text(Field::device) == device.to_string() &&
         last.number(Field::device_seq) == head.sequence;
}

void check_row(Context& context, const Device& device) {
  const auto row = "the device " + device.id.to_string();
  const Named made(context, row, device.registered);
  const auto supports = names_of(device.supports);
  made.need("registered", Field::op, op::device_register);
  made.need("id", Field::device, device.id.to_string());
  made.need("kind", Field::kind, to_string(device.kind));
  made.need("model", Field::model, device.model);
  made.need("suite", Field::suite, std::to_string(static_cast<int>(device.suite)));
  made.need("supports", Field::supports, supports.empty() ? "none" : supports);
  if (!device.no_kek_reason.empty())
    made.need("no_kek_reason", Field::detail, no_usable_kek(device));
  const auto check_status = [&](const Named& last) {
    const auto operation = last.record.text(Field::op), at = last.record.text(Field::at);
    const bool registered = operation == op::device_register;
    last.need("record", Field::device, device.id.to_string());
    last.need("record", operation.starts_with("device."));
    last.need("status",
              to_string(device.status) == (!registered  ? status_of(last.record.text(Field::result))
                                           : at.empty() ? to_string(DeviceStatus::not_commissioned)
                                                        : to_string(DeviceStatus::commissioned)));
    if (registered || operation == op::device_commission)
      last.need("commissioned_at",
                at == (device.commissioned_at ? format_time(*device.commissioned_at) : ""));
  };
  check_status(device.record == device.registered ? made : Named(context, row, device.record));
  if (!has_sound_head(context, device.id)) refuse("the head of " + row, "leaf", device.record);
}

void check_row(Context& context, const Key& key, const Prover& prover) {
  const auto row = in_words(key);
  const Named made(context, row, key.made, prover);
  check_key(made, key);
  const bool planned = key.state == KeyState::none;
  const auto operation = made.record.text(Field::op);
  made.need("made", operation == op::key_generate || operation == op::key_import);
  made.need("operation",
            key.operation == made.record.text(Field::op_id) ||
                key.operation == std::string(made.record.text(Field::op_id)) + "/settled");
  if (planned) return made.need("state", Field::phase, "intent");
  const auto check_last = [&](const Named& last) {
    check_key(last, key);
    last.need("state", Field::state_to, to_string(key.state));
    if (const auto delivery = delivery_of(last.record))
      last.need("delivery", key.delivery == *delivery);
  };
  check_last(key.record == key.made ? made : Named(context, row, key.record, prover));
}

void check_newest_rows(Context& context, std::span<const KeyRole> roles,
                       std::span<const Key> keys) {
  for (auto key = keys.begin(); key != keys.end(); ++key)  // by role and generation
    if ((key + 1 == keys.end() || (key + 1)->role != key->role) &&
        std::ranges::find(roles, key->role) != roles.end())
      check_row(context, *key);
}

void check_handed(Context& context, const Key& key, const std::string& label) {
  const Named made(context, in_words(key), key.made);
  const auto handed = audit::parse_handovers(made.record.text(Field::handovers));
  made.need("handover",
            handed && std::ranges::find(*handed, label, &audit::Handover::target) != handed->end());
}

void check_token_key(Context& context, std::string_view operation, const std::string& id,
                     std::string_view detail) {
  const auto named = context.registry.setting(setting::record_of_key(id)).value_or("");
  std::int64_t index = -1;
  std::from_chars(named.data(), named.data() + named.size(), index);
  try {
    const auto entry = context.registry.record(index);
    const auto record = entry ? Record::decode(entry->bytes) : Record{};
    if (entry && audit::to_hex(audit::leaf_hash(entry->bytes)) == entry->leaf_hash &&
        record.text(Field::op) == operation && record.text(Field::phase) == "outcome" &&
        record.text(Field::key_id) == id && record.text(Field::detail) == detail)
      return;
  } catch (const std::invalid_argument&) {  // no record
  }
  throw StorageError(
      "the registry names the key " + audit::printable(id, 64) +
      " of the token, and its audit trail does not say that it was made as that (" +
      std::string(operation) +
      "): the registry was changed behind our back. Nothing is done under it; restore "
      "the registry from its backup and find out who can write to it");
}

}  // namespace smets1kms::lifecycle
