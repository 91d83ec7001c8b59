// SPDX-License-Identifier: Apache-2.0
/// @file
/// A device's answer to a key transfer, whole or as the result that a DLMS stack gives.
#pragma once
#include <exception>
#include <functional>
#include <optional>
#include <vector>

#include "smets1kms/key_transfer.hpp"
#include "smets1kms/types.hpp"

namespace smets1kms {

/// Action-Result of DLMS (IEC 62056-5-3). Meters use different codes for the same failure, so that
/// only success is relied on.
enum class ActionResult : std::uint8_t {
  success = 0,
  hardware_fault = 1,
  temporary_failure = 2,
  read_write_denied = 3,
  object_undefined = 4,
  object_class_inconsistent = 9,
  object_unavailable = 11,
  type_unmatched = 12,
  scope_of_access_violated = 13,
  data_block_unavailable = 14,
  long_action_aborted = 15,
  no_long_action_in_progress = 16,
  other_reason = 250,
};

/// A device's answer: an APDU as it came, deciphered (ACTION-Response, exception-response or
/// ConfirmedServiceError); the result that a DLMS stack gives in its place; or nothing. Made of
/// each of these implicitly.
struct ReplyContent {
  ReplyContent(std::nullopt_t) {}  // NOLINT(google-explicit-constructor)
  ReplyContent(std::optional<Bytes> answer) : apdu(std::move(answer)) {}  // NOLINT
  ReplyContent(Bytes answer) : apdu(std::move(answer)) {}                 // NOLINT
  ReplyContent(ActionResult action_result) : result(action_result) {}     // NOLINT
  /// Makes an answer to one request. `invoke_byte`: the invoke-id-and-priority byte of the request.
  /// A reply with another byte answers another request and is refused. Without `invoke_byte` any is
  /// accepted: stacks choose their own.
  ReplyContent(Bytes answer, std::uint8_t invoke_byte)
      : apdu(std::move(answer)), invoke(invoke_byte) {}

  std::optional<Bytes> apdu{};
  std::optional<std::uint8_t> invoke{};
  std::optional<ActionResult> result{};
};

/// A device's answer and the transfer that it is for.
struct Reply {
  DeviceId device;
  std::uint32_t transfer;  ///< its number: KeyTransfer::number
  ReplyContent content;
};
/// Source that returns one reply after the other; nullopt: there are no more.
using ReplySource = std::function<std::optional<Reply>()>;

struct ReplyResult {
  Delivery delivery;  ///< state of the transfer's keys afterwards: confirmed, in_doubt; unproven
                      ///< for a KEK
  std::vector<TransferredKey> keys;
};

struct ReplyOutcome {
  Reply reply;
  std::optional<ReplyResult> result;
  std::exception_ptr failure;  ///< Refused or BadInput; set where result is not
};

}  // namespace smets1kms
