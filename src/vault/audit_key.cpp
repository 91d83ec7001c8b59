// SPDX-License-Identifier: Apache-2.0
#include "vault/audit_key.hpp"

#include <openssl/pem.h>

#include <memory>
#include <utility>

#include "base/openssl_owner.hpp"
#include "vault/objects.hpp"

namespace smets1kms::vault {
namespace {

using pkcs11::Bytes;
using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

constexpr const char* audit_label = "smets1-kms/audit";
/// DER of the object identifier prime256v1.
const Bytes p256{0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
/// Everything of a P-256 SubjectPublicKeyInfo in front of the point (RFC 5480): SEQUENCE,
/// algorithm, BIT STRING.
const Bytes before_point{0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48,
                         0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
                         0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
constexpr std::size_t point_length = 65;  // 04 || x || y

/// Returns the PEM of a CKA_EC_POINT, which is wrapped in a DER OCTET STRING (04 41).
std::string to_pem(const Bytes& ec_point) {
  if (ec_point.size() != point_length + 2 || ec_point[0] != 0x04 || ec_point[1] != 0x41 ||
      ec_point[2] != 0x04)
    throw pkcs11::Error("C_GetAttributeValue", CKR_ATTRIBUTE_VALUE_INVALID,
                        "CKA_EC_POINT is not an uncompressed point of P-256");
  Bytes der = before_point;
  der.insert(der.end(), ec_point.begin() + 2, ec_point.end());
  const Bio out(BIO_new(BIO_s_mem()));
  PEM_write_bio(out.get(), "PUBLIC KEY", "", der.data(), static_cast<long>(der.size()));
  return text_of(out);
}

/// Text in front of the store's UUID in CKA_APPLICATION.
constexpr std::string_view application = "smets1-kms/";

Template anchors() { return Template().add(attr::object_class, CKO_DATA).add(attr::token, true); }

}  // namespace

std::string make_audit_key(Session& session, const KeyId& id, const TokenProfile& token_profile) {
  remove_orphans(session, id);
  auto public_key = attributes(ObjectPurpose::audit_public_key, {}, token_profile);
  public_key.set(attr::ec_params, p256);
  const auto private_key = attributes(ObjectPurpose::audit_private_key, {}, token_profile);
  const auto [public_handle, private_handle] =
      session.generate_key_pair(Mechanism(CKM_EC_KEY_PAIR_GEN), named(id, audit_label, public_key),
                                named(id, audit_label, private_key));
  verify_attributes(session, private_handle, private_key, "C_GenerateKeyPair");
  return audit_key_pem(session, public_handle);
}

std::string audit_key_pem(Session& session, Handle public_key) {
  return to_pem(session.need(public_key, attr::ec_point));
}

Bytes AuditKeyObject::sign(pkcs11::ByteView digest) {
  const std::lock_guard lock(mutex_);
  return pool_.run([&](Session& session) {
    if (epoch_ != pool_.epoch()) {
      const auto found = session.find_objects(
          Template().add(attr::object_class, CKO_PRIVATE_KEY).add(attr::id, raw(id_)));
      if (found.empty()) require_answers(pool_);
      handle_ = only_one(session, found, "audit key " + id_.to_string(),
                         attributes(ObjectPurpose::audit_private_key, {}, token_profile_));
      epoch_ = pool_.epoch();
    }
    return session.sign(Mechanism(CKM_ECDSA), handle_, digest);
  });
}

std::optional<std::string> audit_public_key(pkcs11::Pool& pool, const KeyId& id) {
  return pool.run([&](Session& session) -> std::optional<std::string> {
    const auto found = session.find_objects(
        Template().add(attr::object_class, CKO_PUBLIC_KEY).add(attr::id, raw(id)));
    if (found.size() == 1) return to_pem(session.need(found.front(), attr::ec_point));
    require_answers(pool);
    return std::nullopt;
  });
}

std::vector<StoredAnchor> read_anchors(pkcs11::Pool& pool) {
  return pool.run([&](Session& session) {
    std::vector<StoredAnchor> all;
    for (const Handle object : session.find_objects(anchors())) {
      const auto name = session.get(object, attr::label).value_or(""),
                 owner = session.get(object, attr::application).value_or("");
      if (const auto value = session.get(object, attr::value);
          value && owner.starts_with(application))
        all.push_back({name, owner.substr(application.size()), {value->begin(), value->end()}});
    }
    return all;
  });
}

void AnchorObject::replace(const std::string& text) {
  const std::lock_guard lock(mutex_);
  pool_.run([&](Session& session) {
    const auto epoch = pool_.epoch();
    if (std::exchange(epoch_, 0) != epoch)
      objects_ = session.find_objects(anchors().add(attr::label, name_));
    auto object = anchors();
    object.add(attr::application, std::string(application) + store_)
        .add(attr::label, name_)
        .add(attr::private_, true)
        .add(attr::value, Bytes(text.begin(), text.end()))
        .add(attr::modifiable, false);
    // A second one after a lost reply is found, and goes, by the next search.
    const auto made = session.create_object(object);
    for (const Handle each : objects_) session.destroy_object(each);
    objects_ = {made};
    epoch_ = epoch;
  });
}

std::chrono::microseconds measure_anchor(pkcs11::Pool& pool) {
  constexpr const char* label = "smets1-kms/measured";
  constexpr std::size_t length = 200;  // about that of a head with one signature
  return pool.run([&](Session& session) {
    const auto probe =
        Template().add(attr::object_class, CKO_DATA).add(attr::token, true).add(attr::label, label);
    for (const Handle left : session.find_objects(probe)) session.destroy_object(left);
    auto object = probe;
    object.add(attr::private_, true).add(attr::value, Bytes(length, 0));
    const auto begin = std::chrono::steady_clock::now();
    session.destroy_object(session.create_object(object));
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                                 begin);
  });
}

}  // namespace smets1kms::vault
