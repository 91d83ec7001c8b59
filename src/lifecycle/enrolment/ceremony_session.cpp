// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/enrolment/ceremony_session.hpp"

#include "lifecycle/operations.hpp"
#include "lifecycle/startup.hpp"

namespace smets1kms::lifecycle {
namespace {

void login_officer(pkcs11::Session& session, const pkcs11::TokenInfo& token,
                   const pkcs11::PinSource& pin, const Callbacks& callbacks) {
  if ((token.flags & (CKF_SO_PIN_FINAL_TRY | CKF_SO_PIN_LOCKED)) != 0)
    throw TokenUnavailable(
        "the security officer's PIN of token " + token.label +
        " is locked, or one wrong try from it; it is not tried. Have its vendor's tool reset it");
  const pkcs11::Prompt prompt = [&](const std::string&) {
    if (!callbacks.pin_prompt)
      throw TokenUnavailable(
          "the security officer's PIN is needed, and there is no way to ask for it; name its "
          "source");
    Bytes typed = callbacks.pin_prompt("security officer's PIN of token " + token.label);
    return pkcs11::Secret(typed);
  };
  vault::warn_of(pin, callbacks);
  try {
    session.login(CKU_SO, *pin.read(prompt, token.label));
  } catch (const pkcs11::Error& error) {
    pin.forget();
    throw TokenUnavailable(std::string("the security officer can't log in: ") + error.what() +
                           ". It was tried once");
  }
}

}  // namespace

CeremonySession::CeremonySession(Context& context)
    : context_(context), module_(vault::load_module(context.config)) {
  try {
    token_profile_ = vault::token_profile_for(
        *module_,
        context.config);  // a token that can't serve is refused before anybody's PIN is tried
  } catch (...) {
    module_->finalize();
    throw;
  }
  if (context.config.token.enrolment == EnrolmentMode::plain) {
    switch_to_user();
    return;
  }
  vault::with_token([&] {
    try {
      const auto token = module_->find_token(pkcs11::Uri::parse(context.config.token.uri));
      context.trail.set_token(vault::identity_of(token));
      session_ = std::make_unique<pkcs11::Session>(module_, token.slot);
      login_officer(*session_, token, context.pins.officer, context.callbacks);
      officer_ = true;
    } catch (...) {
      session_.reset();
      module_->finalize();
      throw;
    }
  });
}

CeremonySession::~CeremonySession() {
  session_.reset();
  if (context_.token) return;  // its connection finalises the module
  try {
    module_->finalize();
  } catch (const std::exception&) {  // the module is gone; there is nobody left to tell
  }
}

void CeremonySession::switch_to_user() {
  if (context_.token) return;
  // Public session objects outlive the logout: KEKs that the officer unwrapped stay in this
  // session, and nowhere else.
  if (officer_) vault::with_token([&] { session_->logout(); });
  connect(context_, module_);
  if (!session_)
    vault::with_token([&] {
      session_ = std::make_unique<pkcs11::Session>(module_, context_.token->pool().token().slot);
    });
  recover(context_);
}

}  // namespace smets1kms::lifecycle
