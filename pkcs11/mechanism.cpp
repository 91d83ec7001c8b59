// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "pkcs11/session.hpp"

namespace pkcs11 {

Mechanism Mechanism::rsa_oaep(CK_MECHANISM_TYPE hash, CK_RSA_PKCS_MGF_TYPE mgf) {
  // With no data: the empty label of RFC 8017 section 7.1.
  return with(CKM_RSA_PKCS_OAEP,
              CK_RSA_PKCS_OAEP_PARAMS{hash, mgf, CKZ_DATA_SPECIFIED, nullptr, 0});
}

Mechanism Mechanism::aes_gcm(Bytes iv, Bytes additional_data) {
  if (iv.size() != 12) throw std::invalid_argument("AES-GCM: the IV must have 12 bytes");
  Mechanism mechanism(CKM_AES_GCM);
  mechanism.iv_ = std::move(iv);
  mechanism.additional_data_ = std::move(additional_data);
  return mechanism;
}

CK_MECHANISM* Mechanism::raw() {
  raw_ = {type_, parameter_.empty() ? nullptr : parameter_.data(),
          static_cast<CK_ULONG>(parameter_.size())};
  if (!iv_.empty()) {
    gcm_.pIv = iv_.data();
    gcm_.ulIvLen = static_cast<CK_ULONG>(iv_.size());
    gcm_.ulIvBits = gcm_.ulIvLen * 8;
    gcm_.pAAD = additional_data_.empty() ? nullptr : additional_data_.data();
    gcm_.ulAADLen = static_cast<CK_ULONG>(additional_data_.size());
    gcm_.ulTagBits = 128;
    raw_ = {type_, &gcm_, sizeof gcm_};
  }
  return &raw_;
}

}  // namespace pkcs11
