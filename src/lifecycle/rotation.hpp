// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <exception>
#include <optional>
#include <vector>

#include "lifecycle/context.hpp"

/// One device's rotation, step by step. rotation_batch.cpp calls the steps, each in its
/// transaction.
namespace smets1kms::lifecycle {

/// Progress of a rotation.
enum class Stage : std::uint8_t {
  requested,   ///< nothing of it is recorded
  planned,     ///< its intents are recorded; the token has yet to make the keys
  made,        ///< the token has made the keys; the outcome is not recorded
  unwanted,    ///< the token may hold keys that must go
  taken_back,  ///< it failed, and left nothing in the token; not recorded yet
  given_back,  ///< its batch ended before the token's turn came; not recorded yet
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
  std::vector<vault::MadeKey> made{};  ///< the token's results; for a repeat the recorded blobs
  /// Keys wrapped for targets, once the outcome is recorded.
  std::vector<Handover> handovers{};
  int tries = 0;
  std::int64_t record = -1;  ///< index of its last record
  /// Index of the record whose result was not handed over; -1: it is new.
  std::int64_t repeats = -1;
  std::optional<Refused> refusal{};  ///< of its batch
  std::exception_ptr failure{};
};

/// Refuses everything while a token's keys are being marked as compromised. Throws Refused
/// (token_suspected).
void check_token(const Context& context);
/// Does the same, and refuses a reason that the policy refuses. Throws BadInput (justification),
/// Refused (policy, token_suspected).
void check_policy(const Context& context, Reason reason, const std::string& justification);

/// Does steps 1 and 2, in the caller's transaction: decides whether a rotation may be done and
/// under which ids, and records the intents or the refusal.
void record_intent(Context& context, RotationPlan& plan);
/// Result of a call of the token.
enum class TokenAnswer : std::uint8_t {
  final,          ///< done, or refused for good
  passing_fault,  ///< another try may succeed
  token_lost,     ///< there is no token any more
};
/// Does step 3, the token's work: a device gets all its keys or none.
TokenAnswer make_keys(Context& context, RotationPlan& plan);
/// Undoes step 3, where it or a later step failed.
void take_back(Context& context, RotationPlan& plan);
/// Does step 4, in the caller's transaction: records outcome and keys, or the failure. `unwanted`
/// afterwards: the KEK is no longer what it was, and the made keys have to be taken back first.
void record_outcome(Context& context, RotationPlan& plan);
/// Does step 5: releases what is durable and under a signed head.
[[nodiscard]] Rotation release(const Config& config, const RotationPlan& plan);

/// Puts the plan's keys in the order that they were made in, each with what was wrapped for the
/// device. Throws Refused where they may not be released: one is not the recorded one or is being
/// destroyed, the token is suspected, the device decommissioned, or its model unknown.
void read_recorded(Context& context, RotationPlan& plan);
/// Releases the plan's keys and handovers, which were released before, once more with the same
/// bytes, and records it, in the caller's transaction; a withheld transfer stays so. Throws
/// Refused, and writes nothing, where a key is not the recorded one or is being destroyed, the
/// device is decommissioned, or the token suspected.
void re_release(Context& context, RotationPlan& plan);

}  // namespace smets1kms::lifecycle
