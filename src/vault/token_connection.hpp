// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>

#include "audit/record.hpp"
#include "pkcs11/pool.hpp"
#include "smets1kms/callbacks.hpp"
#include "smets1kms/config.hpp"
#include "smets1kms/errors.hpp"
#include "vault/templates.hpp"

namespace smets1kms::vault {

/// Loads the configuration's module (and sets what its environment needs). To be called once a
/// process: see pkcs11::Module. Throws TokenUnavailable, BadInput.
[[nodiscard]] std::shared_ptr<pkcs11::Module> load_module(const Config& config);
/// Sources of the PINs: the service's user's as token.uri says it, the security officer's for a
/// ceremony.
struct Pins {
  pkcs11::PinSource user, officer;
};
/// Returns the sources. `officer`: `file:…` (from the working directory), `fd:N`, empty: the
/// prompt. A descriptor must be open before this process opens files of its own, or one of those is
/// read as a PIN. Throws TokenUnavailable, BadInput.
[[nodiscard]] Pins pins_of(const Config& config, const std::string& officer = {});

/// Logs what an operator should know of a PIN's file.
void warn_of(const pkcs11::PinSource& pin, const Callbacks& callbacks);

/// Returns "SoftHSM v2/smets1-demo/5a4bd1…": a token's model, label and serial, for the trail.
[[nodiscard]] std::string identity_of(const pkcs11::TokenInfo& token);

/// Returns the terms on which the configuration's token is used, by its profile. Throws
/// TokenUnavailable, before any PIN is tried, where no profile fits, where it says that the token
/// can't be used, and for officer's enrolment where no officer can mark keys trusted; BadInput for
/// an unknown profile.
[[nodiscard]] vault::TokenProfile token_profile_for(pkcs11::Module& module, const Config& config);

/// The service's connection to the token: module, token found, the user logged in once.
class TokenConnection {
 public:
  /// Connects. Throws TokenUnavailable, BadInput.
  TokenConnection(std::shared_ptr<pkcs11::Module> module, const Config& config,
                  const pkcs11::PinSource& pin, const Callbacks& callbacks);
  /// Finalises the module; it is in main's scope, by KeyManager's contract.
  ~TokenConnection();
  [[nodiscard]] pkcs11::Pool& pool() { return *pool_; }
  [[nodiscard]] const vault::TokenProfile& token_profile() const { return *token_profile_; }

 private:
  std::shared_ptr<pkcs11::Module> module_;
  std::optional<vault::TokenProfile> token_profile_;
  std::unique_ptr<pkcs11::Pool> pool_;
};

/// True if the token or the way to it is at fault, not what was asked of it.
[[nodiscard]] bool is_tokens_fault(const pkcs11::Error& error);

/// Runs token calls; their exceptions become the library's own errors.
template <class Calls>
auto with_token(Calls&& calls) -> decltype(calls()) {
  try {
    return calls();
  } catch (const pkcs11::Error& error) {
    if (is_tokens_fault(error))
      throw TokenUnavailable(std::string("the token failed: ") + error.what() +
                             ". Check it ('smets1-kms doctor'), then run the command again");
    throw RefusedByToken(error.function(), error.rv_name(), error.what());
  } catch (const pkcs11::TokenUnavailable& error) {
    throw TokenUnavailable(error.what());
  } catch (const pkcs11::Forked& error) {
    throw TokenUnavailable(error.what());
  } catch (const pkcs11::BadConfiguration& error) {
    throw BadInput(error.what());
  }
}

}  // namespace smets1kms::vault
