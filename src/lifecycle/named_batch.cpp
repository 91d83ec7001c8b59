// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/named_batch.hpp"

#include <algorithm>
#include <set>

#include "base/one_of.hpp"
#include "lifecycle/fleet_duties.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/recorded_keys.hpp"
#include "lifecycle/targets.hpp"

namespace smets1kms::lifecycle {
namespace {

constexpr std::size_t batch_page = 1000;  // devices read at a time
constexpr std::size_t longest_name = 26;

trail::AuditContext batch_act(const std::string& name, const Authority& authority) {
  return {.name = op::batch_run, .operation_id = name, .authority = authority};
}

void check_request(const BatchRequest& request) {
  const auto& [kind, devices, keys, within, target] = request.selection;
  if (!request.name.empty()) check_batch_name(request.name);
  if (!is_one_of(kind, Selection::Kind::devices, Selection::Kind::all, Selection::Kind::due,
                 Selection::Kind::missing_handover))
    throw BadInput(
        "a batch of rotations is for a list of devices, for all, for what is due, or for keys that "
        "a handover target lacks");
  if ((kind == Selection::Kind::missing_handover) == target.empty())
    throw BadInput("a handover target goes with Selection::Kind::missing_handover");
  if ((kind == Selection::Kind::devices) == devices.empty())
    throw BadInput("a list of devices goes with Selection::Kind::devices, and has at least one");
  std::vector<DeviceId> sorted(devices);
  std::ranges::sort(sorted);
  if (const auto twice = std::ranges::adjacent_find(sorted); twice != sorted.end())
    throw BadInput("device " + twice->to_string() + " is in the list twice");
  if ((kind == Selection::Kind::due) == request.reason.has_value())
    throw BadInput("a batch has a reason, unless it is for what is due: each duty has its own");
  if (within && kind != Selection::Kind::due) throw BadInput("a time limit goes with what is due");
  const std::set<KeyRole> roles(request.roles.begin(), request.roles.end());
  if (roles.size() != request.roles.size()) throw BadInput("a role is given twice");
}

registry::Hash digest_of_batch(const BatchRequest& request) {
  std::string devices, roles;
  for (const auto device : request.selection.devices) devices += device.to_string();
  for (const auto role : request.roles) roles += std::string(to_string(role)) + "+";
  const auto& within = request.selection.within;
  return digest_of({std::to_string(static_cast<int>(request.selection.kind)), devices,
                    within ? std::to_string(within->count()) : "", request.selection.target, roles,
                    request.reason ? to_string(*request.reason) : "",
                    request.authority.requested_by, request.authority.authorised_by,
                    request.authority.reference, request.single_action ? "together" : "",
                    request.wrap_under == WrapUnder::proven ? "proven" : "",
                    request.justification});
}

/// Throws Refused that says in what the request that began the batch differs.
void refuse_changed(const BatchRequest& begun, const BatchRequest& request) {
  const bool other_reason = begun.reason && request.reason && *begun.reason != *request.reason;
  throw Refused(RefusalReason::batch_changed,
                "the batch " + begun.name + " was begun " +
                    (other_reason ? "for another reason, " + std::string(to_string(*begun.reason))
                                  : "with other roles, identities, reference or options, or for "
                                    "other devices") +
                    ": give this one a name of its own");
}

}  // namespace

void check_batch_name(const std::string& name) {
  if (name.size() > longest_name || !is_operation_id(name))
    throw BadInput("a batch's name is 1 to 26 characters of A-Z a-z 0-9 . _ : -");
}

registry::Batch known_batch(Context& context, const std::string& name) {
  if (auto known = registry::BatchTables(context.registry.database()).find(name))
    return *std::move(known);
  throw Refused(RefusalReason::unknown_batch, "there is no batch '" + name + "'");
}

std::string new_batch_name(Time now) {
  auto time = make_uuid(now);  // its first 48 bits are the time
  std::erase(time, '-');
  return "batch-" + time.substr(0, 12) + random_hex(4);
}

std::string operation_of(const std::string& batch, DeviceId device, Reason reason) {
  std::string id = device.to_string();
  std::erase(id, '-');
  return batch + ":" + id + ":" + std::string(to_string(reason));
}

std::optional<std::pair<DeviceId, Reason>> parse_operation(const std::string& batch,
                                                           std::string_view id) {
  const auto begin = batch.size() + 1, end = begin + 16;  // the EUI-64, hex
  if (id.size() <= end || id[end] != ':' || !id.starts_with(batch + ":")) return std::nullopt;
  try {
    return std::pair(DeviceId::parse(id.substr(begin, 16)), parse_reason(id.substr(end + 1)));
  } catch (const BadInput&) {
    return std::nullopt;
  }
}

NamedBatch::NamedBatch(Context& context, const Fleet& fleet, BatchRequest request)
    : context_(context), fleet_(fleet) {
  check_request(request);
  const Time now = context.clock.now().utc;
  if (request.name.empty()) request.name = new_batch_name(now);
  const auto act = batch_act(request.name, request.authority);
  under_operation(act.operation_id, [&] {
    context.in_transaction(act, std::nullopt, [&] {
      check_authority(request.authority);
      check_policy(context, request.reason.value_or(Reason::post_commissioning),
                   request.justification);
      registry::BatchTables tables(context.registry.database());
      const auto digest = digest_of_batch(request);
      if (auto known = tables.find(request.name)) {
        if (known->digest != digest) refuse_changed(known->info.request, request);
        row_ = *std::move(known);
      } else {
        const auto devices = std::exchange(request.selection.devices, {});
        row_ = {.info = {.request = std::move(request),
                         .devices = devices.size(),
                         .started = now,
                         .ended = {}},
                .digest = digest};
        tables.add(row_, devices);
      }
      if (const auto& target = row_.info.request.selection.target; !target.empty())
        (void)admitted_target(context, target);
      begin_run();
    });
  });
}

NamedBatch::NamedBatch(Context& context, const Fleet& fleet, const std::string& name)
    : context_(context), fleet_(fleet) {
  check_batch_name(name);
  context.in_transaction(batch_act(name, {}), std::nullopt, [&] {
    row_ = known_batch(context, name);
    begin_run();
  });
}

/// Begins a run, in a transaction. Every run looks at all devices of its batch, and passes over
/// those that are done.
void NamedBatch::begin_run() {
  claimed_ = context_.claim_batch(name());
  auto& info = row_.info;
  ran_before_ = info.done != 0;
  info.ended.reset();
  info.failed = 0;
  registry::BatchTables(context_.registry.database()).save(row_);
  passed_over_.done_before = info.done;
  if (info.request.selection.kind == Selection::Kind::due)
    if (const auto last = fleet_.clock_behind(context_.clock.now().utc))
      throw BadInput("the clock says " + format_time(context_.clock.now().utc) +
                     ", and the audit trail's last record is of " + format_time(*last) +
                     ": mend it before anything is called due");
  load_unhanded();
}

/// Finds transfers that were released, not answered, and not handed over.
void NamedBatch::load_unhanded() {
  for (auto index = row_.handed + 1; index <= row_.recorded; ++index) {
    const auto entry = context_.registry.record(index);
    if (!entry) continue;
    const auto record = audit::RecordView::parse(entry->bytes);
    const auto operation = parse_operation(name(), record.text(audit::Field::op_id));
    if (!operation || !says_generated(record)) continue;
    const auto [device, reason] = *operation;
    const auto keys =
        context_.registry.keys_of_operation(operation_of(name(), device, reason), device);
    if (keys.empty() || !std::ranges::all_of(keys, may_be_handed_out)) continue;
    if (waiting_.empty() || waiting_.back()->request.operation_id != keys.front().operation) {
      auto roles = row_.info.request.roles;
      if (!row_.info.request.reason) {  // the reason is a duty's
        roles.clear();
        for (const auto& key : keys) roles.push_back(key.role);
        std::ranges::sort(roles);
      }
      waiting_.push_back(item(device, std::move(roles), reason));
      ++unhanded_;
    }
    waiting_.back()->repeats = index;
  }
  passed_over_.done_before -= std::min(passed_over_.done_before, unhanded_);
}

RotationFeed::Item NamedBatch::item(DeviceId device, std::vector<KeyRole> roles,
                                    Reason reason) const {
  const auto& request = row_.info.request;
  return std::make_unique<RotationPlan>(
      RotationRequest{.device = device,
                      .roles = std::move(roles),
                      .reason = reason,
                      .authority = request.authority,
                      .operation_id = operation_of(request.name, device, reason),
                      .single_action = request.single_action,
                      .wrap_under = request.wrap_under,
                      .justification = request.justification});
}

/// Returns the roles whose newest key the batch's target was not handed; a device that has none yet
/// lacks it, too.
std::vector<KeyRole> NamedBatch::roles_not_handed(const Device& device) {
  const auto& request = row_.info.request;
  const auto target = admitted_target(context_, request.selection.target).info;
  registry::HandoverTables tables(context_.registry.database());
  const auto keys = context_.registry.keys(device.id);
  std::vector<KeyRole> roles;
  for (const auto role : device.supports) {
    const Key* newest = nullptr;  // keys are in the order of their generations
    for (const auto& key : keys)
      if (key.role == role && !is_destroyed(key.state) && key.delivery != Delivery::not_held)
        newest = &key;
    const auto handed = newest ? tables.of_key(newest->ref()) : std::vector<registry::HandedKey>{};
    const bool is_asked =
        request.roles.empty() || std::ranges::find(request.roles, role) != request.roles.end();
    if (target.takes(role) && is_asked &&
        std::ranges::find(handed, target.name, &registry::HandedKey::target) == handed.end())
      roles.push_back(role);
  }
  return roles;
}

void NamedBatch::read_devices() {
  const auto& request = row_.info.request;
  if (request.selection.kind == Selection::Kind::devices) {
    const std::lock_guard lock(context_.registry_mutex);
    for (const auto device : registry::BatchTables(context_.registry.database())
                                 .devices(name(), next_position_, batch_page))
      waiting_.push_back(item(device, request.roles, *request.reason));
    next_position_ += static_cast<std::int64_t>(waiting_.size());
    at_end_ = waiting_.empty();
    return;
  }
  const auto devices = fleet_.devices(last_device_, batch_page);
  at_end_ = devices.empty();
  for (const auto& device : devices) {
    last_device_ = device.id;
    if (device.status != DeviceStatus::commissioned) continue;
    if (!device.no_kek_reason.empty())
      ++passed_over_.without_kek;
    else if (request.selection.kind == Selection::Kind::missing_handover) {
      auto roles = context_.locked([&] { return roles_not_handed(device); });
      if (!roles.empty()) waiting_.push_back(item(device.id, std::move(roles), *request.reason));
    } else if (std::ranges::all_of(request.roles,
                                   [&](auto role) { return device.supports_role(role); }))
      waiting_.push_back(item(device.id, request.roles, *request.reason));
    else
      ++passed_over_.without_roles;
  }
}

void NamedBatch::read_duties() {
  const auto& request = row_.info.request;
  const auto& within = request.selection.within;
  const Time now = context_.clock.now().utc;
  auto histories = fleet_.histories(last_device_, batch_page);
  at_end_ = histories.empty();
  for (auto& history : histories) {
    last_device_ = history.device.id;
    const auto device = duties_of(std::move(history), context_.policy, now);
    if (!device.contradiction.empty()) ++passed_over_.not_judged;
    if (!has_usable_kek(device.device) && std::ranges::any_of(device.duties, [&](const auto& duty) {
          return is_due(duty, now, within);
        }))
      ++passed_over_.without_kek;
    for (auto& due : rotations_due(device, now, within)) {
      if (!request.roles.empty())
        std::erase_if(due.roles, [&](KeyRole role) {
          return std::ranges::find(request.roles, role) == request.roles.end();
        });
      if (!due.roles.empty())
        waiting_.push_back(item(due.device, std::move(due.roles), due.reason));
    }
  }
}

bool NamedBatch::is_done(const RotationPlan& plan) {
  if (!ran_before_) return false;
  const auto known =
      context_.locked([&] { return context_.registry.operation(plan.request.operation_id); });
  return known && known->kind == "rotate" && known->state == OperationState::done;
}

/// True if a result that was not handed over may still be: no answer came meanwhile.
bool NamedBatch::is_unanswered(const RotationPlan& plan) {
  const auto keys = context_.locked([&] {
    return context_.registry.keys_of_operation(plan.request.operation_id, plan.request.device);
  });
  return std::ranges::all_of(keys, may_be_handed_out);
}

RotationFeed::Item NamedBatch::next() {
  const bool is_due = row_.info.request.selection.kind == Selection::Kind::due;
  if (waiting_.empty() && !at_end_) is_due ? read_duties() : read_devices();
  while (!waiting_.empty()) {
    auto item = std::move(waiting_.front());
    waiting_.pop_front();
    if (item->repeats >= 0) {
      if (is_unanswered(*item)) return item;
      handed_over(*item);
    } else if (!is_done(*item)) {
      return item;
    } else if (is_due) {
      item->refusal.emplace(RefusalReason::operation_id_reused,
                            "the batch " + name() + " has rotated " +
                                item->request.device.to_string() +
                                " for this reason before, and that is due again: begin a batch of "
                                "another name");
      return item;
    }
  }
  return nullptr;
}

void NamedBatch::record(std::span<const Item> made, std::span<const Item> planned,
                        std::int64_t before) {
  changed_ = row_;
  if (unhanded_ == 0) changed_.handed = before;
  for (const auto items : {made, planned})
    for (const auto& item : items) count_ended(*item);
  registry::BatchTables(context_.registry.database()).save(changed_);
}

void NamedBatch::count_ended(const RotationPlan& plan) {
  if (!has_ended(plan.stage) || plan.stage == Stage::not_begun || plan.repeats >= 0) return;
  if (plan.stage == Stage::released) {
    ++changed_.info.done;
    ++unhanded_;
    changed_.recorded = plan.record;
  } else if (plan.stage != Stage::repeated) {
    ++changed_.info.failed;
  }
}

void NamedBatch::handed_over(const RotationPlan& plan) {
  if (plan.repeats < 0 && plan.stage != Stage::released) return;
  --unhanded_;
  row_.handed = plan.repeats >= 0 ? plan.repeats : plan.record;
}

void NamedBatch::report_progress() {
  if (!context_.callbacks.progress) return;
  const auto done = row_.info.done + row_.info.failed;
  if (!total_)
    total_ = row_.info.request.selection.kind == Selection::Kind::all
                 ? fleet_.device_count(DeviceStatus::commissioned)
                 : row_.info.devices;
  context_.report("devices rotated", done, *total_ == 0 ? 0 : std::max(*total_, done));
}

void NamedBatch::save(bool ended) {
  context_.transact([&] {
    registry::BatchTables tables(context_.registry.database());
    auto row = *tables.find(name());  // a group may be durable whose head could not be anchored
    row.handed = std::max(row.handed, row_.handed);
    if (ended) row.info.ended = context_.clock.now().utc;
    tables.save(row);
  });
}

void NamedBatch::end(BatchSummary& summary) {
  save(!summary.stopped);
  passed_over_.name = name();
  passed_over_.rotated = summary.rotated;
  passed_over_.failed = summary.failed;
  passed_over_.stopped = summary.stopped;
  summary = passed_over_;
}

void NamedBatch::abandon() noexcept {
  try {
    save(false);
  } catch (
      const std::exception&) {  // transfers handed over since the last group are handed out again
  }
}

}  // namespace smets1kms::lifecycle
