// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

// The 68 functions of CK_FUNCTION_LIST, in its order (PKCS#11 2.40). The one macro list: names,
// enumerators and forwarders are all made from it.
// clang-format off
#define SHIM_FUNCTIONS(X) X(C_Initialize) X(C_Finalize) X(C_GetInfo) X(C_GetFunctionList) \
  X(C_GetSlotList) X(C_GetSlotInfo) X(C_GetTokenInfo) X(C_GetMechanismList) X(C_GetMechanismInfo) \
  X(C_InitToken) X(C_InitPIN) X(C_SetPIN) X(C_OpenSession) X(C_CloseSession) X(C_CloseAllSessions) \
  X(C_GetSessionInfo) X(C_GetOperationState) X(C_SetOperationState) X(C_Login) X(C_Logout) \
  X(C_CreateObject) X(C_CopyObject) X(C_DestroyObject) X(C_GetObjectSize) X(C_GetAttributeValue) \
  X(C_SetAttributeValue) X(C_FindObjectsInit) X(C_FindObjects) X(C_FindObjectsFinal) \
  X(C_EncryptInit) X(C_Encrypt) X(C_EncryptUpdate) X(C_EncryptFinal) X(C_DecryptInit) X(C_Decrypt) \
  X(C_DecryptUpdate) X(C_DecryptFinal) X(C_DigestInit) X(C_Digest) X(C_DigestUpdate) X(C_DigestKey) \
  X(C_DigestFinal) X(C_SignInit) X(C_Sign) X(C_SignUpdate) X(C_SignFinal) X(C_SignRecoverInit) \
  X(C_SignRecover) X(C_VerifyInit) X(C_Verify) X(C_VerifyUpdate) X(C_VerifyFinal) \
  X(C_VerifyRecoverInit) X(C_VerifyRecover) X(C_DigestEncryptUpdate) X(C_DecryptDigestUpdate) \
  X(C_SignEncryptUpdate) X(C_DecryptVerifyUpdate) X(C_GenerateKey) X(C_GenerateKeyPair) X(C_WrapKey) \
  X(C_UnwrapKey) X(C_DeriveKey) X(C_SeedRandom) X(C_GenerateRandom) X(C_GetFunctionStatus) \
  X(C_CancelFunction) X(C_WaitForSlotEvent)
// clang-format on

namespace shim {

enum class Function : std::size_t {
#define SHIM_ENUMERATOR(name) name,
  SHIM_FUNCTIONS(SHIM_ENUMERATOR)
#undef SHIM_ENUMERATOR
};

inline constexpr std::array function_names{
#define SHIM_NAME(name) std::string_view(#name),
    SHIM_FUNCTIONS(SHIM_NAME)
#undef SHIM_NAME
};
static_assert(function_names.size() == 68);

constexpr std::size_t index_of(Function function) { return static_cast<std::size_t>(function); }
constexpr std::string_view name_of(Function function) {
  return function_names.at(index_of(function));
}

constexpr std::optional<Function> function_of_name(std::string_view name) {
  for (std::size_t i = 0; i < function_names.size(); ++i) {
    if (function_names.at(i) == name) return static_cast<Function>(i);
  }
  return std::nullopt;
}

/// Whether SHIM_KILL_AT counts it. Questions about the module and the token change nothing, so
/// dying there tests nothing; and C_Login rewrites SoftHSM's token file without fsync, so dying
/// there would test SoftHSM.
constexpr bool counts_for_kill(Function function) {
  switch (function) {
    case Function::C_GetFunctionList:
    case Function::C_Initialize:
    case Function::C_Finalize:
    case Function::C_GetInfo:
    case Function::C_GetSlotList:
    case Function::C_GetSlotInfo:
    case Function::C_GetTokenInfo:
    case Function::C_GetMechanismList:
    case Function::C_GetMechanismInfo:
    case Function::C_Login: return false;
    default: return true;
  }
}

}  // namespace shim
