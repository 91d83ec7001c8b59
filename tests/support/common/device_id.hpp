// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace support {

/// EUI-64 of 16 hex digits, with dashes or colons between the bytes or without, in either case;
/// nothing for anything else.
std::optional<std::uint64_t> parse_device_id(std::string_view text);

/// `00-DB-12-34-56-78-90-A0`
std::string device_id_text(std::uint64_t eui64);

/// The canonical spelling of a device id; nothing for a text that isn't one.
std::optional<std::string> canonical_device_id(std::string_view text);

}  // namespace support
