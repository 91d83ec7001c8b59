// SPDX-License-Identifier: Apache-2.0
#include "vault/enrolment.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <stdexcept>

#include "base/openssl_owner.hpp"
#include "vault/objects.hpp"
#include "vault/templates.hpp"

namespace smets1kms::vault {
namespace {

using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

constexpr const char* import_label = "smets1-kms/import";
constexpr const char* enrolment_label = "smets1-kms/enrolment";
constexpr CK_ULONG import_key_bits = 3072;  // the strength of AES-128, SP 800-57 Part 1 table 2

/// Returns SubjectPublicKeyInfo, PEM.
std::string to_pem(pkcs11::Bytes modulus, pkcs11::Bytes exponent) {
  // PKCS#11 has numbers big-endian, OpenSSL takes them in the host's order.
  const auto number = [](const char* name, pkcs11::Bytes& bytes) {
    if (std::endian::native == std::endian::little) std::ranges::reverse(bytes);
    return OSSL_PARAM_construct_BN(name, bytes.data(), bytes.size());
  };
  OSSL_PARAM parameters[] = {number(OSSL_PKEY_PARAM_RSA_N, modulus),
                             number(OSSL_PKEY_PARAM_RSA_E, exponent), OSSL_PARAM_construct_end()};
  const Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* raw_key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &raw_key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
    throw std::runtime_error("OpenSSL does not take the token's RSA public key");
  const Owned<EVP_PKEY, EVP_PKEY_free> key(raw_key);
  const Bio out(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(out.get(), key.get());
  return text_of(out);
}

/// Returns the one object with this id, with every attribute asserted.
Handle the_one(Session& session, const KeyId& id, CK_OBJECT_CLASS object_class,
               const Template& expected, const char* what) {
  const auto found =
      session.find_objects(Template().add(attr::id, raw(id)).add(attr::object_class, object_class));
  return only_one(session, found, std::string(what) + " " + id.to_string(), expected);
}

/// Returns the private half with the attributes that nobody can set asserted, where the token shows
/// them: a pair that was brought from outside lacks them.
Handle import_private_key(Session& session, const KeyId& id, const TokenProfile& token_profile) {
  auto expected = attributes(ObjectPurpose::import_private_key, {}, token_profile)
                      .add(attr::label, import_label);
  if (token_profile.profile.shows_local())
    expected.add(attr::local, true)
        .add(attr::always_sensitive, true)
        .add(attr::never_extractable, true);
  return the_one(session, id, CKO_PRIVATE_KEY, expected, "import key");
}

std::string public_half(Session& session, Handle private_key) {
  return to_pem(session.need(private_key, attr::modulus),
                session.need(private_key, attr::public_exponent));
}

}  // namespace

std::string make_import_key(Session& session, const KeyId& id, const TokenProfile& token_profile) {
  remove_orphans(session, id);
  auto public_key = attributes(ObjectPurpose::import_public_key, {}, token_profile);
  public_key.set(attr::modulus_bits, import_key_bits)
      .set(attr::public_exponent, {0x01, 0x00, 0x01});
  const auto private_key = attributes(ObjectPurpose::import_private_key, {}, token_profile);
  const auto [public_handle, private_handle] = session.generate_key_pair(
      Mechanism(CKM_RSA_PKCS_KEY_PAIR_GEN), named(id, import_label, public_key),
      named(id, import_label, private_key));
  verify_attributes(session, private_handle, private_key, "C_GenerateKeyPair");
  return import_key_pem(session, id, token_profile);
}

std::string import_key_pem(Session& session, const KeyId& id, const TokenProfile& token_profile) {
  return public_half(session, import_private_key(session, id, token_profile));
}

void make_enrolment_key(Session& session, const KeyId& id, const TokenProfile& token_profile) {
  remove_orphans(session, id);
  const auto expected = attributes(ObjectPurpose::enrolment_key, {}, token_profile);
  const Handle key =
      session.generate_key(Mechanism(CKM_AES_KEY_GEN), named(id, enrolment_label, expected));
  verify_attributes(session, key, expected, "C_GenerateKey");
}

std::string Ceremony::use_import_key(const KeyId& id) {
  import_key_ = import_private_key(session_, id, token_profile_);
  return public_half(session_, import_key_);
}

void Ceremony::use_enrolment_key(const KeyId& id) {
  enrolment_key_ = the_one(session_, id, CKO_SECRET_KEY,
                           attributes(ObjectPurpose::enrolment_key, {}, token_profile_)
                               .add(attr::label, enrolment_label),
                           "enrolment key");
}

void Ceremony::open_transport_key(const std::string& name, ByteView encrypted) {
  try {
    transport_keys_[name] = session_.unwrap_key(
        Mechanism::rsa_oaep(CKM_SHA_1, CKG_MGF1_SHA1), import_key_, encrypted,
        unwrapping(transport_key_for(unwrapped_as(), token_profile_), 32, token_profile_));
  } catch (const pkcs11::Error& error) {
    throw error.about("transport key " + name);
  }
}

Handle Ceremony::unwrap(const KeyName& kek, Handle under, ByteView wrapped,
                        const Template& expected) {
  try {
    return session_.unwrap_key(
        Mechanism(token_profile_.profile.key_wrap), under, wrapped,
        unwrapping(named(kek.id, kek.label(), expected), key_length(kek.suite), token_profile_));
  } catch (const pkcs11::Error& error) {
    throw error.about(kek.to_string());
  }
}

void Ceremony::unwrap_sent(const KeyName& kek, const std::string& transport_key, ByteView wrapped) {
  const Handle under = transport_keys_.at(transport_key);
  const Handle passing =
      unwrap(kek, under, wrapped,
             attributes(unwrapped_as(), kek.suite, token_profile_).set(attr::token, false));
  if (token_profile_.mode == EnrolmentMode::officer)
    admitted_[kek.id] = passing;
  else
    session_.destroy_object(passing);
}

void Ceremony::unwrap_waiting(const KeyName& kek, ByteView sealed) {
  admitted_[kek.id] = unwrap(kek, enrolment_key_, sealed,
                             attributes(ObjectPurpose::admitted_kek, kek.suite, token_profile_));
}

ObjectPurpose Ceremony::unwrapped_as() const {
  if (keep_ == VaultKind::sealed) return ObjectPurpose::sealable_kek;
  return token_profile_.mode == EnrolmentMode::officer ? ObjectPurpose::admitted_kek
                                                       : ObjectPurpose::imported_kek;
}

PersistedKek Ceremony::persist(const KeyName& kek, const std::string& transport_key,
                               ByteView wrapped, Sealing* sealing) {
  const bool officer = token_profile_.mode == EnrolmentMode::officer;
  std::optional<ScopedObject> admitted;
  if (officer) admitted.emplace(session_, admitted_.extract(kek.id).mapped());
  if (keep_ == VaultKind::sealed) {
    if (!officer)
      admitted.emplace(session_,
                       unwrap(kek, transport_keys_.at(transport_key), wrapped,
                              attributes(ObjectPurpose::sealable_kek, kek.suite, token_profile_)));
    return {.attributes = granted_attributes(session_, admitted->handle()),
            .sealed = sealing->seal(session_, kek, admitted->handle())};
  }
  const auto expected = at_rest(KeyRole::kek, kek.suite, token_profile_, true);
  const Handle object =
      officer
          ? session_.copy_object(admitted->handle(), attributes(ObjectPurpose::admitted_kek_to_rest,
                                                                kek.suite, token_profile_))
          : unwrap(kek, transport_keys_.at(transport_key), wrapped, expected);
  verify_attributes(session_, object, expected, officer ? "C_CopyObject" : "C_UnwrapKey");
  return {.attributes = granted_attributes(session_, object)};
}

}  // namespace smets1kms::vault
