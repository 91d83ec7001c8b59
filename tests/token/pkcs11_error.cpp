// SPDX-License-Identifier: Apache-2.0
#include "token/pkcs11_support.hpp"

namespace {

/// pkcs11.md, "Error → what to do", row by row, and some of "everything else".
struct {
  CK_RV rv;
  Reaction reaction;
} const reactions[] = {
    {CKR_SESSION_HANDLE_INVALID, Reaction::reopen_session},
    {CKR_SESSION_CLOSED, Reaction::reopen_session},
    {CKR_USER_NOT_LOGGED_IN, Reaction::login_again},
    {CKR_OBJECT_HANDLE_INVALID, Reaction::resolve_again},
    {CKR_KEY_HANDLE_INVALID, Reaction::resolve_again},
    {CKR_WRAPPING_KEY_HANDLE_INVALID, Reaction::resolve_again},
    {CKR_UNWRAPPING_KEY_HANDLE_INVALID, Reaction::resolve_again},
    {CKR_DEVICE_ERROR, Reaction::back_off},
    {CKR_DEVICE_REMOVED, Reaction::back_off},
    {CKR_TOKEN_NOT_PRESENT, Reaction::back_off},
    {CKR_FUNCTION_FAILED, Reaction::back_off},
    {CKR_GENERAL_ERROR, Reaction::back_off},
    {CKR_CRYPTOKI_NOT_INITIALIZED, Reaction::initialise_again},
    {CKR_DEVICE_MEMORY, Reaction::resource_exhausted},
    {CKR_SESSION_COUNT, Reaction::resource_exhausted},
    {CKR_PIN_INCORRECT, Reaction::never_retry},
    {CKR_PIN_LOCKED, Reaction::never_retry},
    {CKR_PIN_EXPIRED, Reaction::never_retry},
    {CKR_OPERATION_ACTIVE, Reaction::close_session},
    {CKR_KEY_NOT_WRAPPABLE, Reaction::not_retryable},
    {CKR_MECHANISM_INVALID, Reaction::not_retryable},
    {CKR_HOST_MEMORY, Reaction::not_retryable},
    {CKR_VENDOR_DEFINED | 1, Reaction::not_retryable},
};

}  // namespace

TEST_CASE("every error has the reaction of the table") {
  for (const auto& row : reactions) {
    CAPTURE(rv_name(row.rv));
    CHECK(reaction_to(row.rv) == row.reaction);
    CHECK(Error("C_X", row.rv).reaction() == row.reaction);
  }
}

TEST_CASE("an error names function, code and object") {
  const Error bare("C_WrapKey", CKR_KEY_NOT_WRAPPABLE);
  CHECK(std::string(bare.what()) == "C_WrapKey: CKR_KEY_NOT_WRAPPABLE");
  const Error named = bare.about("key 7f3c");
  CHECK(std::string(named.what()) == "C_WrapKey: CKR_KEY_NOT_WRAPPABLE (key 7f3c)");
  CHECK(named.function() == "C_WrapKey");
  CHECK(named.rv() == CKR_KEY_NOT_WRAPPABLE);
  CHECK(named.object() == "key 7f3c");
}

TEST_CASE("constants have their names, and a number where they have none") {
  CHECK(rv_name(CKR_PIN_INCORRECT) == "CKR_PIN_INCORRECT");
  CHECK(rv_name(0x80000001) == "CKR_0x80000001");
  CHECK(mechanism_name(0x2109) == "CKM_AES_KEY_WRAP");
  CHECK(mechanism_name(0x210A) == "CKM_AES_KEY_WRAP_PAD");
  CHECK(mechanism_name(0x210B) == "CKM_AES_KEY_WRAP_KWP");
  CHECK(mechanism_name(0x80000170) == "CKM_0x80000170");
  CHECK(attribute_name(CKA_WRAP_TEMPLATE) == "CKA_WRAP_TEMPLATE");
  CHECK(attribute_name(0x80000002) == "CKA_0x80000002");
}
