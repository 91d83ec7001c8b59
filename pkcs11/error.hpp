// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <p11-kit/pkcs11.h>

#include <stdexcept>
#include <string>

namespace pkcs11 {

/// Reaction of a caller to an error, one value for each row of the table in error.cpp.
enum class Reaction {
  reopen_session,  ///< drop this session, open another, once more
  login_again,     ///< log in, forget cached handles, once more
  resolve_again,   ///< the handle is stale: find or unwrap the object again, once more
  back_off,  ///< wait with jitter, two or three times; then reopen; then re-initialise; then report
             ///< the token lost
  initialise_again,    ///< C_Initialize is needed
  resource_exhausted,  ///< no retry: the token has no room
  never_retry,         ///< a PIN was refused: trying again would lock it
  close_session,       ///< an operation is stuck in this session
  not_retryable,       ///< everything else: name the function, the code and the object
};

/// A PKCS#11 call that did not answer CKR_OK. Matchable on function and code.
/// what(): "C_WrapKey: CKR_KEY_NOT_WRAPPABLE (key 7f3c…)".
class Error : public std::runtime_error {
 public:
  Error(std::string function, CK_RV rv, std::string object = {});
  [[nodiscard]] const std::string& function() const { return function_; }
  [[nodiscard]] CK_RV rv() const { return rv_; }
  [[nodiscard]] std::string rv_name() const;
  [[nodiscard]] const std::string& object() const { return object_; }
  [[nodiscard]] Reaction reaction() const;
  /// Returns the same error, said of a named object.
  [[nodiscard]] Error about(std::string object) const {
    return {function_, rv_, std::move(object)};
  }

 private:
  std::string function_, object_;
  CK_RV rv_;
};

/// A token that can't be used: not found, PIN refused, lost, or lacking a mechanism. The message
/// says what was looked for, what there is, and what to do.
struct TokenUnavailable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A module, URI or PIN source that is written wrongly; nothing was tried.
struct BadConfiguration : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A call in a forked child: the parent initialised the module, and its handles are not used here.
struct Forked : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[nodiscard]] Reaction reaction_to(CK_RV rv);
/// Returns "CKR_PIN_INCORRECT"; "CKR_0x80000001" for a code without a name.
[[nodiscard]] std::string rv_name(CK_RV rv);
[[nodiscard]] std::string mechanism_name(CK_MECHANISM_TYPE type);
[[nodiscard]] std::string attribute_name(CK_ATTRIBUTE_TYPE type);

}  // namespace pkcs11
