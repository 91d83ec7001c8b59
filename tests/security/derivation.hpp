// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstring>

#include "attacker.hpp"

/// Parameters of derive mechanisms, as pkcs11::Mechanism takes them: the bytes of the C struct.
namespace attack {

/// CKM_AES_ECB_ENCRYPT_DATA, CKM_XOR_BASE_AND_DATA, CKM_CONCATENATE_BASE_AND_DATA: `data` must
/// outlive the call.
inline Mechanism with_data(CK_MECHANISM_TYPE type, Bytes& data) {
  CK_KEY_DERIVATION_STRING_DATA raw{data.data(), static_cast<CK_ULONG>(data.size())};
  Bytes image(sizeof raw);
  std::memcpy(image.data(), &raw, sizeof raw);
  return {type, image};
}

inline Mechanism cbc_with_data(Bytes& data) {
  CK_AES_CBC_ENCRYPT_DATA_PARAMS raw{};
  raw.pData = data.data();
  raw.length = static_cast<CK_ULONG>(data.size());
  Bytes image(sizeof raw);
  std::memcpy(image.data(), &raw, sizeof raw);
  return {CKM_AES_CBC_ENCRYPT_DATA, image};
}

/// CKM_EXTRACT_KEY_FROM_KEY (the first bit), CKM_CONCATENATE_BASE_AND_KEY (the other key).
inline Mechanism with_number(CK_MECHANISM_TYPE type, CK_ULONG number) {
  Bytes image(sizeof number);
  std::memcpy(image.data(), &number, sizeof number);
  return {type, image};
}

}  // namespace attack
