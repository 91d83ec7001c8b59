// SPDX-License-Identifier: Apache-2.0
#include "vault/self_test/attempt.hpp"

/// Table of everything that must fail. Needed: what keeps a key of ours in, or a foreign one out,
/// with the templates of templates.cpp. Wished: what only adds a second line behind a needed one,
/// or evidence.
namespace smets1kms::vault::attempts {

using pkcs11::Template;
namespace attr = pkcs11::attr;

namespace {

Template closed_for_good() { return kek().add(attr::modifiable, false); }

Template asking(const Template& wrap_template) {
  return kek().add(attr::wrap_template, wrap_template);
}

Template extractable_trusting(bool trusted_only) {
  return extractable_key().add(attr::wrap_with_trusted, trusted_only);
}

constexpr Need always = Need::always, with_officer = Need::with_officer,
               when_sealed = Need::when_sealed, wished = Need::wished;
constexpr const char
    *hashed = "A key without DERIVE must not be hashed into another.",
    *joined_and_cut =
        "A key without DERIVE must not be joined to known bytes and cut (reduced key space).";

}  // namespace

const std::vector<Attempt>& table() {
  static const std::vector<Attempt> attempts{
      // CKA_TRUSTED is the security officer's word.
      {"trusted-by-generation", with_officer, by_generation(one(attr::trusted, true)),
       "A user must not generate a trusted key: what asks for a trusted wrapping key would follow "
       "it (trojan wrapping key)."},
      {"trusted-by-creation", with_officer, by_creation(one(attr::trusted, true)),
       "A user must not create a trusted key from a value that he knows (trojan wrapping key)."},
      {"trusted-by-unwrap", with_officer, by_unwrap(one(attr::trusted, true)),
       "A user must not unwrap a key as trusted (trojan wrapping key, second handle on a KEK)."},
      {"trusted-by-set", with_officer, by_set(kek(), one(attr::trusted, true)),
       "A user must not make a key trusted later (trojan wrapping key)."},
      {"trusted-by-copy", with_officer, by_copy(kek(), one(attr::trusted, true)),
       "A user must not copy a key into a trusted one (trojan wrapping key)."},
      {"wrap-under-untrusted", with_officer, wraps(kek(), generated(extractable_trusting(true))),
       "A key with WRAP_WITH_TRUSTED must not be wrapped under an untrusted one: a fresh key would "
       "be learned (Clulow 2003)."},
      {"wrap-under-untrusted-rsa", with_officer, wraps_under_rsa,
       "A key with WRAP_WITH_TRUSTED must not be wrapped under an untrusted RSA key: a thief would "
       "hand it to himself."},
      {"lower-wrap-with-trusted-by-set", with_officer,
       by_set(extractable_trusting(true), one(attr::wrap_with_trusted, false)),
       "WRAP_WITH_TRUSTED must not be lowered: the key would be wrapped under an untrusted one."},
      {"lower-wrap-with-trusted-by-copy", with_officer,
       by_copy(extractable_trusting(true), one(attr::wrap_with_trusted, false)),
       "WRAP_WITH_TRUSTED must not be lowered by a copy: the key would be wrapped under an "
       "untrusted one."},
      {"raise-wrap-with-trusted-by-set", wished,
       by_set(extractable_trusting(false), one(attr::wrap_with_trusted, true)),
       "WRAP_WITH_TRUSTED must not be raised later: a key that a thief has learned before would "
       "pass for a fresh one (known-key injection)."},
      {"raise-wrap-with-trusted-by-copy", wished,
       by_copy(extractable_trusting(false), one(attr::wrap_with_trusted, true)),
       "WRAP_WITH_TRUSTED must not be raised by a copy: a key that a thief has learned before "
       "would pass for a fresh one (known-key injection)."},

      // Attributes that go one way only.
      {"raise-extractable-by-set", always, by_set(key(), one(attr::extractable, true)),
       "A key that is not extractable must not become so: it would be wrapped under a key of the "
       "thief's."},
      {"raise-extractable-by-copy", always, by_copy(key(), one(attr::extractable, true)),
       "A key that is not extractable must have no extractable copy: it would be wrapped under a "
       "key of the thief's."},
      {"lower-sensitive-by-set", always, by_set(extractable_key(), one(attr::sensitive, false)),
       "A sensitive key must stay so: its value would be read."},
      {"lower-sensitive-by-copy", always, by_copy(extractable_key(), one(attr::sensitive, false)),
       "A sensitive key must have no copy that is not: its value would be read."},
      {"read-sensitive-value", always, reads_value,
       "The value of a sensitive key must not be read."},
      {"change-unmodifiable", always, by_set(closed_for_good(), one(attr::decrypt, true)),
       "A key that is not modifiable must not change: a KEK that gains DECRYPT opens what it "
       "wrapped (Clulow 2003)."},
      {"copy-unmodifiable-changed", always, by_copy(closed_for_good(), one(attr::decrypt, true)),
       "A key that is not modifiable must not be copied with changes: a KEK's copy with DECRYPT "
       "opens what it wrapped."},
      {"copy-unmodifiable-modifiable", always,
       by_copy(closed_for_good(), one(attr::modifiable, true)),
       "A key that is not modifiable must have no modifiable copy, which would be changed in a "
       "second step."},
      {"copy-uncopyable", wished, copies_uncopyable,
       "A key that is not copyable must not be copied: another copy outlives its destruction."},
      {"destroy-undestroyable", wished, destroys_undestroyable,
       "A key that is not destroyable must not be destroyed, by mistake or malice."},
      {"claim-local-by-creation", always, by_creation(one(attr::local, true)),
       "A created key must not claim to be made in the token: it would pass a WRAP_TEMPLATE "
       "(known-key injection)."},
      {"claim-local-by-unwrap", always, by_unwrap(one(attr::local, true)),
       "An unwrapped key must not claim to be made in the token: it would pass a WRAP_TEMPLATE "
       "(known-key injection)."},
      {"claim-always-sensitive-by-creation", always, by_creation(one(attr::always_sensitive, true)),
       "A created key must not claim never to have been in clear: it would pass a WRAP_TEMPLATE."},
      {"check-value-suppressed", wished, shows_check_value,
       "A key made with an empty CHECK_VALUE must show none: of a GCM key it is 24 bits of the "
       "GHASH key."},

      // A key does what its attributes say, by the mechanisms that they name.
      {"encrypt-with-kek", always, uses_kek("C_Encrypt", &pkcs11::Session::encrypt, CKM_AES_ECB),
       "A key without ENCRYPT must not encrypt: a KEK would make blobs of chosen keys (known-key "
       "injection)."},
      {"sign-with-kek", always, uses_kek("C_Sign", &pkcs11::Session::sign, CKM_AES_CMAC),
       "A key without SIGN must not sign: a CMAC by a KEK is a step towards its encryption."},
      {"decrypt-blob-by-ecb", always, decrypts_blob_by_ecb,
       "A key without DECRYPT must not decrypt by ECB: a KEK would open what it wrapped (Clulow "
       "2003)."},
      {"decrypt-blob-by-key-wrap", always, decrypts_blob_by_key_wrap,
       "A key without DECRYPT must not decrypt by the key-wrap mechanism: a KEK would open what it "
       "wrapped (Clulow 2003)."},
      {"wrap-without-wrap", always, wraps_without_wrap,
       "A key without WRAP must not wrap: any key that a thief can use would take others out "
       "(Clulow 2003)."},
      {"unwrap-without-unwrap", always, unwraps_without_unwrap,
       "A key without UNWRAP must not unwrap: a KEK's blobs would come back with other attributes "
       "(Delaune, Kremer, Steel 2010)."},
      {"encrypt-outside-allowed-mechanisms", always, encrypts_outside_allowed,
       "A key for GCM alone must not encrypt by ECB, which gives the GHASH key and any key "
       "stream."},
      {"wrap-outside-allowed-mechanisms", always, wraps_outside_allowed,
       "A KEK must not wrap by another mechanism than it allows, such as one that cuts or mixes "
       "keys."},
      {"digest-state", always, reads_digest_state,
       "The state of a digest must not be read after C_DigestKey: it holds the key."},
      {"digest-key", wished, digests_key,
       "A sensitive key whose ALLOWED_MECHANISMS has no digest must not be digested: a hash "
       "confirms a guess."},
      {"derive-aes-ecb-encrypt-data", always, derives(CKM_AES_ECB_ENCRYPT_DATA),
       "A key without DERIVE must not derive: by AES_ECB_ENCRYPT_DATA it is an encryption oracle."},
      {"derive-aes-cbc-encrypt-data", always, derives(CKM_AES_CBC_ENCRYPT_DATA),
       "A key without DERIVE must not derive: by AES_CBC_ENCRYPT_DATA it is an encryption oracle."},
      {"derive-concatenate-base-and-key", always, derives(CKM_CONCATENATE_BASE_AND_KEY),
       "A key without DERIVE must not be joined to another key (reduced key space)."},
      {"derive-concatenate-own-base-and-key", always, joins_to_own_key,
       "A key without DERIVE must not be joined to a base key of the thief's (reduced key space)."},
      {"derive-concatenate-base-and-data", always, derives(CKM_CONCATENATE_BASE_AND_DATA),
       joined_and_cut},
      {"derive-concatenate-data-and-base", always, derives(CKM_CONCATENATE_DATA_AND_BASE),
       joined_and_cut},
      {"derive-xor-base-and-data", always, derives(CKM_XOR_BASE_AND_DATA),
       "A key without DERIVE must not be mixed with known bytes (related keys)."},
      {"derive-extract-key-from-key", always, derives(CKM_EXTRACT_KEY_FROM_KEY),
       "A key without DERIVE must not be cut into bytes, which are guessed one at a time (reduced "
       "key space)."},
      {"derive-sha1", always, derives(CKM_SHA1_KEY_DERIVATION), hashed},
      {"derive-sha224", always, derives(CKM_SHA224_KEY_DERIVATION), hashed},
      {"derive-sha256", always, derives(CKM_SHA256_KEY_DERIVATION), hashed},
      {"derive-sha384", always, derives(CKM_SHA384_KEY_DERIVATION), hashed},
      {"derive-sha512", always, derives(CKM_SHA512_KEY_DERIVATION), hashed},
      {"derive-hkdf", always, derives(CK_MECHANISM_TYPE{0x402A}),
       "A key without DERIVE must not derive by HKDF."},
      {"derive-sp800-108-counter", always, derives(CK_MECHANISM_TYPE{0x3AC}),
       "A key without DERIVE must not derive by SP 800-108 in counter mode."},

      // Out of the token, and into a meter.
      {"wrap-unextractable", always, wraps(kek(), generated(key())),
       "A key that is not extractable must not be wrapped: a thief would wrap it under a key that "
       "he knows."},
      {"wrap-template-local-created", always, wraps(asking(one(attr::local, true)), created),
       "Under a KEK whose WRAP_TEMPLATE asks for LOCAL a created key must not be wrapped "
       "(known-key injection into a meter)."},
      {"wrap-template-local-unwrapped", always, wraps(asking(one(attr::local, true)), unwrapped),
       "Under a KEK whose WRAP_TEMPLATE asks for LOCAL an unwrapped key must not be wrapped "
       "(known-key injection, cross-device wrap)."},
      {"wrap-template-always-sensitive", always,
       wraps(asking(one(attr::always_sensitive, true)), made_sensitive_later),
       "Under a KEK whose WRAP_TEMPLATE asks for ALWAYS_SENSITIVE a key that could once be read "
       "must not be wrapped (known-key injection)."},
      {"wrap-template-value-len", always,
       wraps(asking(Template().add(attr::value_len, 16)), generated(extractable_key(), 32)),
       "Under a KEK whose WRAP_TEMPLATE gives VALUE_LEN a longer key must not be wrapped: a meter "
       "cuts it without a word."},
      {"wrap-template-usage", always,
       wraps(asking(one(attr::wrap, false)), generated(extractable_key().set(attr::wrap, true))),
       "Under a KEK whose WRAP_TEMPLATE asks for WRAP=F a key that may wrap must not be wrapped: "
       "no key in two roles (Clulow 2003)."},
      {"wrap-template-wrap-with-trusted", with_officer,
       [](AttemptContext& trial) {
         // Nothing satisfies this template under an untrusted KEK, so the control is the same KEK
         // without the template.
         const auto ordinary = trial.generate(extractable_trusting(false));
         (void)trial.wrap(trial.generate(kek()), ordinary);
         const auto strict = trial.generate(asking(one(attr::wrap_with_trusted, true)));
         return must_fail("C_WrapKey", [&] { return trial.wrap(strict, ordinary); });
       },
       "Under a KEK whose WRAP_TEMPLATE asks for WRAP_WITH_TRUSTED a key without it must not be "
       "wrapped: a thief may know it (known-key injection)."},

      // Back in, from a blob.
      {"unwrap-template-others", always, unwraps_with_others,
       "Under an UNWRAP_TEMPLATE a blob must not come back with other attributes (re-import, "
       "Delaune, Kremer, Steel 2010)."},
      {"unwrap-template-left-out", always, unwraps_with_less,
       "Under an UNWRAP_TEMPLATE a blob must not come back with a default in place of what was "
       "left out (re-import)."},
      {"unwrap-template-doubled", always, unwraps_with_doubled,
       "Under an UNWRAP_TEMPLATE a blob must not come back by naming an attribute twice "
       "(re-import)."},
      {"unwrap-template-generic-secret", always, unwraps_as_generic_secret,
       "Under an UNWRAP_TEMPLATE with KEY_TYPE a blob must not come back as GENERIC_SECRET (HMAC "
       "oracle, reduced key space)."},
      {"unwrap-one-byte", always, unwraps_one_byte,
       "A blob must not come back cut to VALUE_LEN=1 (reduced key space)."},
      {"unwrap-template-unsatisfiable", wished, unwraps_unsatisfiable,
       "Under an UNWRAP_TEMPLATE that no key meets nothing must be unwrapped, should a KEK ever "
       "gain UNWRAP."},
      {"rsa-otherwise-than-oaep", always, opens_rsa_otherwise,
       "A private key for OAEP alone must not open by PKCS#1 v1.5 (padding oracle, Bleichenbacher "
       "1998), raw, or in clear."},

      // The sealed vault.
      {"unwrap-template-mechanisms", when_sealed, unwraps_for_other_mechanisms,
       "Under an UNWRAP_TEMPLATE with ALLOWED_MECHANISMS a blob must not come back for others: a "
       "GUEK would encrypt by ECB."},
      {"wrap-template-other-class", when_sealed,
       wraps(asking(one(attr::encrypt, false)),
             generated(extractable_key().set(attr::encrypt, true))),
       "Under a storage key whose WRAP_TEMPLATE asks for ENCRYPT=F a key that encrypts must not be "
       "wrapped: it would come back as a KEK."},
      {"opened-under-untrusted", Need::when_sealed_by_officer, learns_opened_key,
       "A sealed key opened with WRAP_WITH_TRUSTED must not be wrapped under a key of the thief's, "
       "nor come back without it."},
      {"mac-of-another-row", when_sealed, verifies_changed_mac,
       "A MAC must not verify over another message, nor a changed MAC: rows of the sealed vault "
       "could be exchanged."},
  };
  return attempts;
}

}  // namespace smets1kms::vault::attempts
