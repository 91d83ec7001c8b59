// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "smets1kms/types.hpp"

namespace smets1kms {

/// A key at rest in the sealed vault: not in the token, but wrapped under one of its storage keys.
/// The registry keeps it, the vault makes and opens it; neither knows the other.
struct SealedKey {
  KeyId under;  ///< the storage key
  Bytes blob;   ///< RFC 3394: 24 or 40 bytes
  Bytes mac;    ///< CKM_AES_CMAC, made in the token over the blob and the key's identity: 16 bytes
};

}  // namespace smets1kms
