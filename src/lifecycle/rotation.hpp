// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <exception>
#include <optional>
#include <vector>

#include "lifecycle/context.hpp"

/// One device's rotation, step by step. Who calls the steps, and in which transaction: batch.cpp.
namespace smets1kms::lifecycle {

/// A rotation on its way from the intent to the release.
struct RotationPlan {
  explicit RotationPlan(RotationRequest request);
  RotationRequest request;
  trail::AuditContext act;
  std::optional<Device> device{};
  std::vector<Key> keys{};  ///< planned, then made
  std::optional<Key> kek{};
  std::optional<vault::KeyAtRest> kek_at_rest{};
  std::vector<vault::MadeKey> made{};  ///< by the token; of a repeat, the blobs as recorded
  bool repeat = false;                 ///< the operation id was used before for this very request
  bool left_behind = false;            ///< what the token made of it could not be taken back
  bool passing_fault = false;          ///< the failure is one that the token may not repeat
  bool token_lost = false;             ///< the failure is that there is no token any more
  int tries = 0;
  bool settled = false;  ///< nothing is left to do or to record
  std::exception_ptr failure{};
};

/// Steps 1 and 2, in the caller's transaction: may it be done; under which ids; the intents. A
/// refusal is recorded.
void record_intent(Context& context, RotationPlan& plan);
/// Step 3, the token's work: a device gets all its keys or none.
void make_keys(Context& context, RotationPlan& plan);
/// Step 3 undone, where it or what came after it failed.
void take_back(Context& context, RotationPlan& plan);
/// Step 4, in the caller's transaction: outcome and keys, or that it failed. Not `settled`
/// afterwards: the KEK is no longer what it was, and what was made has to be taken back first.
void record_outcome(Context& context, RotationPlan& plan);
/// Step 5: what is durable, and under a signed head, is released.
[[nodiscard]] Rotation release(const Config& config, const RotationPlan& plan);

}  // namespace smets1kms::lifecycle
