// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>

#include "lifecycle/rotation_batch.hpp"
#include "registry/batch_tables.hpp"

namespace smets1kms::lifecycle {

/// A named batch under way: the devices that it still has to rotate, and its row in the registry.
/// Transfers that an earlier run released and did not hand over come first, as repeats.
class NamedBatch : public RotationFeed {
 public:
  /// Begins a batch, or goes on with the one of this name. Throws BadInput, Refused (batch_changed,
  /// dual_control, policy, operation_open).
  NamedBatch(Context& context, const Fleet& fleet, BatchRequest request);
  /// Goes on with a batch. Throws Refused (unknown_batch, operation_open).
  NamedBatch(Context& context, const Fleet& fleet, const std::string& name);

  [[nodiscard]] const std::string& name() const { return row_.info.request.name; }
  Item next() override;
  [[nodiscard]] bool at_end() const override { return at_end_ && waiting_.empty(); }
  void record(std::span<const Item> made, std::span<const Item> planned,
              std::int64_t before) override;
  void committed() override { row_ = changed_; }
  void handed_over(const RotationPlan& plan) override;
  void report_progress() override;
  /// Records that this run has ended, and adds to its summary what only the batch knows.
  void end(BatchSummary& summary);
  /// Does the same for a run that failed, as far as the registry can be written.
  void abandon() noexcept;

 private:
  void begin_run();
  void load_unhanded();
  void read_devices();
  void read_duties();
  std::vector<KeyRole> roles_not_handed(const Device& device);
  [[nodiscard]] Item item(DeviceId device, std::vector<KeyRole> roles, Reason reason) const;
  bool is_done(const RotationPlan& plan);
  bool is_unanswered(const RotationPlan& plan);
  void count_ended(const RotationPlan& plan);
  void save(bool ended);
  Context& context_;
  const Fleet& fleet_;
  registry::Batch row_, changed_;  ///< the durable row, and that of the open transaction
  std::shared_ptr<void> claimed_;  ///< keeps other runs of the batch out
  std::deque<Item> waiting_;       ///< read, and not given to the batch yet
  bool at_end_ = false;
  std::optional<std::uint64_t> total_;
  std::size_t unhanded_ = 0;  ///< results that are recorded, and the caller does not have
  bool ran_before_ = false;   ///< some of its rotations may be done
  std::optional<DeviceId> last_device_;
  std::int64_t next_position_ = 0;  ///< in a list
  BatchSummary passed_over_;
};

/// Checks a batch's name. Throws BadInput.
void check_batch_name(const std::string& name);
/// Returns the row of a batch. Throws Refused (unknown_batch).
[[nodiscard]] registry::Batch known_batch(Context& context, const std::string& name);
/// Returns "batch-" and 20 characters; later names sort behind earlier ones.
[[nodiscard]] std::string new_batch_name(Time now);
/// Returns "NAME:00DB1234567890A0:post-commissioning".
[[nodiscard]] std::string operation_of(const std::string& batch, DeviceId device, Reason reason);
/// Returns the device and the reason of such an operation id; nullopt: it is no operation of this
/// batch.
[[nodiscard]] std::optional<std::pair<DeviceId, Reason>> parse_operation(const std::string& batch,
                                                                         std::string_view id);

}  // namespace smets1kms::lifecycle
