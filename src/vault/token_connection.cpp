// SPDX-License-Identifier: Apache-2.0
#include "vault/token_connection.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/one_of.hpp"

namespace smets1kms::vault {
namespace {

pkcs11::Prompt prompt_of(const Callbacks& callbacks) {
  if (!callbacks.pin_prompt) return {};
  return [ask = callbacks.pin_prompt](const std::string& what) {
    Bytes typed = ask(what);
    return pkcs11::Secret(typed);
  };
}

}  // namespace

std::shared_ptr<pkcs11::Module> load_module(const Config& config) {
  // SoftHSM finds its configuration by an environment variable, read when the module is loaded.
  for (const auto& [name, value] : config.token.environment)
    ::setenv(name.c_str(), value.c_str(), 1);
  return with_token([&] {
    return pkcs11::Module::load({config.token.module, config.token.init_reserved});
  });
}

Pins pins_of(const Config& config, const std::string& officer) {
  return with_token([&] {
    Pins pins{.user = pkcs11::PinSource::parse(pkcs11::Uri::parse(config.token.uri).pin_source(),
                                               config.file.parent_path().string()),
              .officer = officer.empty() ? pkcs11::PinSource()
                                         : pkcs11::PinSource::parse(
                                               officer, std::filesystem::current_path().string())};
    for (const auto* source : {&pins.user, &pins.officer})
      if (source->kind == pkcs11::PinSource::Kind::descriptor &&
          ::fcntl(source->descriptor, F_GETFD) < 0)
        throw TokenUnavailable(
            "the PIN is to come from fd:" + std::to_string(source->descriptor) +
            ", which is not open; give it, as in: " + std::to_string(source->descriptor) + "<FILE");
    return pins;
  });
}

void warn_of(const pkcs11::PinSource& pin, const Callbacks& callbacks) {
  const auto warning = pin.warning();
  if (!warning.empty() && callbacks.log)
    callbacks.log({.level = LogLevel::warning, .event = "pin-file-shared", .text = warning});
}

std::string identity_of(const pkcs11::TokenInfo& token) {
  return audit::printable(token.model + "/" + token.label + "/" + token.serial, 120);
}

vault::TokenProfile token_profile_for(pkcs11::Module& module, const Config& config) {
  return with_token([&] {
    const auto& wanted = config.token;
    const auto token = module.find_token(pkcs11::Uri::parse(wanted.uri));
    vault::TokenProfile token_profile{
        wanted.enrolment,
        vault::choose_profile(wanted.profile, config.file.parent_path(), module.info(), token)};
    const auto& profile = token_profile.profile;
    const std::string who = "token \"" + token.label + "\" is refused by its profile " +
                            profile.name + " (" +
                            std::string(to_string(profile.facts.at("usable").evidence)) + "): ";
    // A token that protects nothing may serve in a laboratory; one that can't wrap a key serves
    // nowhere.
    if (!profile.usable.empty() &&
        (!wanted.unprotected_for_testing || profile.key_wrap == CK_UNAVAILABLE_INFORMATION))
      throw TokenUnavailable(who + profile.usable + ". Use another token");
    if (wanted.enrolment == EnrolmentMode::officer &&
        profile.trust_by != vault::TrustBy::security_officer)
      throw TokenUnavailable("token \"" + token.label +
                             "\": enrolment = \"officer\" needs a security officer who can mark a "
                             "key trusted; by profile " +
                             profile.name + " (" +
                             std::string(to_string(profile.facts.at("trust_by").evidence)) +
                             ") that is: " + std::string(to_string(profile.trust_by)) +
                             ". Set enrolment = \"plain\"; doctor says what is lost");
    return token_profile;
  });
}

TokenConnection::TokenConnection(std::shared_ptr<pkcs11::Module> module, const Config& config,
                                 const pkcs11::PinSource& pin, const Callbacks& callbacks)
    : module_(std::move(module)) {
  try {
    token_profile_ = token_profile_for(*module_, config);
    const auto sessions =
        std::min(config.token.sessions,
                 token_profile_->profile.max_sessions.value_or(config.token.sessions));
    with_token([&] {
      const auto uri = pkcs11::Uri::parse(config.token.uri);
      warn_of(pin, callbacks);
      pool_ = std::make_unique<pkcs11::Pool>(
          module_, uri, pin, prompt_of(callbacks),
          pkcs11::PoolOptions{.max_sessions = sessions, .sleep = {}});
    });
  } catch (...) {
    module_->finalize();
    throw;
  }
}

TokenConnection::~TokenConnection() {
  pool_.reset();
  try {
    module_->finalize();
  } catch (const std::exception&) {  // the module is gone; there is nobody left to tell
  }
}

bool is_tokens_fault(const pkcs11::Error& error) {
  return is_one_of(error.rv(), CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, CKR_DEVICE_MEMORY,
                   CKR_HOST_MEMORY, CKR_TOKEN_NOT_PRESENT, CKR_CRYPTOKI_NOT_INITIALIZED,
                   CKR_FUNCTION_FAILED, CKR_SESSION_COUNT, CKR_SESSION_CLOSED,
                   CKR_SESSION_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN);
}

}  // namespace smets1kms::vault
