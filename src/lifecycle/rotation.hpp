// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <exception>
#include <optional>
#include <vector>

#include "lifecycle/context.hpp"

/// One device's rotation, step by step. Who calls the steps, and in which transaction:
/// rotation_batch.cpp.
namespace smets1kms::lifecycle {

/// How far a rotation has come.
enum class Stage : std::uint8_t {
  requested,   ///< nothing of it is recorded
  planned,     ///< its intents are recorded; the token has yet to make the keys
  made,        ///< the token has made the keys; the outcome is not recorded
  unwanted,    ///< the token may hold keys that must go
  taken_back,  ///< it failed, and nothing of it is in the token; that is not recorded
  given_back,  ///< its batch ended before the token's turn came; that is not recorded
  left_open,   ///< ended: it failed, the token may hold keys, and the next opening recovers it
  refused,     ///< ended: refused, or bad input
  released,    ///< ended: its outcome is recorded
  repeated,    ///< ended: it was released before, under the same operation id
  failed,      ///< ended: its failure is recorded
  not_begun,   ///< ended: its batch ended before its turn
};
[[nodiscard]] constexpr bool has_ended(Stage stage) { return stage >= Stage::left_open; }

/// A rotation on its way from the request to the release.
struct RotationPlan {
  explicit RotationPlan(RotationRequest request);
  RotationRequest request;
  trail::AuditContext act;
  Stage stage = Stage::requested;
  std::optional<Device> device{};
  std::vector<Key> keys{};  ///< planned, then made
  std::optional<Key> kek{};
  std::optional<vault::KeyAtRest> kek_at_rest{};
  std::vector<vault::MadeKey> made{};  ///< by the token; of a repeat, the blobs as recorded
  int tries = 0;
  std::int64_t record = -1;  ///< index of its last record
  std::int64_t repeats =
      -1;  ///< index of the record whose result was not handed over; -1: it is new
  std::optional<Refused> refusal{};  ///< of its batch
  std::exception_ptr failure{};
};

/// Throws Refused (token_suspected): nothing is wrapped or released while a token's keys are being
/// marked.
void check_token(const Context& context);
/// Throws BadInput for an unreadable justification, Refused (policy) for a reason that the policy
/// does not allow, and as check_token.
void check_policy(const Context& context, Reason reason, const std::string& justification);

/// Steps 1 and 2, in the caller's transaction: may it be done; under which ids; the intents. A
/// refusal is recorded.
void record_intent(Context& context, RotationPlan& plan);
/// How a call of the token ended.
enum class TokenAnswer : std::uint8_t {
  final,          ///< done, or refused for good
  passing_fault,  ///< another try may succeed
  token_lost,     ///< there is no token any more
};
/// Step 3, the token's work: a device gets all its keys or none.
TokenAnswer make_keys(Context& context, RotationPlan& plan);
/// Step 3 undone, where it or what came after it failed.
void take_back(Context& context, RotationPlan& plan);
/// Step 4, in the caller's transaction: outcome and keys, or that it failed. `unwanted` afterwards:
/// the KEK is no longer what it was, and what was made has to be taken back first.
void record_outcome(Context& context, RotationPlan& plan);
/// Step 5: what is durable, and under a signed head, is released.
[[nodiscard]] Rotation release(const Config& config, const RotationPlan& plan);

/// In the caller's transaction: has the keys of the plan, which were released before, released once
/// more with the same bytes, and records it. Throws Refused where a key is not the recorded one or
/// is being destroyed, the device is decommissioned, or the token suspected: then nothing is
/// recorded.
void re_release(Context& context, RotationPlan& plan);

}  // namespace smets1kms::lifecycle
