// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "pkcs11/session.hpp"
#include "vault/key_name.hpp"
#include "vault/templates.hpp"

/// Ways to persist a fresh key in the token.
namespace smets1kms::vault {

/// Templates for the keys of one role and suite that rest in the token.
struct PersistTemplates {
  PersistTemplates(KeyRole role, SecuritySuite suite, const TokenProfile& token_profile);
  pkcs11::RawTemplate fresh, fresh_under_sealed;  ///< `fresh_under_sealed`: its KEK was opened by
                                                  ///< the service, and is not TRUSTED
  pkcs11::RawTemplate to_rest;
  /// Expected attributes of the key at rest, and of one that was not generated in the token.
  pkcs11::Template resting, from_outside;
  std::string granted;  ///< attributes of `resting`, for the record
};

/// Returns the token object that a fresh session object became, as the profile's persist_by says.
/// It is read back and compared.
pkcs11::Handle persist_key(pkcs11::Session& session, pkcs11::Handle fresh_key, const KeyName& key,
                           const PersistTemplates& templates, const TokenProfile& token_profile);

}  // namespace smets1kms::vault
