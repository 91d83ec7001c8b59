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

struct PersistMethod {
  PersistBy by;
  pkcs11::Handle (*put)(pkcs11::Session&, pkcs11::Handle fresh_key, const KeyName&,
                        const PersistTemplates&, const TokenProfile&);
  const char* function;  ///< the function that made the object at rest
};
[[nodiscard]] const PersistMethod& persist_method(PersistBy by);

}  // namespace smets1kms::vault
