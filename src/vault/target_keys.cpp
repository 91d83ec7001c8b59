// SPDX-License-Identifier: Apache-2.0
#include "vault/target_keys.hpp"

#include <openssl/bn.h>

#include <algorithm>

#include "vault/objects.hpp"

namespace smets1kms::vault {

using pkcs11::Handle;
using pkcs11::Mechanism;
using pkcs11::Session;
using pkcs11::Template;
namespace attr = pkcs11::attr;

namespace {

Mechanism oaep(OaepHash hash) {
  return hash == OaepHash::sha_256 ? Mechanism::rsa_oaep(CKM_SHA256, CKG_MGF1_SHA256)
                                   : Mechanism::rsa_oaep(CKM_SHA_1, CKG_MGF1_SHA1);
}

Template rsa_public_key(const Bytes& modulus, const Bytes& public_exponent) {
  return Template()
      .add(attr::object_class, CKO_PUBLIC_KEY)
      .add(attr::key_type, CKK_RSA)
      .add(attr::modulus, modulus)
      .add(attr::public_exponent, public_exponent);
}

Template expected(const TargetKey& target, const TokenProfile& token_profile) {
  return rsa_public_key(target.modulus, target.public_exponent)
      .append(target_attributes(token_profile, target.keep))
      .add(attr::label, "smets1-kms/target/" + target.label);
}

}  // namespace

std::string admit_target(Session& session, const TargetKey& target,
                         const TokenProfile& token_profile) {
  remove_orphans(session, target.id);
  const auto attributes = rsa_public_key(target.modulus, target.public_exponent)
                              .append(target_attributes(token_profile, target.keep));
  const Handle object =
      session.create_object(named(target.id, "smets1-kms/target/" + target.label, attributes));
  verify_attributes(session, object, expected(target, token_profile), "C_CreateObject");
  return granted_attributes(session, object);
}

bool has_target(Session& session, const TargetKey& target, const TokenProfile& token_profile) {
  const auto found = search(session, target.id);
  return found.size() == 1 &&
         session.differences(found.front(), expected(target, token_profile)).empty();
}

Bytes any_rsa_modulus() {
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> prime(BN_get_rfc3526_prime_3072(nullptr),
                                                          BN_free);
  Bytes modulus(static_cast<std::size_t>(BN_num_bytes(prime.get())));
  BN_bn2bin(prime.get(), modulus.data());
  return modulus;
}

void try_handover(Session& session, const TokenProfile& token_profile) {
  const auto modulus = any_rsa_modulus();
  const TokenProfile untrusted{EnrolmentMode::plain, token_profile.profile};
  auto attributes = rsa_public_key(modulus, {0x01, 0x00, 0x01})
                        .append(target_attributes(untrusted, VaultKind::token));
  const ScopedObject target(session, session.create_object(attributes.set(attr::token, false)));
  const ScopedObject key(
      session, session.generate_key(Mechanism(CKM_AES_KEY_GEN),
                                    fresh(KeyRole::gak, SecuritySuite::suite_0, untrusted)));
  const auto wrapped =
      session.wrap_key(oaep(token_profile.profile.oaep_hash), target.handle(), key.handle());
  if (wrapped.size() != modulus.size())
    throw pkcs11::Error("C_WrapKey", CKR_WRAPPED_KEY_LEN_RANGE,
                        std::to_string(wrapped.size()) + " bytes");
}

void TargetKeys::use(std::vector<TargetKey> targets) {
  const std::lock_guard lock(mutex_);
  targets_.clear();
  for (auto& target : targets) targets_.push_back({.target = std::move(target)});
}

void TargetKeys::check(Session& session) {
  const std::lock_guard lock(mutex_);
  for (auto& known : targets_) (void)resolve(session, known);
}

Handle TargetKeys::resolve(Session& session, Known& known) const {
  if (known.epoch == pool_.epoch()) return known.handle;
  const auto epoch = pool_.epoch();
  const auto found = search(session, known.target.id);
  const auto name = "the public key of target " + known.target.label +
                    " ('enrol --handover' admits it again)";
  if (found.empty()) require_answers(pool_);
  known.handle = only_one(session, found, name, expected(known.target, token_profile_));
  known.epoch = epoch;
  return known.handle;
}

std::vector<WrappedForTarget> TargetKeys::wrap(Session& session, Handle key, KeyRole role) {
  std::vector<WrappedForTarget> all;
  if (role == KeyRole::kek) return all;  // it would fit the WRAP_TEMPLATE
  struct Use {
    Handle handle;
    OaepHash hash;
    std::string label;
    std::size_t length;
  };
  std::vector<Use> uses;
  {
    const std::lock_guard lock(mutex_);
    for (auto& known : targets_)
      if (std::ranges::find(known.target.roles, role) != known.target.roles.end())
        uses.push_back({resolve(session, known), known.target.hash, known.target.label,
                        known.target.modulus.size()});
  }
  for (auto& use : uses) {
    auto wrapped = session.wrap_key(oaep(use.hash), use.handle, key);
    if (wrapped.size() != use.length)
      throw pkcs11::Error("C_WrapKey", CKR_WRAPPED_KEY_LEN_RANGE,
                          std::to_string(wrapped.size()) + " bytes for target " + use.label);
    all.push_back({std::move(use.label), std::move(wrapped)});
  }
  return all;
}

}  // namespace smets1kms::vault
