#pragma once
#include <string>

#include "pkcs11/session.hpp"
#include "vault/key_name.hpp"
#include "vault/templates.hpp"

/// The ways in which a fresh key is put to rest in the token.
namespace smets1kms::vault {

/// The token's own keys of one role and suite.
struct RestingForm {
  RestingForm(KeyRole role, SecuritySuite suite, const Terms& terms);
  pkcs11::RawTemplate fresh, fresh_under_sealed;  ///< `fresh_under_sealed`: its KEK was opened by the service, and is not TRUSTED
  pkcs11::RawTemplate to_rest;
  pkcs11::Template resting, from_outside;  ///< what the token must say of it; of one that was not generated in the token
  std::string granted;                     ///< of `resting`, for the record
};

struct Rest {
  RestBy by;
  pkcs11::Handle (*put)(pkcs11::Session&, pkcs11::Handle fresh_key, const KeyName&, const RestingForm&, const Terms&);
  const char* function;  ///< the one that made what rests
};
[[nodiscard]] const Rest& way_to_rest(RestBy by);

}  // namespace smets1kms::vault
