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

constexpr CK_ULONG import_key_bits = 3072;  // the strength of AES-128, SP 800-57 Part 1 table 2
const char* const import_label = "smets1-kms/import";

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

Handle the_one(Session& session, const KeyId& id, CK_OBJECT_CLASS object_class) {
  const auto found = session.find_objects(Template().add(attr::id, raw(id)).add(attr::object_class, object_class));
  if (found.size() != 1)
    throw pkcs11::Error("C_FindObjects", CKR_KEY_NEEDED, "import key " + id.to_string() + ": " + std::to_string(found.size()) + " objects in the token");
  return found.front();
}

}  // namespace

std::string Enrolment::make_import_key(const KeyId& id) {
  pool_.run([&](Session& session) {
    // A lost answer leaves an orphan: whatever has the id that the intent fixed is removed first.
    for (const Handle stray : search(session, id)) session.destroy_object(stray);
    auto public_key = attributes(Class::import_public_key, {});
    public_key.set(attr::modulus_bits, import_key_bits).set(attr::public_exponent, {0x01, 0x00, 0x01});
    const auto private_key = attributes(Class::import_private_key, {});
    const auto [public_handle, private_handle] = session.generate_key_pair(
        Mechanism(CKM_RSA_PKCS_KEY_PAIR_GEN), named(id, import_label, public_key), named(id, import_label, private_key));
    insist(session, private_handle, private_key, "C_GenerateKeyPair");
  });
  return import_key_pem(id);
}

std::string Enrolment::import_key_pem(const KeyId& id) {
  return pool_.run([&](Session& session) {
    const Handle key = the_one(session, id, CKO_PUBLIC_KEY);
    return to_pem(session.need(key, attr::modulus), session.need(key, attr::public_exponent));
  });
}

Enrolment::Ceremony::Ceremony(pkcs11::Pool& pool, const KeyId& import_key)
    : session_(pool.lease()), import_key_(the_one(*session_, import_key, CKO_PRIVATE_KEY)) {
  if (const auto differences = session_->differences(import_key_, attributes(Class::import_private_key, {})); !differences.empty())
    throw pkcs11::Error("C_GetAttributeValue", CKR_TEMPLATE_INCONSISTENT, "import key " + import_key.to_string() + ": " + differences.front());
}

void Enrolment::Ceremony::open_transport_key(const std::string& name, ByteView encrypted) {
  for (const auto suite : {SecuritySuite::suite_0, SecuritySuite::suite_1, SecuritySuite::suite_2}) {
    auto mechanism = Mechanism::rsa_oaep(CKM_SHA_1, CKG_MGF1_SHA1);
    try {
      transport_keys_[{name, suite}] = session_->unwrap_key(std::move(mechanism), import_key_, encrypted, attributes(Class::transport_key, suite));
    } catch (const pkcs11::Error& error) {
      throw error.about("transport key " + name);
    }
  }
}

Handle Enrolment::Ceremony::unwrap(const KeyName& kek, const std::string& transport_key, ByteView wrapped, bool to_rest) {
  auto expected = attributes(Class::imported_kek, kek.suite);
  if (!to_rest) expected.set(attr::token, false);
  try {
    return session_->unwrap_key(Mechanism(CKM_AES_KEY_WRAP), transport_keys_.at({transport_key, kek.suite}), wrapped, named(kek.id, kek.label(), expected));
  } catch (const pkcs11::Error& error) {
    throw error.about(kek.to_string());
  }
}

void Enrolment::Ceremony::check(const KeyName& kek, const std::string& transport_key, ByteView wrapped) {
  session_->destroy_object(unwrap(kek, transport_key, wrapped, false));
}

std::string Enrolment::Ceremony::admit(const KeyName& kek, const std::string& transport_key, ByteView wrapped) {
  const Handle object = unwrap(kek, transport_key, wrapped, true);
  insist(*session_, object, attributes(Class::imported_kek, kek.suite), "C_UnwrapKey");
  return granted_attributes(*session_, object);
}

}  // namespace smets1kms::vault
