// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>

#include "smets1kms/types.hpp"

/// The bytes of DLMS key_transfer: COSEM class_id 64 "Security setup", method 2 (version 0 calls it
/// global_key_transfer). A-XDR encoding; key wrapping is not done here.
namespace smets1kms::dlms {

/// Default of invoke-id-and-priority: invoke id 1, confirmed service, high priority.
inline constexpr std::uint8_t default_invoke_id_and_priority = 0xC1;

struct WrappedKey {
  KeyRole role;
  Bytes wrapped;  ///< 24 bytes for suites 0 and 1, 40 for suite 2
};

/// Returns an array of structure { key_id: enum, key_wrapped: octet-string }. Throws BadInput for
/// what meters accept and should not: an empty list, a key id twice or out of range, the KEK beside
/// any other key, a wrapped key whose length is not the suite's.
[[nodiscard]] Bytes key_transfer_parameter(SecuritySuite suite, std::span<const WrappedKey> keys);

/// Returns an ACTION-Request-Normal that carries `parameter` to method 2 of the object.
[[nodiscard]] Bytes action_request(
    const LogicalName& logical_name, ByteView parameter,
    std::uint8_t invoke_id_and_priority = default_invoke_id_and_priority);

}  // namespace smets1kms::dlms
