#pragma once
#include <memory>
#include <mutex>

#include "lifecycle/trail.hpp"
#include "pkcs11/pool.hpp"
#include "registry/registry.hpp"
#include "smets1kms/key_manager.hpp"
#include "vault/token_vault.hpp"

namespace smets1kms::lifecycle {

/// Settings that name the CKA_ID of the import key pair and of the enrolment key.
inline constexpr std::string_view import_key_setting = "import_key", enrolment_key_setting = "enrolment_key";

/// Loads the configuration's module (and sets what its environment needs). Once a process: see pkcs11::Module.
/// Throws TokenUnavailable, BadInput.
[[nodiscard]] std::shared_ptr<pkcs11::Module> load_module(const Config& config);
/// A PIN that is to come from a descriptor: the descriptor must be open before this process opens files of its own, or
/// one of those is read as a PIN. Throws TokenUnavailable, BadInput.
void check_pin_descriptor(const std::optional<std::string>& pin_source, const Config& config);
/// The same for the user's PIN, as token.uri says it.
void check_pin_descriptor(const Config& config);

/// "SoftHSM v2/smets1-demo/5a4bd1…": a token's model, label and serial, for the trail.
[[nodiscard]] std::string identity_of(const pkcs11::TokenInfo& token);

/// On what terms the configuration's token is used, by its profile. Throws TokenUnavailable, before any PIN is tried, where
/// no profile fits, where it says that the token can't be used, and for officer's enrolment where no officer can mark keys
/// trusted; BadInput for a profile that there is not.
[[nodiscard]] vault::Terms terms_for(pkcs11::Module& module, const Config& config);

/// The service's link to the token: module, token found, the user logged in once.
class TokenLink {
 public:
  /// Throws TokenUnavailable, BadInput.
  TokenLink(std::shared_ptr<pkcs11::Module> module, const Config& config, const Surroundings& surroundings);
  /// Finalises the module; it is in main's scope, by KeyManager's contract.
  ~TokenLink();
  [[nodiscard]] pkcs11::Pool& pool() { return *pool_; }
  [[nodiscard]] const vault::Terms& terms() const { return *terms_; }

 private:
  std::shared_ptr<pkcs11::Module> module_;
  std::optional<vault::Terms> terms_;
  std::unique_ptr<pkcs11::Pool> pool_;
};

/// What the operations work with. The registry and the trail are used under `registry_mutex`, the
/// token outside of it.
struct Core {
  Core(Config config, Surroundings surroundings, registry::Registry opened);

  Config config;
  Surroundings surroundings;
  Clock clock;
  registry::WriterLock lock;
  registry::Registry registry;
  std::mutex registry_mutex;
  Trail trail;
  std::unique_ptr<TokenLink> token;
  std::unique_ptr<vault::TokenVault> vault;

  /// Logs the service's user in and makes the vault; on first use of a token, tests its protections.
  /// `module`: one that is loaded already.
  void connect(std::shared_ptr<pkcs11::Module> module);
  /// Runs `change` in one durable transaction. A refusal is recorded, in the same transaction, in the
  /// place of whatever `change` had begun, and passed on.
  template <class Change>
  auto record_change(const Act& act, std::optional<DeviceId> device, Change&& change);
  /// Writes a refusal: the act, the device it named, the rule.
  void record_refusal(const Act& act, std::optional<DeviceId> device, const Refused& refusal);
  void set_state(Key& key, KeyState to) const;
  /// After a destruction: secure_delete overwrites pages, and the write-ahead log that holds their old content is emptied too.
  void empty_log();
  [[nodiscard]] Device device(DeviceId id);
  [[nodiscard]] Key key(const KeyRef& ref);
  [[nodiscard]] vault::KeyName name(const Key& key, SecuritySuite suite) const;
  /// An operation id that the caller gave, checked, or a new one.
  [[nodiscard]] std::string operation_id(const std::string& given) const;
  /// True if this very request was done under this id before. Throws Refused if the id was used for another one.
  [[nodiscard]] bool is_repeat(const std::string& id, std::string_view kind, const registry::Hash& digest);
};

/// The token or the way to it is at fault, not what was asked of it.
[[nodiscard]] bool is_tokens_fault(const pkcs11::Error& error);

/// Runs token calls; what they throw becomes the library's own errors.
template <class Calls>
auto with_token(Calls&& calls) -> decltype(calls()) {
  try {
    return calls();
  } catch (const pkcs11::Error& error) {
    if (is_tokens_fault(error))
      throw TokenUnavailable(std::string("the token failed: ") + error.what() + ". Check it ('smets1-kms doctor'), then run the command again");
    throw RefusedByToken(error.function(), error.rv_name(), error.what());
  } catch (const pkcs11::TokenUnavailable& error) {
    throw TokenUnavailable(error.what());
  } catch (const pkcs11::Forked& error) {
    throw TokenUnavailable(error.what());
  } catch (const pkcs11::BadConfiguration& error) {
    throw BadInput(error.what());
  }
}

template <class Change>
auto Core::record_change(const Act& act, std::optional<DeviceId> device, Change&& change) {
  const std::lock_guard lock_registry(registry_mutex);
  try {
    sqlite::Transaction transaction(registry.database());
    if constexpr (std::is_void_v<decltype(change())>) {
      change();
      transaction.commit();
    } else {
      auto result = change();
      transaction.commit();
      return result;
    }
  } catch (const Refused& refusal) {
    record_refusal(act, device, refusal);
    throw;
  }
}

}  // namespace smets1kms::lifecycle
