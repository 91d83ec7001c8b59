#include "vault/enrolment.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <memory>
#include <stdexcept>

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

/// SubjectPublicKeyInfo, PEM.
std::string to_pem(const pkcs11::Bytes& modulus, const pkcs11::Bytes& exponent) {
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> n(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr), BN_free);
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> e(BN_bin2bn(exponent.data(), static_cast<int>(exponent.size()), nullptr), BN_free);
  const std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)> builder(OSSL_PARAM_BLD_new(), OSSL_PARAM_BLD_free);
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  const std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> parameters(OSSL_PARAM_BLD_to_param(builder.get()), OSSL_PARAM_free);
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr), EVP_PKEY_CTX_free);
  EVP_PKEY* raw_key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 || EVP_PKEY_fromdata(context.get(), &raw_key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
    throw std::runtime_error("OpenSSL does not take the token's RSA public key");
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(raw_key, EVP_PKEY_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PUBKEY(out.get(), key.get());
  char* text = nullptr;
  const long length = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(length)};
}

std::vector<Handle> search(Session& session, const KeyId& id, CK_OBJECT_CLASS object_class) {
  return session.find_objects(Template().add(attr::id, raw(id)).add(attr::object_class, object_class));
}

/// By id, with every attribute asserted.
Handle the_one(Session& session, const KeyId& id, CK_OBJECT_CLASS object_class, const Template& expected, const char* what) {
  const auto found = search(session, id, object_class);
  const std::string name = std::string(what) + " " + id.to_string();
  if (found.size() != 1) throw pkcs11::Error("C_FindObjects", CKR_KEY_NEEDED, name + ": " + std::to_string(found.size()) + " objects in the token");
  if (const auto differences = session.differences(found.front(), expected); !differences.empty())
    throw pkcs11::Error("C_GetAttributeValue", CKR_TEMPLATE_INCONSISTENT, name + ": " + differences.front());
  return found.front();
}

/// With what nobody can set, where the token shows it: a pair whose private half somebody brought along has none of it.
Handle import_private_key(Session& session, const KeyId& id, const Terms& terms) {
  auto expected = attributes(Class::import_private_key, {}, terms).add(attr::label, import_label);
  if (terms.profile.shows_local()) expected.add(attr::local, true).add(attr::always_sensitive, true).add(attr::never_extractable, true);
  return the_one(session, id, CKO_PRIVATE_KEY, expected, "import key");
}

std::string public_half(Session& session, Handle private_key) {
  return to_pem(session.need(private_key, attr::modulus), session.need(private_key, attr::public_exponent));
}

}  // namespace

std::string make_import_key(Session& session, const KeyId& id, const Terms& terms) {
  // A lost answer leaves an orphan: whatever has the id that the intent fixed is removed first.
  for (const Handle stray : search(session, id)) session.destroy_object(stray);
  auto public_key = attributes(Class::import_public_key, {}, terms);
  public_key.set(attr::modulus_bits, import_key_bits).set(attr::public_exponent, {0x01, 0x00, 0x01});
  const auto private_key = attributes(Class::import_private_key, {}, terms);
  const auto [public_handle, private_handle] =
      session.generate_key_pair(Mechanism(CKM_RSA_PKCS_KEY_PAIR_GEN), named(id, import_label, public_key), named(id, import_label, private_key));
  insist(session, private_handle, private_key, "C_GenerateKeyPair");
  return import_key_pem(session, id, terms);
}

std::string import_key_pem(Session& session, const KeyId& id, const Terms& terms) { return public_half(session, import_private_key(session, id, terms)); }

void make_enrolment_key(Session& session, const KeyId& id, const Terms& terms) {
  for (const Handle stray : search(session, id)) session.destroy_object(stray);
  const auto expected = attributes(Class::enrolment_key, {}, terms);
  const Handle key = session.generate_key(Mechanism(CKM_AES_KEY_GEN), named(id, enrolment_label, expected));
  insist(session, key, expected, "C_GenerateKey");
}

std::string Ceremony::use_import_key(const KeyId& id) {
  import_key_ = import_private_key(session_, id, terms_);
  return public_half(session_, import_key_);
}

void Ceremony::use_enrolment_key(const KeyId& id) {
  enrolment_key_ = the_one(session_, id, CKO_SECRET_KEY, attributes(Class::enrolment_key, {}, terms_).add(attr::label, enrolment_label), "enrolment key");
}

void Ceremony::open_transport_key(const std::string& name, ByteView encrypted) {
  try {
    transport_keys_[name] = session_.unwrap_key(Mechanism::rsa_oaep(CKM_SHA_1, CKG_MGF1_SHA1), import_key_, encrypted,
                                                unwrapping(transport_key_for(unwrapped_as(), terms_), 32, terms_));
  } catch (const pkcs11::Error& error) {
    throw error.about("transport key " + name);
  }
}

Handle Ceremony::unwrap(const KeyName& kek, Handle under, ByteView wrapped, const Template& expected) {
  try {
    return session_.unwrap_key(Mechanism(terms_.profile.key_wrap), under, wrapped,
                               unwrapping(named(kek.id, kek.label(), expected), key_length(kek.suite), terms_));
  } catch (const pkcs11::Error& error) {
    throw error.about(kek.to_string());
  }
}

void Ceremony::unwrap_sent(const KeyName& kek, const std::string& transport_key, ByteView wrapped) {
  const Handle under = transport_keys_.at(transport_key);
  const Handle passing = unwrap(kek, under, wrapped, attributes(unwrapped_as(), kek.suite, terms_).set(attr::token, false));
  if (terms_.mode == EnrolmentMode::officer)
    admitted_[kek.id] = passing;
  else
    session_.destroy_object(passing);
}

void Ceremony::unwrap_waiting(const KeyName& kek, ByteView sealed) {
  admitted_[kek.id] = unwrap(kek, enrolment_key_, sealed, attributes(Class::admitted_kek, kek.suite, terms_));
}

Class Ceremony::unwrapped_as() const {
  if (keep_ == Keep::sealed) return Class::sealable_kek;
  return terms_.mode == EnrolmentMode::officer ? Class::admitted_kek : Class::imported_kek;
}

Rested Ceremony::put_to_rest(const KeyName& kek, const std::string& transport_key, ByteView wrapped, Sealing* sealing) {
  const bool officer = terms_.mode == EnrolmentMode::officer;
  std::optional<Temporary> admitted;
  if (officer) admitted.emplace(session_, admitted_.extract(kek.id).mapped());
  if (keep_ == Keep::sealed) {
    if (!officer) admitted.emplace(session_, unwrap(kek, transport_keys_.at(transport_key), wrapped, attributes(Class::sealable_kek, kek.suite, terms_)));
    return {.attributes = granted_attributes(session_, admitted->handle()), .sealed = sealing->seal(session_, kek, admitted->handle())};
  }
  const auto expected = at_rest(KeyRole::kek, kek.suite, terms_, true);
  const Handle object = officer ? session_.copy_object(admitted->handle(), attributes(Class::admitted_kek_to_rest, kek.suite, terms_))
                                : unwrap(kek, transport_keys_.at(transport_key), wrapped, expected);
  insist(session_, object, expected, officer ? "C_CopyObject" : "C_UnwrapKey");
  return {.attributes = granted_attributes(session_, object)};
}

}  // namespace smets1kms::vault
