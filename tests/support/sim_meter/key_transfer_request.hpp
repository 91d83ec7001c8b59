// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/bytes.hpp"

namespace sim_meter {

struct TransferElement {
  std::uint8_t key_id;     ///< 0 GUEK, 1 GBEK, 2 GAK, 3 KEK
  support::Bytes wrapped;  ///< 24 or 40 bytes
};

/// An ACTION-Request-Normal for class 64, method 2.
struct KeyTransferRequest {
  std::uint8_t invoke_id_and_priority;
  std::array<std::uint8_t, 6> logical_name;
  std::vector<TransferElement> elements;
};

/// Strict about the bytes: nothing for anything but one whole well-formed request. Not about their
/// sense: an empty list and repeated key ids pass, as they pass real meters.
std::optional<KeyTransferRequest> parse_key_transfer_request(support::ByteView bytes);

}  // namespace sim_meter
