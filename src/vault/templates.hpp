// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "pkcs11/attribute.hpp"
#include "smets1kms/config.hpp"
#include "smets1kms/types.hpp"
#include "vault/profile.hpp"

/// Templates of every object of this product: one table, in templates.cpp.
namespace smets1kms::vault {

/// Terms on which a token is used: who brings KEKs into it, and its vendor's profile.
struct TokenProfile {
  EnrolmentMode mode;
  Profile profile;
};

/// Purposes of objects, and the steps in a key's way to rest. "Officer" and "plain" are the two
/// ways of enrolment: with KEKs that the security officer marked trusted, or without.
enum class ObjectPurpose : std::uint8_t {
  import_public_key,   ///< RSA, encrypts transport keys to this token; its PEM is exported
  import_private_key,  ///< unwraps transport keys, nothing else
  transport_key,       ///< AES-256, a session object for one import: unwraps KEKs, nothing else
  enrolment_key,       ///< officer: AES-256, under which a KEK that a rotation made waits for the
                       ///< officer
  admitted_kek,  ///< officer: a KEK that the officer unwrapped as trusted, a session object until
                 ///< it is copied to rest
  admitted_kek_to_rest,  ///< officer: what that copy changes
  imported_kek,          ///< plain: a KEK unwrapped straight to rest
  fresh_kek,             ///< a new KEK during the call: a session object
  kek_to_rest,           ///< plain: what the copy of a fresh KEK changes
  fresh_encryption_key,  ///< GUEK, GBEK during the call
  encryption_key_to_rest,
  fresh_authentication_key,  ///< GAK during the call
  authentication_key_to_rest,
  storage_key,  ///< rest by restore: AES-256, a session object of the one call, under which a fresh
                ///< key is put to rest
  restored_encryption_key,  ///< a GUEK or GBEK unwrapped straight to rest; a KEK then is an
                            ///< imported_kek
  restored_authentication_key,
  audit_public_key,   ///< ECDSA P-256; its PEM is what assessors verify with
  audit_private_key,  ///< signs the heads of the audit log, nothing else
  // The sealed vault.
  sealable_kek,  ///< a sent KEK on its way under a storage key: a session object without a use
  kek_storage,   ///< AES-256: wraps and unwraps KEKs; under the officer's enrolment made by him as
                 ///< trusted, then copied to rest
  encryption_storage,      ///< the same for GUEKs and GBEKs
  authentication_storage,  ///< the same for GAKs
  mac_key,                 ///< AES-256: binds a sealed key to its device, role, generation and id
  opened_kek,              ///< as the storage key opens it, a session object for one call
  opened_encryption_key,
  opened_authentication_key,
  handover_target,  ///< RSA public key of a party that uses keys: wraps for it, and nothing else
};
inline constexpr std::size_t purpose_count = 27;

/// Returns the effective template: every attribute explicit, in an order that tokens which apply
/// them one by one accept (CKA_MODIFIABLE last), except what the token's profile says that it
/// lacks. The caller adds id and label in front. tests/unit/template_rules.cpp has the rules that
/// each keeps.
[[nodiscard]] pkcs11::Template attributes(ObjectPurpose which, SecuritySuite suite,
                                          const TokenProfile& token_profile);
/// Returns `attributes` as this token's C_UnwrapKey wants them, for a key of `length` bytes.
[[nodiscard]] pkcs11::Template unwrapping(const pkcs11::Template& attributes, std::size_t length,
                                          const TokenProfile& token_profile);

/// Each returns a template of a key of this role: of the fresh key, and of the changes of its copy.
[[nodiscard]] pkcs11::Template fresh(KeyRole role, SecuritySuite suite,
                                     const TokenProfile& token_profile);
[[nodiscard]] pkcs11::Template to_rest(KeyRole role, SecuritySuite suite,
                                       const TokenProfile& token_profile);
/// Each returns a template of rest by restore: of the storage key for a fresh key of this role, and
/// of what it unwraps to.
[[nodiscard]] pkcs11::Template storage_for(KeyRole role, SecuritySuite suite,
                                           const TokenProfile& token_profile);
[[nodiscard]] pkcs11::Template restored(KeyRole role, SecuritySuite suite,
                                        const TokenProfile& token_profile);
/// Each is about a key of this role in the sealed vault: returns the purpose of its storage key,
/// and the template of the opened key.
[[nodiscard]] ObjectPurpose storage_of(KeyRole role);
[[nodiscard]] pkcs11::Template opened(KeyRole role, SecuritySuite suite,
                                      const TokenProfile& token_profile);
/// Returns the template of a fresh key that will be sealed, of which no copy is made.
/// `trusted_kek`: its KEK asks for WRAP_WITH_TRUSTED. A sealed KEK does not, whatever the
/// enrolment: the user opened it, and only the officer can make one trusted.
[[nodiscard]] pkcs11::Template fresh_to_seal(KeyRole role, SecuritySuite suite,
                                             const TokenProfile& token_profile, bool trusted_kek);
/// Returns the template of a handover target's public key, without class, type and numbers. `keep`:
/// the vault whose keys it may wrap.
[[nodiscard]] pkcs11::Template target_attributes(const TokenProfile& token_profile, VaultKind keep);
/// Returns what the token must say of a storage key, or of the MAC key.
[[nodiscard]] pkcs11::Template storage_at_rest(ObjectPurpose which,
                                               const TokenProfile& token_profile);
/// Returns the template of the transport key of an import whose KEKs become `kek`.
[[nodiscard]] pkcs11::Template transport_key_for(ObjectPurpose kek,
                                                 const TokenProfile& token_profile);
/// Returns the template of a key at rest. `from_outside`: a KEK that came by an unwrap, not by a
/// copy of a key generated here.
[[nodiscard]] pkcs11::Template at_rest(KeyRole role, SecuritySuite suite,
                                       const TokenProfile& token_profile, bool from_outside);
/// Returns what the token must say of a key at rest: with LOCAL and ALWAYS_SENSITIVE where the
/// token keeps them, which nobody can set, so that a key in the place of one that was generated
/// here is known.
[[nodiscard]] pkcs11::Template read_back(KeyRole role, SecuritySuite suite,
                                         const TokenProfile& token_profile, bool from_outside);

}  // namespace smets1kms::vault
