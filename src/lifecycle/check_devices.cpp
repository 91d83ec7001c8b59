// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "lifecycle/check.hpp"
#include "lifecycle/operations.hpp"
#include "vault/sealing.hpp"

namespace smets1kms::lifecycle {

using audit::DeviceReplay;
using audit::Effect;
using audit::RecordSummary;
using Records = std::span<const RecordSummary>;

namespace {

constexpr Digest none{};

std::optional<Digest> unless_none(const Digest& id) {
  return id == none ? std::nullopt : std::optional(id);
}

struct StatusChange {
  std::string_view operation;
  DeviceChange change;
  DeviceStatus to;
};
constexpr StatusChange status_changes[] = {
    {op::device_commission, DeviceChange::commissioned, DeviceStatus::commissioned},
    {op::device_suspend, DeviceChange::suspended, DeviceStatus::suspended},
    {op::device_resume, DeviceChange::resumed, DeviceStatus::commissioned},
    {op::device_decommission, DeviceChange::decommissioned, DeviceStatus::decommissioned},
    {op::device_recommission, DeviceChange::recommissioned, DeviceStatus::commissioned}};

}  // namespace

DeviceTables::DeviceTables(sqlite::Database& database, CheckResult& result, Contradictions& found,
                           LogFacts& facts)
    : database_(database),
      result_(result),
      found_(found),
      facts_(facts),
      devices_(database,
               "SELECT id,kind,model,suite,supports,commissioned_at,status,no_kek_reason,"
               "registered,record FROM device WHERE id BETWEEN ? AND ? ORDER BY id",
               "device"),
      keys_(database,
            "SELECT device,role,generation,id,state,delivery,predecessor,kek,transfer,operation,"
            "created_at,made,record,wrapped,in_doubt_at,confirmed_at,not_held_at,compromised_at,"
            "awaiting,sealed_under,sealed,mac,sealed_record FROM key WHERE device BETWEEN ? AND ? "
            "ORDER BY device,role,generation",
            "key"),
      events_(database,
              "SELECT device,seq,change,at,record FROM device_event WHERE device BETWEEN ? AND ? "
              "ORDER BY device,seq",
              "device_event"),
      handovers_(database,
                 "SELECT device,role,generation,target,target_generation,wrapped,received_at FROM "
                 "handover WHERE device BETWEEN ? AND ? ORDER BY device,role,generation,target",
                 "handover"),
      operation_keys_(database,
                      "SELECT device,role,generation,operation FROM operation_key WHERE device "
                      "BETWEEN ? AND ? ORDER BY device,role,generation",
                      "operation_key") {}

void DeviceTables::add(const DeviceReplay& replay, Records records) {
  const auto device = records.front().device;
  for (auto* rows : {&devices_, &keys_, &events_, &handovers_, &operation_keys_})
    rows->seek(device, found_);
  for (const auto& open : replay.open()) facts_.open_operations.emplace(open.operation, open.index);
  for (const auto& record : records)
    if (!record.is_claim && audit::record_type_of(record).effect == Effect::conflict)
      facts_.conflicts.insert(record.operation);
  check_device(device, records);
  check_keys(replay, device, records);
  check_handovers(replay, device, records);
  check_operation_keys(device, records);
}

void DeviceTables::check_device(std::uint64_t device, Records records) {
  const RecordSummary* registered = nullptr;
  const RecordSummary* reason = nullptr;
  std::uint64_t last = 0;
  std::int64_t commissioned_at = 0;
  auto status = DeviceStatus::not_commissioned;
  std::int64_t sequence = 0;
  const auto name = DeviceId::from_number(device).to_string();
  const auto event = [&](const RecordSummary& record, DeviceChange change) {
    ++sequence;
    if (!events_.is_of(device))
      return found_.add("device_event row " + std::to_string(sequence) + " of " + name,
                        "it is missing", record.index);
    RowCheck row(found_, events_.row(),
                 "device_event row " + std::to_string(sequence) + " of " + name, record.index);
    row.number(1, sequence);
    row.word(2, change);
    row.number(3, record.at);
    row.number(4, static_cast<std::int64_t>(record.index));
    events_.next();
  };
  for (const auto& record : records) {
    if (record.is_claim) continue;
    const auto& type = audit::record_type_of(record);
    const auto* const change =
        std::ranges::find(status_changes, type.operation, &StatusChange::operation);
    if (type.operation == op::device_register) {
      registered = &record;
      if (record.blob != none) reason = &record;
      if ((commissioned_at = record.at) != 0) status = DeviceStatus::commissioned;
      if (record.at != 0) event(record, DeviceChange::commissioned);
    } else if (change != std::end(status_changes)) {
      status = change->to;
      if (commissioned_at == 0 && status == DeviceStatus::commissioned) commissioned_at = record.at;
      event(record, change->change);
    } else {
      if (type.operation == op::key_import && type.effect == Effect::make) reason = nullptr;
      continue;
    }
    last = record.index;
  }
  for (; events_.is_of(device); events_.next())
    found_.add("device_event row of " + name, "the trail has no such event");
  if (registered == nullptr || !devices_.is_of(device)) {
    if (registered != nullptr)
      found_.add("device row of " + name, "it is missing", registered->index);
    if (devices_.is_of(device))
      found_.add("device row of " + name, "the trail did not register it");
    if (devices_.is_of(device)) devices_.next();
    return;
  }
  ++result_.devices;
  const auto& columns = devices_.row();
  RowCheck row(found_, columns, "device row of " + name, registered->index);
  std::string kind, supports;
  try {
    kind = to_string(registry::read<DeviceKind>(columns, 1));
    supports = names_of(registry::read_roles(columns, 4));
  } catch (const StorageError& error) {
    row.fail(error.what());
  }
  if (supports.empty()) supports = "none";
  if (audit::facts_digest(kind, columns.text(2), columns.text(3), supports) !=
      registered->content) {
    RecordReader reader(database_);
    const auto& record = reader.at(static_cast<std::int64_t>(registered->index));
    const std::tuple<int, Field, std::string> facts[] = {{1, Field::kind, kind},
                                                         {2, Field::model, columns.text(2)},
                                                         {3, Field::suite, columns.text(3)},
                                                         {4, Field::supports, supports}};
    for (const auto& [column, field, is] : facts)
      if (record.text(field) != is)
        row.fail(column, "'" + is + "'", "'" + std::string(record.text(field)) + "'");
  }
  row.number(8, static_cast<std::int64_t>(registered->index));
  row.by(last).number(9, static_cast<std::int64_t>(last));
  row.number(5, commissioned_at);
  row.word(6, status);
  if ((reason == nullptr) != columns.is_null(7) ||
      (reason != nullptr &&
       audit::short_digest("no usable KEK: " + columns.text(7)) != reason->blob))
    row.fail("its column no_kek_reason is not as the trail says");
  devices_.next();
}

KeyFacts DeviceTables::facts_of(const DeviceReplay::Key& key, Records records) const {
  KeyFacts facts;
  const auto mark = [&](Delivery delivery, std::int64_t time) {
    auto* const at = delivery == Delivery::in_doubt || delivery == Delivery::unproven
                         ? &facts.in_doubt
                     : delivery == Delivery::confirmed ? &facts.confirmed
                     : delivery == Delivery::not_held  ? &facts.not_held
                                                       : nullptr;
    if (at != nullptr && !*at) *at = time;  // the first time counts
  };
  for (const auto& record : records) {
    if (!is_of_key(record) || record.key != key.id) continue;
    const auto& type = audit::record_type_of(record);
    if (type.effect == Effect::plan) {
      facts.operation = record.operation;
      facts.transfer = record.transfer;
      facts.made = record.index;
      if (key.imported) facts.content = record.content;
    } else if (type.effect == Effect::make) {
      facts.made = record.index;
      facts.created = record.time;
      if (!key.imported) facts.content = record.content;
    }
    if (type.effect == Effect::make || (type.effect == Effect::change && type.from != 0))
      mark(type.delivery, record.time);
    if (record.blob != none) {
      facts.blob = record.blob;
      facts.blob_record = record.index;
    }
    const bool suspected =
        record.to == KeyState::compromised || record.to == KeyState::destroyed_compromised;
    if (record.has_states && suspected && type.effect != Effect::begin && !facts.compromised)
      facts.compromised = record.time;
  }
  return facts;
}

void DeviceTables::check_keys(const DeviceReplay& replay, std::uint64_t device, Records records) {
  std::vector<const DeviceReplay::Key*> keys;
  for (const auto& key : replay.keys()) keys.push_back(&key);
  const auto place = [](const DeviceReplay::Key& key) {
    return std::pair(registry::column(key.role.value_or(KeyRole::kek)),
                     std::int64_t{key.generation});
  };
  std::ranges::sort(keys, {}, [&](const auto* key) { return place(*key); });
  const auto row_place = [&] { return std::pair(keys_.row().integer(1), keys_.row().integer(2)); };
  const auto surplus = [&] {
    found_.add("key row " + std::to_string(row_place().first) + "/" +
                   std::to_string(row_place().second) + " of " +
                   DeviceId::from_number(device).to_string(),
               "by the trail its device has no such key");
    keys_.next();
  };
  for (const auto* key : keys) {
    while (keys_.is_of(device) && row_place() < place(*key)) surplus();
    const auto facts = facts_of(*key, records);
    if (key->imported && facts.created)
      imported_.add({.sha256 = facts.content, .device = device, .record = facts.made});
    if (!keys_.is_of(device) || row_place() != place(*key)) {
      found_.add(named(key->role, key->generation, device), "its row is missing", key->since);
      continue;
    }
    check_key(*key, facts);
    ++result_.keys;
    keys_.next();
  }
  while (keys_.is_of(device)) surplus();
}

void DeviceTables::check_key(const DeviceReplay::Key& key, const KeyFacts& facts) {
  const auto& columns = keys_.row();
  const auto device = static_cast<std::uint64_t>(columns.integer(0));
  RowCheck row(found_, columns, named(key.role, key.generation, device), key.since);
  row.word(4, key.state);
  row.word(5, key.delivery);
  row.number(12, static_cast<std::int64_t>(key.since));
  row.number(14, facts.in_doubt);
  row.number(15, facts.confirmed);
  row.number(16, facts.not_held);
  row.number(17, facts.compromised);
  row.by(facts.made).id(3, key.id);
  row.id(6, unless_none(key.predecessor));
  row.id(7, key.imported ? std::nullopt : unless_none(key.kek));
  row.number(8, facts.transfer);
  row.number(11, static_cast<std::int64_t>(facts.made));
  if (facts.created) row.number(10, facts.created);
  auto operation = columns.text(9);
  if (constexpr std::string_view settled = "/settled"; operation.ends_with(settled))
    operation.resize(operation.size() - settled.size());  // its recovery destroyed the key
  if (audit::short_digest(operation) != facts.operation)
    row.fail("its column operation names another operation than the trail");
  const bool is_there = key.state != KeyState::none && !is_gone(key.state);
  row.digest(13, is_there && !key.imported ? std::optional(facts.content) : std::nullopt);
  // A key outside of the token waits for the officer, or is sealed.
  const bool outside = is_there && key.sealed,
             waits = outside && key.role == KeyRole::kek && !key.imported && !columns.is_null(18);
  row.by(facts.blob_record).digest(18, waits ? std::optional(facts.blob) : std::nullopt);
  row.digest(20, outside && !waits ? std::optional(facts.blob) : std::nullopt);
  row.number(22, outside && !waits ? std::optional(static_cast<std::int64_t>(facts.blob_record))
                                   : std::nullopt);
  if ((outside && !waits) != !columns.is_null(21) || columns.is_null(19) != columns.is_null(21))
    row.fail("its columns sealed_under and mac are not those of where the key rests");
  if (const auto under = columns.blob(19); !columns.is_null(19)) {
    const auto purpose = vault::purpose_of(vault::storage_of(*key.role));
    const auto id = audit::to_hex(under);
    if (std::ranges::none_of(facts_.keys, [&](const LogFacts::OwnKey& own) {
          return own.id == id && own.operation == op::storage_key_generate &&
                 own.detail == purpose && !own.is_destroyed;
        }))
      row.fail(19, id, "it is no " + std::string(purpose) + " of this store");
  }
}

}  // namespace smets1kms::lifecycle
