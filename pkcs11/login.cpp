// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/pool.hpp"

namespace pkcs11 {

namespace {

/// PKCS#11 2.40 section 3.2, CK_TOKEN_INFO: where one more wrong PIN would do harm, or none can be
/// right.
constexpr std::pair<CK_FLAGS, const char*> refusals[] = {
    {CKF_USER_PIN_LOCKED, "its user PIN is locked; the security officer has to reset it"},
    {CKF_USER_PIN_FINAL_TRY,
     "one more wrong PIN would lock it, so none is tried; log in by hand with the vendor's tool, "
     "which resets the count"},
    {CKF_USER_PIN_TO_BE_CHANGED, "its user PIN has to be changed first, with the vendor's tool"},
};

}  // namespace

/// A PIN is tried once. The token answers CKR_USER_ALREADY_LOGGED_IN whatever the PIN, when this
/// process is logged in: then the login is used as it is.
void Pool::login(Session& session, const TokenInfo& now) {
  if (pin_refused_) throw LoginRefused(*pin_refused_);
  for (const auto& [flag, why] : refusals)
    if ((now.flags & flag) != 0) throw LoginRefused(name() + ": " + why);

  try {
    session.login(CKU_USER, *pin_source_.read(prompt_, token_.label));
  } catch (const Error& error) {
    const Reaction reaction = error.reaction();
    if (reaction != Reaction::never_retry && reaction != Reaction::not_retryable) throw;
    pin_refused_ = name() + " refused the PIN (" + error.what() +
                   "); it is not tried again. Correct the PIN, then start the program again.";
    pin_source_.forget();
    throw LoginRefused(*pin_refused_);
  }
  const CK_STATE state = session.state();
  if (state != CKS_RW_USER_FUNCTIONS && state != CKS_RO_USER_FUNCTIONS)
    throw LoginRefused(name() + ": somebody else than the user is logged in, in this process");
}

}  // namespace pkcs11
