// SPDX-License-Identifier: Apache-2.0
#include "dlms/key_transfer_bytes.hpp"

#include <array>

#include "smets1kms/errors.hpp"

namespace smets1kms::dlms {
namespace {

// A-XDR tags of COSEM data (DLMS UA Green Book, Data).
constexpr std::uint8_t tag_array = 0x01, tag_structure = 0x02, tag_octet_string = 0x09,
                       tag_enum = 0x16;
// ACTION-Request APDU, choice "normal".
constexpr std::uint8_t action_request_tag = 0xC3, request_normal = 0x01;
constexpr std::uint8_t class_id_security_setup = 64, method_key_transfer = 2,
                       parameter_present = 0x01;

void refuse_bad_list(SecuritySuite suite, std::span<const WrappedKey> keys) {
  if (keys.empty()) throw BadInput("a key transfer with no key: meters answer success to it");
  std::array<bool, 4> seen{};
  for (const auto& key : keys) {
    const auto id = static_cast<std::size_t>(key.role);
    if (id >= seen.size()) throw BadInput("key_id " + std::to_string(id) + " is not one of 0 to 3");
    if (std::exchange(seen[id], true))
      throw BadInput("key_id " + std::to_string(id) + " twice in one key transfer");
    if (key.wrapped.size() != wrapped_length(suite))
      throw BadInput("a wrapped key of " + std::to_string(key.wrapped.size()) +
                     " bytes for a suite whose wrapped keys have " +
                     std::to_string(wrapped_length(suite)) + ": meters cut it off silently");
  }
  if (seen[static_cast<std::size_t>(KeyRole::kek)] && keys.size() > 1)
    throw BadInput(
        "the KEK travels alone: a meter that applies keys in order would unwrap the others under "
        "the wrong KEK");
}

}  // namespace

Bytes key_transfer_parameter(SecuritySuite suite, std::span<const WrappedKey> keys) {
  refuse_bad_list(suite, keys);
  Bytes bytes{tag_array, static_cast<std::uint8_t>(keys.size())};
  for (const auto& key : keys) {
    bytes.insert(bytes.end(), {tag_structure, 2, tag_enum, static_cast<std::uint8_t>(key.role),
                               tag_octet_string, static_cast<std::uint8_t>(key.wrapped.size())});
    bytes.insert(bytes.end(), key.wrapped.begin(), key.wrapped.end());
  }
  return bytes;
}

Bytes action_request(const LogicalName& logical_name, ByteView parameter,
                     std::uint8_t invoke_id_and_priority) {
  Bytes bytes{action_request_tag, request_normal, invoke_id_and_priority, 0x00,
              class_id_security_setup};
  bytes.insert(bytes.end(), logical_name.begin(), logical_name.end());
  bytes.insert(bytes.end(), {method_key_transfer, parameter_present});
  bytes.insert(bytes.end(), parameter.begin(), parameter.end());
  return bytes;
}

}  // namespace smets1kms::dlms
