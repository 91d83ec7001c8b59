// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "common/bytes.hpp"
#include "sim_meter/meter.hpp"

namespace sim_meter {

inline constexpr std::size_t challenge_min = 16;  ///< bytes
inline constexpr std::size_t challenge_max = 64;

/// Key id of `guek`, `gbek` or `gak`. A KEK can't be probed, so it has no name here.
std::optional<std::size_t> provable_key_id(std::string_view role);

/// 16 bytes that show which key the meter uses now, and nothing of the key; nothing when it has no
/// such key. GUEK, GBEK: the AES-GCM tag over the challenge. GAK: AES-CMAC over the prefix and the
/// challenge.
std::optional<support::Bytes> prove(const Meter& meter, std::size_t key_id,
                                    support::ByteView challenge);

}  // namespace sim_meter
