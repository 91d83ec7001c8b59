// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/open_intents.hpp"

#include <algorithm>

#include "audit/text.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/targets.hpp"
#include "vault/audit_key.hpp"
#include "vault/objects.hpp"

namespace smets1kms::lifecycle {
namespace {

using audit::Record;

constexpr OperationKind kinds[] = {
    {"rotate", op::key_generate, op::key_generate},
    {"import", op::fleet_import, op::key_import},
    {op::key_enrol, op::key_enrol, op::key_enrol},
    {op::key_destroy, op::key_destroy, op::key_destroy},
    {op::token_compromise, op::token_compromise, ""},
    {op::audit_key_destroy, op::audit_key_destroy, op::audit_key_destroy},
    {token_key_destruction, op::storage_key_destroy, op::storage_key_destroy},
    {"token-key",
     "import-key.generate enrolment-key.generate storage-key.generate audit-key.generate "
     "target.admit",
     ""},
    {target_end, "target.destroy target.retire target.compromise", op::target_destroy}};

bool is_of(const Record& record, const Key& key) {
  return record.text(Field::device) == key.device.to_string() &&
         record.text(Field::role) == to_string(key.role) &&
         record.number(Field::generation) == key.generation;
}

bool is_by(const Record& record, const Authority& authority) {
  return record.text(Field::requested_by) == authority.requested_by &&
         record.text(Field::authorised_by) == authority.authorised_by &&
         record.text(Field::reference) == authority.reference;
}

}  // namespace

const OperationKind* find_kind(std::string_view kind) {
  const auto* const found = std::ranges::find(kinds, kind, &OperationKind::kind);
  return found == std::end(kinds) ? nullptr : found;
}

bool may_begin(std::string_view kind, std::string_view operation) {
  const auto* const known = find_kind(kind);
  for (auto all = known == nullptr ? kind : known->begins; !all.empty();)
    if (audit::take_word(all) == operation) return true;
  return false;
}

OpenIntents::OpenIntents(Context& context, std::span<const registry::Operation> operations,
                         std::uint64_t covered)
    : context_(context), covered_(covered) {
  for (const auto& each : operations) {
    operations_[each.id];
    first_[each.id] = each.intent;
  }
  if (operations.empty()) return;
  const auto oldest =
      std::ranges::min_element(operations, {}, &registry::Operation::intent)->intent;
  const auto visit = [this](const auto& entry, const auto& record) { read(entry, record); };
  if (context.checkpoints.is_open()) {
    context.checkpoints.for_each_proved(oldest, visit);
    return;
  }
  for (const auto& entry : context.registry.records(oldest, SIZE_MAX))  // of a ceremony: a few
    visit(entry, audit::RecordView::parse(entry.bytes));
}

void OpenIntents::read(const TrailEntry& entry, const audit::RecordView& record) {
  const auto operation = record.text(Field::op), phase = record.text(Field::phase);
  if (phase == "intent" && (operation == op::key_generate || operation == op::key_import))
    last_making_ = entry.index;
  const auto found = operations_.find(record.text(Field::op_id));
  if (found == operations_.end()) return;
  auto& intents = found->second;
  if (entry.index == first_.find(found->first)->second) intents.first = Record::decode(entry.bytes);
  const std::string key(record.text(Field::key_id));
  if (phase == "intent")
    intents.open.insert_or_assign(key, Record::decode(entry.bytes));
  else if (phase == "outcome" && record.text(Field::result) != "conflict")
    intents.open.erase(key);
}

std::vector<Key> OpenIntents::keys_of(const registry::Operation& operation) {
  auto keys = operation.device
                  ? context_.registry.keys_of_operation(operation.id, *operation.device)
                  : context_.registry.listed_keys(operation.id);
  std::erase_if(keys, [&](const Key& key) {
    return operation.kind == op::key_destroy ? is_destroyed(key.state)
           : operation.kind == op::key_enrol ? !key.awaits_enrolment
                                             : key.state != KeyState::none;
  });
  return keys;
}

std::string OpenIntents::contradiction_of_ceremony(const Record& intent) {
  auto& pool = context_.token->pool();
  const auto operation = intent.text(Field::op);
  const bool is_signed = context_.checkpoints.is_open();
  const std::string label = operation == op::import_key_generate      ? "smets1-kms/import"
                            : operation == op::enrolment_key_generate ? "smets1-kms/enrolment"
                            : operation == op::audit_key_generate && !is_signed ? "smets1-kms/audit"
                            : operation == op::target_admit || operation == op::target_destroy
                                ? "smets1-kms/target/" + std::string(intent.text(Field::target))
                                : "";
  return vault::with_token([&]() -> std::string {
    const auto keys = pool.run([](pkcs11::Session& session) { return vault::own_keys(session); });
    const auto found = keys.find(std::string(intent.text(Field::key_id)));
    if (found == keys.end()) return label.empty() ? "its intent is under no signed head" : "";
    if (found->second != label)
      return "its intent is under no signed head, and names the object " + found->second;
    // Before its first head a log proves nothing.
    if (!is_signed && !vault::read_anchors(pool).empty())
      return "its intent is under no signed head, and the token has heads of another registry";
    return "";
  });
}

std::string OpenIntents::contradiction(const registry::Operation& operation) {
  const auto& [first, open] = operations_.find(operation.id)->second;
  const auto* const kind = find_kind(operation.kind);
  if (kind == nullptr) return "no operation of this product is of the kind " + operation.kind;
  const auto* begun = first ? &*first : nullptr;
  Record of_ceremony;
  if (begun == nullptr && operation.intent >= covered_)
    if (const auto entry = context_.registry.record(static_cast<std::int64_t>(operation.intent))) {
      of_ceremony = Record::decode(entry->bytes);
      begun = of_ceremony.text(Field::op_id) == operation.id ? &of_ceremony : nullptr;
    }
  if (begun == nullptr || !may_begin(kind->kind, begun->text(Field::op)))
    return "record " + std::to_string(operation.intent) + " of the log is not its intent";
  const auto is_open = [&](const std::string& id, const Key* key) {
    const auto intent = open.find(id);
    return intent != open.end() &&
           (kind->intents.empty() || intent->second.text(Field::op) == kind->intents) &&
           (key == nullptr || is_of(intent->second, *key));
  };
  const auto not_open = [](const std::string& id) {
    return "the log has no intent without an outcome for the key " + id;
  };
  if (operation.intent >= covered_) {
    const auto& id =
        operation.kind == target_end ? TargetEnd::parse(operation.detail).id : operation.detail;
    if (begun->text(Field::phase) != "intent" || begun->text(Field::key_id) != id)
      return not_open(id);
    return contradiction_of_ceremony(*begun);
  }
  if (operation.kind == op::token_compromise)
    return begun->text(Field::result) != "compromised" ? "the log does not say that it was decided"
           : last_making_ > operation.intent ? "keys were made since: by the log it has ended"
                                             : compromise_differs(operation, *begun);
  if (operation.kind == target_end) {
    const auto end = TargetEnd::parse(operation.detail);
    const bool suspected = begun->text(Field::op) == op::target_compromise;
    const auto label = begun->text(Field::target);
    if (!is_by(*begun, end.authority) || label.substr(0, label.find('/')) != end.name ||
        end.suspicion != (suspected ? begun->text(Field::detail) : "") ||
        end.forget != (begun->text(Field::op) != op::target_destroy))
      return "record " + std::to_string(operation.intent) + " of the log says otherwise of it";
    return end.id.empty()             ? (suspected ? "" : not_open("-"))
           : is_open(end.id, nullptr) ? ""
                                      : not_open(end.id);
  }
  const bool of_devices = kind->kind == "rotate" || kind->kind == "import" ||
                          kind->kind == op::key_enrol || kind->kind == op::key_destroy;
  if (!of_devices) return is_open(operation.detail, nullptr) ? "" : not_open(operation.detail);
  const auto keys = keys_of(operation);
  for (const auto& key : keys)
    if (!is_open(key.id.to_string(), &key)) return not_open(key.id.to_string());
  return open.empty() || open.size() != keys.size()
             ? "by the log " + std::to_string(open.size()) +
                   " of its intents are open, by its rows " + std::to_string(keys.size())
             : "";
}

}  // namespace smets1kms::lifecycle
