// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "pkcs11/session.hpp"
#include "vault/key_name.hpp"
#include "vault/templates.hpp"

/// The ways in which a fresh key is put to rest in the token.
namespace smets1kms::vault {

/// The token's own keys of one role and suite.
struct PersistTemplates {
  PersistTemplates(KeyRole role, SecuritySuite suite, const TokenProfile& token_profile);
  pkcs11::RawTemplate fresh, fresh_under_sealed;  ///< `fresh_under_sealed`: its KEK was opened by
                                                  ///< the service, and is not TRUSTED
  pkcs11::RawTemplate to_rest;
  pkcs11::Template resting,
      from_outside;  ///< what the token must say of it; of one that was not generated in the token
  std::string granted;  ///< of `resting`, for the record
};

/// Returns the token object that a fresh session object became, as the profile's rest_by says. It
/// is read back and compared.
pkcs11::Handle persist_key(pkcs11::Session& session, pkcs11::Handle fresh_key, const KeyName& key,
                           const PersistTemplates& form, const TokenProfile& token_profile);

}  // namespace smets1kms::vault
