#include "lifecycle/officer.hpp"

#include "lifecycle/operations.hpp"

namespace smets1kms::lifecycle {
namespace {

void login_officer(pkcs11::Session& session, const pkcs11::TokenInfo& token, const pkcs11::PinSource& pin, const Surroundings& surroundings) {
  if ((token.flags & (CKF_SO_PIN_FINAL_TRY | CKF_SO_PIN_LOCKED)) != 0)
    throw TokenUnavailable("the security officer's PIN of token " + token.label +
                           " is locked, or one wrong try from it; it is not tried. Have its vendor's tool reset it");
  const pkcs11::Prompt prompt = [&](const std::string&) {
    if (!surroundings.pin_prompt) throw TokenUnavailable("the security officer's PIN is needed, and there is no way to ask for it; name its source");
    Bytes typed = surroundings.pin_prompt("security officer's PIN of token " + token.label);
    return pkcs11::Secret(typed);
  };
  try {
    session.login(CKU_SO, *pin.read(prompt, token.label));
  } catch (const pkcs11::Error& error) {
    pin.forget();
    throw TokenUnavailable(std::string("the security officer can't log in: ") + error.what() + ". It was tried once");
  }
}

}  // namespace

CeremonySession::CeremonySession(Core& core) : core_(core), module_(load_module(core.config)) {
  try {
    terms_ = terms_for(*module_, core.config);  // a token that can't serve is refused before anybody's PIN is tried
  } catch (...) {
    module_->finalize();
    throw;
  }
  if (core.config.token.enrolment == EnrolmentMode::plain) {
    step_down();
    return;
  }
  with_token([&] {
    try {
      const auto token = module_->find_token(pkcs11::Uri::parse(core.config.token.uri));
      core.trail.set_token(identity_of(token));
      session_ = std::make_unique<pkcs11::Session>(module_, token.slot);
      login_officer(*session_, token, core.pins.officer, core.surroundings);
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
  if (core_.token) return;  // its link finalises the module
  try {
    module_->finalize();
  } catch (const std::exception&) {  // the module is gone; there is nobody left to tell
  }
}

void CeremonySession::step_down() {
  if (core_.token) return;
  // Public session objects outlive the logout: what the officer unwrapped stays in this session, and nowhere else.
  if (officer_) with_token([&] { session_->logout(); });
  core_.connect(module_);
  if (!session_) with_token([&] { session_ = std::make_unique<pkcs11::Session>(module_, core_.token->pool().token().slot); });
  settle(core_);
}

}  // namespace smets1kms::lifecycle
