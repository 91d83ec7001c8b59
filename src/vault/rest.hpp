#pragma once
#include "vault/vault.hpp"

/// The ways in which a fresh key is put to rest in the token.
namespace smets1kms::vault {

struct Rest {
  RestBy by;
  pkcs11::Handle (*put)(pkcs11::Session&, pkcs11::Handle fresh_key, const KeyName&, const Terms&);
  const char* function;  ///< the one that made what rests
};
[[nodiscard]] const Rest& way_to_rest(RestBy by);

}  // namespace smets1kms::vault
