// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "pkcs11/pool.hpp"

/// Test of whether a token keeps what our templates ask of it. Tried, not believed: a token may
/// grant every attribute and enforce none (NSS softokn 3.87 wraps keys that are
/// CKA_EXTRACTABLE=FALSE).
namespace smets1kms::vault {

/// One thing that must fail, and what the token did when it was tried.
struct Protection {
  /// Result; not_tried: it could not be set up, or the token was at fault each time. That is no
  /// proof, so a needed one counts as not held.
  enum class Verdict { held, not_held, not_tried };
  std::string name;  ///< stable-kebab-case: it goes into the audit trail
  std::string what;  ///< one sentence: what must fail, and which attack that stops
  bool needed;       ///< false: wished
  Verdict verdict;
  std::string seen;  ///< "C_WrapKey: CKR_KEY_UNEXTRACTABLE", or why it was not tried
};

/// Returns "held", "not held", "not tried".
[[nodiscard]] std::string to_string(Protection::Verdict verdict);

/// Tries, with throw-away session keys only, what must fail. Never uses a key of ours; leaves
/// nothing behind, also on errors: each attempt has a session of its own, and closing it takes its
/// keys along. An attack that the token has no mechanism or function for counts as held.
/// `key_wrap`: the number of RFC 3394 in this token's profile. `officer_mode`: the security officer
/// marks KEKs as TRUSTED (`smets1-kms enrol`), so protections of CKA_TRUSTED and
/// CKA_WRAP_WITH_TRUSTED are needed; without it, wished. `sealed`: protections that the sealed
/// vault rests on are needed, too. Makes some 60 short attempts and one RSA-2048 key pair, in one
/// session at a time. Throws pkcs11::TokenUnavailable if the token is lost meanwhile.
[[nodiscard]] std::vector<Protection> self_test(pkcs11::Pool& pool, CK_MECHANISM_TYPE key_wrap,
                                                bool officer_mode, bool sealed = false);

/// Throws pkcs11::TokenUnavailable naming every needed protection that is not held, with what was
/// seen; also if there is none at all.
void require_protections(const std::vector<Protection>& protections, const std::string& token);

}  // namespace smets1kms::vault
