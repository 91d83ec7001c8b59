// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/error.hpp"

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace pkcs11 {

namespace {

struct Row {
  Reaction reaction;
  std::initializer_list<CK_RV> answers;
};

/// Reactions to codes. A code that has no row is the caller's error.
constexpr Row table[] = {
    {Reaction::reopen_session, {CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED}},
    {Reaction::login_again, {CKR_USER_NOT_LOGGED_IN}},
    // PKCS#11 2.40 section 5.13: C_WrapKey and C_UnwrapKey have codes of their own for it.
    {Reaction::resolve_again,
     {CKR_OBJECT_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID, CKR_WRAPPING_KEY_HANDLE_INVALID,
      CKR_UNWRAPPING_KEY_HANDLE_INVALID}},
    {Reaction::back_off,
     {CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_FUNCTION_FAILED,
      CKR_GENERAL_ERROR}},
    {Reaction::initialise_again, {CKR_CRYPTOKI_NOT_INITIALIZED}},
    {Reaction::resource_exhausted, {CKR_DEVICE_MEMORY, CKR_SESSION_COUNT}},
    {Reaction::never_retry, {CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_PIN_EXPIRED}},
    {Reaction::close_session, {CKR_OPERATION_ACTIVE}},
};

std::string describe(const std::string& function, CK_RV rv, const std::string& object) {
  return function + ": " + rv_name(rv) + (object.empty() ? "" : " (" + object + ")");
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
  const auto* const row = std::ranges::find_if(table, [rv](const Row& each) {
    return std::ranges::find(each.answers, rv) != each.answers.end();
  });
  return row == std::end(table) ? Reaction::not_retryable : row->reaction;
}

}  // namespace pkcs11
