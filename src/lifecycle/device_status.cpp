// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "lifecycle/key_manager_impl.hpp"
#include "lifecycle/key_rules.hpp"
#include "lifecycle/operations.hpp"
#include "lifecycle/rows_against_log.hpp"

namespace smets1kms::lifecycle {
namespace {

/// Change of a device's status that is allowed.
struct Step {
  DeviceChange change;
  std::string_view act;
  std::vector<DeviceStatus> from;
  DeviceStatus to;
};

const Step& step_of(DeviceChange change) {
  using enum DeviceStatus;
  static const Step steps[] = {
      {DeviceChange::commissioned, op::device_commission, {not_commissioned}, commissioned},
      {DeviceChange::suspended, op::device_suspend, {commissioned}, suspended},
      {DeviceChange::resumed, op::device_resume, {suspended}, commissioned},
      {DeviceChange::decommissioned,
       op::device_decommission,
       {commissioned, suspended, not_commissioned},
       decommissioned},
      {DeviceChange::recommissioned, op::device_recommission, {decommissioned}, commissioned}};
  return *std::ranges::find(steps, change, &Step::change);
}

/// Checks the field's time, given by a person: it can't lie ahead, nor before what is known
/// already.
void check_time(const Device& device, const std::vector<DeviceEvent>& events, Time at, Time now) {
  check_not_ahead(at, now);
  if (!events.empty() && at < events.back().moment.at)
    throw Refused(RefusalReason::out_of_order, format_time(at) + " is before what is known of " +
                                                   device.id.to_string() + " already: it was " +
                                                   std::string(to_string(events.back().change)) +
                                                   " at " + format_time(events.back().moment.at));
}

}  // namespace

}  // namespace smets1kms::lifecycle

namespace smets1kms {

void KeyManager::change_device(DeviceId id, DeviceChange change, Time at,
                               const Authority& authority, const std::string& given_id) {
  auto& context = impl_->context;
  const Step& step = step_of(change);
  const auto act = context.act(step.act, authority, given_id);
  context.in_transaction(act, id, [&] {
    check_authority(authority);
    const auto digest = digest_of({act.name, id.to_string(), format_time(at)});
    if (context.is_repeat(act.operation_id, act.name, digest)) return;
    const Device device = context.device(id);
    check_row(context, device);
    if (std::ranges::find(step.from, device.status) == step.from.end())
      throw Refused(RefusalReason::illegal_device_change,
                    id.to_string() + " is " + std::string(to_string(device.status)) +
                        ": it can't be " + std::string(to_string(change)) +
                        ". 'device show' tells what became of it");
    const auto moment = context.trail.moment();
    check_time(device, context.registry.events(id), at, moment.utc);
    const auto index =
        context.append(context.trail.record(act, Phase::note), id,
                       {{Field::result, to_string(change)}, {Field::at, format_time(at)}}, moment);
    context.put_operation(act, index,
                          {.device = id, .digest = digest, .state = OperationState::done});
    const auto record = static_cast<std::uint64_t>(index);
    context.registry.add_event(id, {change, {.at = at, .record = record}});
    context.registry.set_status(id, step.to, record);
    if (!device.commissioned_at && step.to == DeviceStatus::commissioned)
      context.registry.set_commissioned(id, at);
  });
}

}  // namespace smets1kms
