// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>

#include "smets1kms/types.hpp"

/// Meters' answers to an ACTION request, as real stacks give them.
namespace smets1kms::dlms {

/// True for an ACTION-Response-Normal whose result is success and whose return parameters, if it
/// has any, hold data. False for any other result, an exception-response and a
/// ConfirmedServiceError: meters say "not ok" and have replaced the key. A result other than
/// success may stand at the end: some stacks leave the return parameters out. `invoke`: the
/// invoke-id-and-priority byte of the request; nullopt: any is accepted. Throws BadInput that names
/// what it is for anything else: a ciphered reply, a frame of a transport, another APDU, one that
/// is cut off or has bytes behind it, an answer to another request.
[[nodiscard]] bool reports_success(ByteView reply, std::optional<std::uint8_t> invoke);

}  // namespace smets1kms::dlms
