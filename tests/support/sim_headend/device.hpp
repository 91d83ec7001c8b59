// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "sim_headend/ciphering.hpp"

namespace sim_headend {

/// The roles of keys. A head end never has a KEK.
enum class Role { guek, gbek, gak, kek };
std::string_view name_of(Role role);
std::optional<Role> role_of(std::string_view name);

/// Counts the keys of a role of a device as the key manager does, from 1; 0 is the manufacturer's.
using Generation = std::uint32_t;

struct KeyName {
  Role role;
  Generation generation;
  friend bool operator==(const KeyName&, const KeyName&) = default;
};
/// "guek 2"
std::string text_of(const KeyName& key);

/// A key that the head end can use, with the counters of the messages ciphered under it: of a GAK,
/// none are.
struct Key {
  support::Secret value;
  std::uint32_t sent = 0;      ///< invocation counter of the last message to the device
  std::uint32_t received = 0;  ///< and of the last message from it
};

struct RoleKeys {
  std::map<Generation, Key> held;
  std::optional<Generation> in_use;  ///< nothing for a GBEK that the device doesn't have
  std::optional<Generation> next;    ///< the device has it, and uses it from its next association
};

/// A request as it was ciphered, so that it can be written again, and its answer be deciphered.
struct Request {
  std::string id;
  Service service;
  KeyName encryption;  ///< a GUEK or a GBEK
  Generation gak;
  support::Bytes apdu;
};

enum class Delivery { sent, in_doubt, settled };

struct Transfer {
  Request request;
  std::uint8_t invoke_byte;  ///< invoke-id-and-priority
  std::vector<KeyName> keys;
  bool next_association;  ///< the model uses new keys from its next association on
  Delivery delivery = Delivery::sent;
  std::optional<support::Bytes> reply;  ///< deciphered; nothing where none could be read
};

/// The last round of requests to a device in doubt, and their result.
struct Probe {
  std::uint32_t round = 0;
  std::vector<Request> requests;
  std::vector<std::string> evidence;  ///< lines, once the answers were read
};

/// The reason why an answer counts as none.
enum class Unreadable { not_ciphered, wrong_tag, old_counter };
std::string_view text_of(Unreadable reason);

struct Device {
  std::string id;
  support::Bytes system_title;
  std::uint8_t security_suite = 0;
  std::array<RoleKeys, 3> keys;  ///< by Role
  std::vector<Transfer> transfers;
  std::optional<Request> association;  ///< sent, not answered
  std::uint32_t associations = 0;
  std::optional<Probe> probe;

  RoleKeys& of(Role role) { return keys.at(static_cast<std::size_t>(role)); }
  const RoleKeys& of(Role role) const { return keys.at(static_cast<std::size_t>(role)); }
  /// True where keys of the device wait for its next association.
  bool has_next() const;
  bool has(Delivery delivery) const;
  Transfer* find_transfer(std::string_view transfer_id);

  /// Ciphers a request in the name of `own_title`; a GBEK's goes under the broadcast key set.
  Request cipher(std::string request_id, Service service, const KeyName& encryption, Generation gak,
                 const support::Bytes& own_title, support::ByteView plain);
  /// Deciphers the answer to `request`, under the keys that the request was ciphered under.
  std::optional<support::Bytes> decipher(const Request& request, support::ByteView answer,
                                         Unreadable& reason);
  /// Uses this key from now on, and forgets the older ones of its role.
  void take_into_use(const KeyName& key);
};

}  // namespace sim_headend
