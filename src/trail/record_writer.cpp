// SPDX-License-Identifier: Apache-2.0
#include "trail/record_writer.hpp"

#include <unistd.h>

#include <array>

#include "audit/record_fields.hpp"
#include "smets1kms/errors.hpp"
#include "smets1kms/version.hpp"

namespace smets1kms::trail {
namespace {

using audit::Field;
using audit::Record;

constexpr std::uint64_t record_version = 1;

const std::string& host_name() {
  static const std::string name = [] {
    std::array<char, 256> text{};
    ::gethostname(text.data(), text.size() - 1);
    const auto plain = audit::printable(text.data(), 64);
    return plain.empty() ? std::string("unnamed") : plain;
  }();
  return name;
}

}  // namespace

Record RecordWriter::record(const AuditContext& act, Phase phase) const {
  static constexpr std::array phases{"intent", "outcome", "note"};
  Record record;
  record.set(Field::op, act.name)
      .set(Field::phase, phases[static_cast<std::size_t>(phase)])
      .set(Field::op_id, act.operation_id);
  if (!act.authority.requested_by.empty())
    record.set(Field::requested_by, act.authority.requested_by)
        .set(Field::authorised_by, act.authority.authorised_by)
        .set(Field::reference, act.authority.reference);
  if (!act.reason.empty()) record.set(Field::reason, act.reason);
  if (const auto rule = audit::rule_of(act.name, act.reason); !rule.empty())
    record.set(Field::rule, rule);
  return record;
}

Record RecordWriter::record(const AuditContext& act, Phase phase, const Key& key, KeyState from,
                            KeyState to) const {
  Record record = this->record(act, phase);
  record.set(Field::role, to_string(key.role))
      .set(Field::key_id, key.id.to_string())
      .set(Field::generation, key.generation);
  record.set(Field::state_from, to_string(from)).set(Field::state_to, to_string(to));
  if (key.predecessor) record.set(Field::predecessor, key.predecessor->to_string());
  if (key.kek) record.set(Field::kek_id, key.kek->to_string());
  if (key.transfer != 0) record.set(Field::transfer, key.transfer);
  return record;
}

std::int64_t RecordWriter::append(Record& record, std::optional<DeviceId> device) {
  return append(record, device, moment());
}

void RecordWriter::begin() {
  last_.reset();
  heads_.clear();
}

void RecordWriter::end() {
  for (const auto& [device, head] : heads_) registry_.set_head(DeviceId::from_number(device), head);
  heads_.clear();
}

RecordWriter::Last& RecordWriter::last() {
  if (!last_) {
    const auto entry = registry_.last_record();
    last_ = Last{-1, {}, {}, 0};
    if (entry) {
      const auto record = audit::RecordView::parse(entry->bytes);
      last_ = Last{static_cast<std::int64_t>(entry->index), std::string(record.text(Field::time)),
                   std::string(record.text(Field::boot_id)),
                   record.has(Field::mono_us) ? *record.number(Field::mono_us) : 0};
    }
  }
  return *last_;
}

registry::ChainHead& RecordWriter::head(DeviceId device) {
  const auto known = heads_.find(device.number());
  return known != heads_.end()
             ? known->second
             : heads_.emplace(device.number(), registry_.head(device)).first->second;
}

std::int64_t RecordWriter::append_device_map(
    const AuditContext& act, const std::function<std::string(std::uint64_t index)>& detail) {
  const Instant now = moment();
  Record note = record(act, Phase::note);
  note.set(Field::detail, detail(static_cast<std::uint64_t>(last().index + 1)));
  return append(note, std::nullopt, now);
}

Instant RecordWriter::moment() {
  const Instant now = clock_.now();
  if (last().index < 0) {
    Record first = record(
        {.name = audit::op::registry_create, .operation_id = make_uuid(now.utc), .authority = {}},
        Phase::note);
    first.set(Field::detail, "store " + registry_.setting(registry::setting::store).value_or(""));
    append(first, std::nullopt, now);
  }
  if (format_time(now.utc) < last().time ||
      (clock_.boot_id() == last().boot && now.monotonic_us < last().monotonic_us)) {
    Record step =
        record({.name = audit::op::clock_step, .operation_id = make_uuid(now.utc), .authority = {}},
               Phase::note);
    step.set(Field::detail, "from " + last().time);
    append(step, std::nullopt, now);
  }
  return now;
}

const policy::Edition& RecordWriter::edition_at(Time moment) const {
  if (edition_ == nullptr || (edition_->from && moment < *edition_->from) ||
      (edition_->until && moment >= *edition_->until))
    edition_ = &policy_.at(moment);
  return *edition_;
}

std::int64_t RecordWriter::append(Record& record, std::optional<DeviceId> device,
                                  const Instant& now) {
  record.set(Field::v, record_version)
      .set(Field::event_id, make_uuid(now.utc))
      .set(Field::time, format_time(now.utc))
      .set(Field::clock, now.quality)
      .set(Field::boot_id, clock_.boot_id())
      .set(Field::mono_us, now.monotonic_us)
      .set(Field::host, host_name())
      .set(Field::software, "smets1-kms/" + std::string(version()))
      .set(Field::salt, random_hex(16));
  if (!token_.empty()) record.set(Field::token, token_);
  if (record.get(Field::rule)) record.set(Field::edition, edition_at(now.utc).name);
  if (unprotected_) record.set(Field::protection, "none-for-testing");
  registry::ChainHead* const chain = device ? &head(*device) : nullptr;
  if (chain != nullptr)
    record.set(Field::device, device->to_string())
        .set(Field::device_seq, chain->sequence + 1)
        .set(Field::device_prev, audit::to_hex(chain->leaf));
  const std::string bytes = record.encode();
  const auto leaf = audit::leaf_hash(bytes);
  const auto index = last().index + 1;
  try {
    audit::check_before_writing(bytes, static_cast<std::uint64_t>(index), leaf);
  } catch (const std::logic_error& fault) {
    throw StorageError(std::string("nothing is recorded, and so nothing done: it would be ") +
                       fault.what() + ". This is a fault of smets1-kms: report it");
  }
  registry_.append_record(index, bytes, leaf, chain != nullptr ? chain->record : -1);
  if (chain != nullptr) *chain = {.sequence = chain->sequence + 1, .record = index, .leaf = leaf};
  last_ = Last{index, std::string(record.text(Field::time)), clock_.boot_id(), now.monotonic_us};
  return index;
}

}  // namespace smets1kms::trail
