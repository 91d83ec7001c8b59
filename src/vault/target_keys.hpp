// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "pkcs11/pool.hpp"
#include "smets1kms/types.hpp"
#include "vault/templates.hpp"

/// Public keys of handover targets in the token: each wraps keys for the party that has the private
/// one, and does nothing else.
namespace smets1kms::vault {

/// A target's public key, as its admission recorded it.
struct TargetKey {
  KeyId id;
  std::string label;               ///< of the target: "headend/2"
  Bytes modulus, public_exponent;  ///< big-endian
  std::vector<KeyRole> roles;      ///< never the KEK
  OaepHash hash;
  VaultKind keep;  ///< keys made under a sealed KEK carry no WRAP_WITH_TRUSTED
};

/// A key wrapped for one target.
struct WrappedForTarget {
  std::string label;  ///< of the target
  Bytes wrapped;
};

/// Makes the token object of a target; under the officer's enrolment `session` is his, and the key
/// trusted. Returns its attributes as granted, for the record. Throws pkcs11::Error.
std::string admit_target(pkcs11::Session& session, const TargetKey& target,
                         const TokenProfile& token_profile);
/// True if the token has the object of a target as its admission made it.
[[nodiscard]] bool has_target(pkcs11::Session& session, const TargetKey& target,
                              const TokenProfile& token_profile);
/// Returns a number of 3072 bits that serves as modulus where nothing is ever opened.
[[nodiscard]] Bytes any_rsa_modulus();
/// Wraps a key that this call generates under a public key that it creates, by OAEP with the
/// profile's hash, and forgets both: whether the token can hand keys over. Throws pkcs11::Error.
void try_handover(pkcs11::Session& session, const TokenProfile& token_profile);

/// Service that wraps keys for targets. Safe to use from many threads.
class TargetKeys {
 public:
  TargetKeys(pkcs11::Pool& pool, const TokenProfile& token_profile)
      : pool_(pool), token_profile_(token_profile) {}
  /// Sets the targets that keys are wrapped for from now on.
  void use(std::vector<TargetKey> targets);
  /// Compares every public key with its admission. Throws as `wrap`.
  void check(pkcs11::Session& session);
  /// Wraps a fresh key for every target that takes its role. Each public key is compared with its
  /// admission, in every attribute, when its handle is found; a handle names one object as long as
  /// it is valid. Throws pkcs11::Error naming a target whose object is missing or another.
  [[nodiscard]] std::vector<WrappedForTarget> wrap(pkcs11::Session& session, pkcs11::Handle key,
                                                   KeyRole role);

 private:
  struct Known {
    TargetKey target;
    pkcs11::Handle handle{};
    std::uint64_t epoch = 0;  ///< login epoch of the handle; 0: not found yet
  };
  pkcs11::Handle resolve(pkcs11::Session& session, Known& known) const;
  pkcs11::Pool& pool_;
  const TokenProfile& token_profile_;
  std::mutex mutex_;
  std::vector<Known> targets_;
};

}  // namespace smets1kms::vault
