// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/error.hpp"

#include <utility>

namespace pkcs11 {

namespace {

struct Row {
  Reaction reaction;
  CK_RV rv;
};

/// Reactions to codes. A code that has no row is the caller's error.
constexpr Row table[] = {
    {Reaction::reopen_session, CKR_SESSION_HANDLE_INVALID},
    {Reaction::reopen_session, CKR_SESSION_CLOSED},

    {Reaction::login_again, CKR_USER_NOT_LOGGED_IN},

    {Reaction::resolve_again, CKR_OBJECT_HANDLE_INVALID},
    {Reaction::resolve_again, CKR_KEY_HANDLE_INVALID},
    // PKCS#11 2.40 section 5.13: C_WrapKey and C_UnwrapKey have codes of their own for it.
    {Reaction::resolve_again, CKR_WRAPPING_KEY_HANDLE_INVALID},
    {Reaction::resolve_again, CKR_UNWRAPPING_KEY_HANDLE_INVALID},

    {Reaction::back_off, CKR_DEVICE_ERROR},
    {Reaction::back_off, CKR_DEVICE_REMOVED},
    {Reaction::back_off, CKR_TOKEN_NOT_PRESENT},
    {Reaction::back_off, CKR_FUNCTION_FAILED},
    {Reaction::back_off, CKR_GENERAL_ERROR},

    {Reaction::initialise_again, CKR_CRYPTOKI_NOT_INITIALIZED},

    {Reaction::resource_exhausted, CKR_DEVICE_MEMORY},
    {Reaction::resource_exhausted, CKR_SESSION_COUNT},

    {Reaction::never_retry, CKR_PIN_INCORRECT},
    {Reaction::never_retry, CKR_PIN_LOCKED},
    {Reaction::never_retry, CKR_PIN_EXPIRED},

    {Reaction::close_session, CKR_OPERATION_ACTIVE},
};

std::string describe(const std::string& function, CK_RV rv, const std::string& object) {
  std::string text = function + ": " + rv_name(rv);
  if (!object.empty()) text += " (" + object + ")";
  return text;
}

}  // namespace

Error::Error(std::string function, CK_RV rv, std::string object)
    : std::runtime_error(describe(function, rv, object)),
      function_(std::move(function)),
      object_(std::move(object)),
      rv_(rv) {}

std::string Error::rv_name() const { return pkcs11::rv_name(rv_); }

Reaction Error::reaction() const { return reaction_to(rv_); }

Reaction reaction_to(CK_RV rv) {
  for (const Row& row : table)
    if (row.rv == rv) return row.reaction;
  return Reaction::not_retryable;
}

}  // namespace pkcs11
