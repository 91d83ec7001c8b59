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

constexpr Need always = Need::always, with_officer = Need::with_officer,
               when_sealed = Need::when_sealed, wished = Need::wished;

}  // namespace

const std::vector<Attempt>& table() {
  static const std::vector<Attempt> attempts{
      // CKA_TRUSTED is the security officer's word.
      {"trusted-by-generation",
       "A user must not generate a trusted key: what asks for a trusted wrapping key would follow "
       "it (trojan wrapping key).",
       with_officer, by_generation(one(attr::trusted, true))},
      {"trusted-by-creation",
       "A user must not create a trusted key from a value that he knows (trojan wrapping key).",
       with_officer, by_creation(one(attr::trusted, true))},
      {"trusted-by-unwrap",
       "A user must not unwrap a key as trusted (trojan wrapping key, second handle on a KEK).",
       with_officer, by_unwrap(one(attr::trusted, true))},
      {"trusted-by-set", "A user must not make a key trusted later (trojan wrapping key).",
       with_officer, by_set(kek(), one(attr::trusted, true))},
      {"trusted-by-copy", "A user must not copy a key into a trusted one (trojan wrapping key).",
       with_officer, by_copy(kek(), one(attr::trusted, true))},
      {"wrap-under-untrusted",
       "A key with WRAP_WITH_TRUSTED must not be wrapped under an untrusted one: a fresh key would "
       "be learned (Clulow 2003).",
       with_officer,
       wraps(kek(), generated(extractable_key()),
             generated(extractable_key().add(attr::wrap_with_trusted, true)))},
      {"lower-wrap-with-trusted-by-set",
       "WRAP_WITH_TRUSTED must not be lowered: the key would be wrapped under an untrusted one.",
       with_officer,
       by_set(extractable_key().add(attr::wrap_with_trusted, true),
              one(attr::wrap_with_trusted, false))},
      {"lower-wrap-with-trusted-by-copy",
       "WRAP_WITH_TRUSTED must not be lowered by a copy: the key would be wrapped under an "
       "untrusted one.",
       with_officer,
       by_copy(extractable_key().add(attr::wrap_with_trusted, true),
               one(attr::wrap_with_trusted, false))},
      {"raise-wrap-with-trusted-by-set",
       "WRAP_WITH_TRUSTED must not be raised later: a key that a thief has learned before would "
       "pass for a fresh one (known-key injection).",
       wished,
       by_set(extractable_key().add(attr::wrap_with_trusted, false),
              one(attr::wrap_with_trusted, true))},
      {"raise-wrap-with-trusted-by-copy",
       "WRAP_WITH_TRUSTED must not be raised by a copy: a key that a thief has learned before "
       "would pass for a fresh one (known-key injection).",
       wished,
       by_copy(extractable_key().add(attr::wrap_with_trusted, false),
               one(attr::wrap_with_trusted, true))},

      // Attributes that go one way only.
      {"raise-extractable-by-set",
       "A key that is not extractable must not become so: it would be wrapped under a key of the "
       "thief's.",
       always, by_set(key(), one(attr::extractable, true))},
      {"raise-extractable-by-copy",
       "A key that is not extractable must have no extractable copy: it would be wrapped under a "
       "key of the thief's.",
       always, by_copy(key(), one(attr::extractable, true))},
      {"lower-sensitive-by-set", "A sensitive key must stay so: its value would be read.", always,
       by_set(extractable_key(), one(attr::sensitive, false))},
      {"lower-sensitive-by-copy",
       "A sensitive key must have no copy that is not: its value would be read.", always,
       by_copy(extractable_key(), one(attr::sensitive, false))},
      {"read-sensitive-value", "The value of a sensitive key must not be read.", always,
       reads_value},
      {"change-unmodifiable",
       "A key that is not modifiable must not change: a KEK that gains DECRYPT opens what it "
       "wrapped (Clulow 2003).",
       always, by_set(closed_for_good(), one(attr::decrypt, true))},
      {"copy-unmodifiable-changed",
       "A key that is not modifiable must not be copied with changes: a KEK's copy with DECRYPT "
       "opens what it wrapped.",
       always, by_copy(closed_for_good(), one(attr::decrypt, true))},
      {"copy-unmodifiable-modifiable",
       "A key that is not modifiable must have no modifiable copy, which would be changed in a "
       "second step.",
       always, by_copy(closed_for_good(), one(attr::modifiable, true))},
      {"copy-uncopyable",
       "A key that is not copyable must not be copied: another copy outlives its destruction.",
       wished, copies_uncopyable},
      {"destroy-undestroyable",
       "A key that is not destroyable must not be destroyed, by mistake or malice.", wished,
       destroys_undestroyable},
      {"claim-local-by-creation",
       "A created key must not claim to be made in the token: it would pass a WRAP_TEMPLATE "
       "(known-key injection).",
       always, by_creation(one(attr::local, true))},
      {"claim-local-by-unwrap",
       "An unwrapped key must not claim to be made in the token: it would pass a WRAP_TEMPLATE "
       "(known-key injection).",
       always, by_unwrap(one(attr::local, true))},
      {"claim-always-sensitive-by-creation",
       "A created key must not claim never to have been in clear: it would pass a WRAP_TEMPLATE.",
       always, by_creation(one(attr::always_sensitive, true))},
      {"check-value-suppressed",
       "A key made with an empty CHECK_VALUE must show none: of a GCM key it is 24 bits of the "
       "GHASH key.",
       wished, shows_check_value},

      // A key does what its attributes say, by the mechanisms that they name.
      {"encrypt-with-kek",
       "A key without ENCRYPT must not encrypt: a KEK would make blobs of chosen keys (known-key "
       "injection).",
       always, encrypts_with_kek},
      {"sign-with-kek",
       "A key without SIGN must not sign: a CMAC by a KEK is a step towards its encryption.",
       always, signs_with_kek},
      {"decrypt-blob-by-ecb",
       "A key without DECRYPT must not decrypt by ECB: a KEK would open what it wrapped (Clulow "
       "2003).",
       always, decrypts_blob_by_ecb},
      {"decrypt-blob-by-key-wrap",
       "A key without DECRYPT must not decrypt by the key-wrap mechanism: a KEK would open what it "
       "wrapped (Clulow 2003).",
       always, decrypts_blob_by_key_wrap},
      {"wrap-without-wrap",
       "A key without WRAP must not wrap: any key that a thief can use would take others out "
       "(Clulow 2003).",
       always, wraps_without_wrap},
      {"unwrap-without-unwrap",
       "A key without UNWRAP must not unwrap: a KEK's blobs would come back with other attributes "
       "(Delaune, Kremer, Steel 2010).",
       always, unwraps_without_unwrap},
      {"encrypt-outside-allowed-mechanisms",
       "A key for GCM alone must not encrypt by ECB, which gives the GHASH key and any key stream.",
       always, encrypts_outside_allowed},
      {"wrap-outside-allowed-mechanisms",
       "A KEK must not wrap by another mechanism than it allows, such as one that cuts or mixes "
       "keys.",
       always, wraps_outside_allowed},
      {"digest-state",
       "The state of a digest must not be read after C_DigestKey: it holds the key.", always,
       reads_digest_state},
      {"digest-key",
       "A sensitive key whose ALLOWED_MECHANISMS has no digest must not be digested: a hash "
       "confirms a guess.",
       wished, digests_key},
      {"derive-aes-ecb-encrypt-data",
       "A key without DERIVE must not derive: by AES_ECB_ENCRYPT_DATA it is an encryption oracle.",
       always, derives(CKM_AES_ECB_ENCRYPT_DATA)},
      {"derive-aes-cbc-encrypt-data",
       "A key without DERIVE must not derive: by AES_CBC_ENCRYPT_DATA it is an encryption oracle.",
       always, derives(CKM_AES_CBC_ENCRYPT_DATA)},
      {"derive-concatenate-base-and-key",
       "A key without DERIVE must not be joined to another key (reduced key space).", always,
       derives(CKM_CONCATENATE_BASE_AND_KEY)},
      {"derive-concatenate-own-base-and-key",
       "A key without DERIVE must not be joined to a base key of the thief's (reduced key space).",
       always, joins_to_own_key},
      {"derive-concatenate-base-and-data",
       "A key without DERIVE must not be joined to known bytes and cut (reduced key space).",
       always, derives(CKM_CONCATENATE_BASE_AND_DATA)},
      {"derive-concatenate-data-and-base",
       "A key without DERIVE must not be joined to known bytes and cut (reduced key space).",
       always, derives(CKM_CONCATENATE_DATA_AND_BASE)},
      {"derive-xor-base-and-data",
       "A key without DERIVE must not be mixed with known bytes (related keys).", always,
       derives(CKM_XOR_BASE_AND_DATA)},
      {"derive-extract-key-from-key",
       "A key without DERIVE must not be cut into bytes, which are guessed one at a time (reduced "
       "key space).",
       always, derives(CKM_EXTRACT_KEY_FROM_KEY)},
      {"derive-sha1", "A key without DERIVE must not be hashed into another.", always,
       derives(CKM_SHA1_KEY_DERIVATION)},
      {"derive-sha224", "A key without DERIVE must not be hashed into another.", always,
       derives(CKM_SHA224_KEY_DERIVATION)},
      {"derive-sha256", "A key without DERIVE must not be hashed into another.", always,
       derives(CKM_SHA256_KEY_DERIVATION)},
      {"derive-sha384", "A key without DERIVE must not be hashed into another.", always,
       derives(CKM_SHA384_KEY_DERIVATION)},
      {"derive-sha512", "A key without DERIVE must not be hashed into another.", always,
       derives(CKM_SHA512_KEY_DERIVATION)},
      {"derive-hkdf", "A key without DERIVE must not derive by HKDF.", always,
       derives(CK_MECHANISM_TYPE{0x402A})},
      {"derive-sp800-108-counter",
       "A key without DERIVE must not derive by SP 800-108 in counter mode.", always,
       derives(CK_MECHANISM_TYPE{0x3AC})},

      // Out of the token, and into a meter.
      {"wrap-unextractable",
       "A key that is not extractable must not be wrapped: a thief would wrap it under a key that "
       "he knows.",
       always, wraps(kek(), generated(extractable_key()), generated(key()))},
      {"wrap-template-local-created",
       "Under a KEK whose WRAP_TEMPLATE asks for LOCAL a created key must not be wrapped "
       "(known-key injection into a meter).",
       always,
       wraps(asking(one(attr::local, true)), generated(extractable_key()),
             created(extractable_key()))},
      {"wrap-template-local-unwrapped",
       "Under a KEK whose WRAP_TEMPLATE asks for LOCAL an unwrapped key must not be wrapped "
       "(known-key injection, cross-device wrap).",
       always,
       wraps(asking(one(attr::local, true)), generated(extractable_key()),
             unwrapped(extractable_key()))},
      {"wrap-template-always-sensitive",
       "Under a KEK whose WRAP_TEMPLATE asks for ALWAYS_SENSITIVE a key that could once be read "
       "must not be wrapped (known-key injection).",
       always,
       wraps(asking(one(attr::always_sensitive, true)), generated(extractable_key()),
             made_sensitive_later(extractable_key()))},
      {"wrap-template-value-len",
       "Under a KEK whose WRAP_TEMPLATE gives VALUE_LEN a longer key must not be wrapped: a meter "
       "cuts it without a word.",
       always,
       wraps(asking(Template().add(attr::value_len, 16)), generated(extractable_key()),
             generated(extractable_key(), 32))},
      {"wrap-template-usage",
       "Under a KEK whose WRAP_TEMPLATE asks for WRAP=F a key that may wrap must not be wrapped: "
       "no key in two roles (Clulow 2003).",
       always,
       wraps(asking(one(attr::wrap, false)), generated(extractable_key()),
             generated(extractable_key().set(attr::wrap, true)))},
      {"wrap-template-wrap-with-trusted",
       "Under a KEK whose WRAP_TEMPLATE asks for WRAP_WITH_TRUSTED a key without it must not be "
       "wrapped: a thief may know it (known-key injection).",
       with_officer,
       [](AttemptContext& trial) {
         // Nothing satisfies this template under an untrusted KEK, so the control is the same KEK
         // without the template.
         const auto ordinary =
             trial.generate(extractable_key().add(attr::wrap_with_trusted, false));
         (void)trial.wrap(trial.generate(kek()), ordinary);
         const auto strict = trial.generate(asking(one(attr::wrap_with_trusted, true)));
         return must_fail("C_WrapKey", [&] { return trial.wrap(strict, ordinary); });
       }},

      // Back in, from a blob.
      {"unwrap-template-others",
       "Under an UNWRAP_TEMPLATE a blob must not come back with other attributes (re-import, "
       "Delaune, Kremer, Steel 2010).",
       always, unwraps_with_others},
      {"unwrap-template-left-out",
       "Under an UNWRAP_TEMPLATE a blob must not come back with a default in place of what was "
       "left out (re-import).",
       always, unwraps_with_less},
      {"unwrap-template-doubled",
       "Under an UNWRAP_TEMPLATE a blob must not come back by naming an attribute twice "
       "(re-import).",
       always, unwraps_with_doubled},
      {"unwrap-template-generic-secret",
       "Under an UNWRAP_TEMPLATE with KEY_TYPE a blob must not come back as GENERIC_SECRET (HMAC "
       "oracle, reduced key space).",
       always, unwraps_as_generic_secret},
      {"unwrap-one-byte", "A blob must not come back cut to VALUE_LEN=1 (reduced key space).",
       always, unwraps_one_byte},
      {"unwrap-template-unsatisfiable",
       "Under an UNWRAP_TEMPLATE that no key meets nothing must be unwrapped, should a KEK ever "
       "gain UNWRAP.",
       wished, unwraps_unsatisfiable},
      {"rsa-otherwise-than-oaep",
       "A private key for OAEP alone must not open by PKCS#1 v1.5 (padding oracle, Bleichenbacher "
       "1998), raw, or in clear.",
       always, opens_rsa_otherwise},

      // The sealed vault.
      {"unwrap-template-mechanisms",
       "Under an UNWRAP_TEMPLATE with ALLOWED_MECHANISMS a blob must not come back for others: a "
       "GUEK would encrypt by ECB.",
       when_sealed, unwraps_for_other_mechanisms},
      {"wrap-template-other-class",
       "Under a storage key whose WRAP_TEMPLATE asks for ENCRYPT=F a key that encrypts must not be "
       "wrapped: it would come back as a KEK.",
       when_sealed,
       wraps(asking(one(attr::encrypt, false)),
             generated(extractable_key().set(attr::encrypt, false)),
             generated(extractable_key().set(attr::encrypt, true)))},
      {"opened-under-untrusted",
       "A sealed key opened with WRAP_WITH_TRUSTED must not be wrapped under a key of the thief's, "
       "nor come back without it.",
       Need::when_sealed_by_officer, learns_opened_key},
      {"mac-of-another-row",
       "A MAC must not verify over another message, nor a changed MAC: rows of the sealed vault "
       "could be exchanged.",
       when_sealed, verifies_changed_mac},
  };
  return attempts;
}

}  // namespace smets1kms::vault::attempts
