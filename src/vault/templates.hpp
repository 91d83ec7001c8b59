#pragma once
#include "pkcs11/attribute.hpp"
#include "smets1kms/types.hpp"

/// What every object of ours may do: one table, in templates.cpp.
namespace smets1kms::vault {

/// The classes of objects, and the steps in a key's way to rest.
enum class Class : std::uint8_t {
  import_public_key,      ///< RSA, encrypts transport keys to this token; its PEM is exported
  import_private_key,     ///< unwraps transport keys, nothing else
  transport_key,          ///< AES-256, a session object for one import: unwraps KEKs, nothing else
  imported_kek,           ///< a device's KEK, unwrapped in the token
  fresh_kek,              ///< a new KEK during the call: a session object
  kek_to_rest,            ///< what the copy of a fresh KEK changes
  fresh_encryption_key,   ///< GUEK, GBEK during the call
  encryption_key_to_rest,
  fresh_authentication_key,  ///< GAK during the call
  authentication_key_to_rest,
};
inline constexpr std::size_t class_count = 10;

/// The effective template: every attribute explicit, in an order that tokens which apply them one by
/// one accept (CKA_MODIFIABLE last). Id and label are the caller's to add in front.
[[nodiscard]] pkcs11::Template attributes(Class which, SecuritySuite suite);

/// How a fresh key of this role is made, what its copy changes, and what must be read back afterwards.
[[nodiscard]] pkcs11::Template fresh(KeyRole role, SecuritySuite suite);
[[nodiscard]] pkcs11::Template to_rest(KeyRole role, SecuritySuite suite);
[[nodiscard]] pkcs11::Template at_rest(KeyRole role, SecuritySuite suite);

}  // namespace smets1kms::vault
