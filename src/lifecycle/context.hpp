// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <memory>
#include <mutex>

#include "policy/policy.hpp"
#include "registry/registry.hpp"
#include "smets1kms/key_manager.hpp"
#include "trail/checkpoint_log.hpp"
#include "trail/record_writer.hpp"
#include "vault/token_connection.hpp"
#include "vault/vault.hpp"

namespace smets1kms::lifecycle {

/// Settings that name the CKA_ID of the import key pair and of the enrolment key.
inline constexpr std::string_view import_key_setting = "import_key",
                                  enrolment_key_setting = "enrolment_key";

/// When the last device-head map was made, ms since 1970.
inline constexpr std::string_view map_time_setting = "audit.device_map_at";
/// Operations that end a former audit key, a former storage key; their detail is the key's CKA_ID.
inline constexpr std::string_view audit_key_destruction = "audit-key.destroy",
                                  token_key_destruction = "token-key.destroy";
/// The one that destroys devices' keys.
inline constexpr std::string_view key_destruction = "key.destroy";

/// When what a transaction recorded comes under a signed head.
enum class SignCheckpoint : std::uint8_t {
  now,       ///< before anything of it is released
  deferred,  ///< an intent: nothing is released of it
};

/// What the operations work with. The registry and the trail are used under `registry_mutex`, the
/// token outside of it.
struct Context {
  Context(Config config, Callbacks callbacks, vault::Pins pins, registry::Registry opened);
  /// The last head is anchored in the token.
  ~Context();

  Config config;
  Callbacks callbacks;
  vault::Pins pins;
  Clock clock;
  registry::WriterLock lock;
  registry::Registry registry;
  std::mutex registry_mutex;
  policy::Policy policy;
  trail::RecordWriter trail;
  std::shared_ptr<vault::TokenConnection> token;
  trail::CheckpointLog checkpoints;
  std::unique_ptr<vault::Vault> vault;
  std::atomic<bool> log_is_full = false;  ///< a reader was in the way of `empty_log`
  std::atomic<int> token_suspected = 0;  ///< how many markings of a suspected token's keys have not
                                         ///< ended: nothing is wrapped meanwhile

  /// Logs the service's user in and makes the vault; on first use of a token, tests its
  /// protections. `module`: one that is loaded already. `after_restore`: who takes a registry that
  /// is older than its anchors.
  void connect(std::shared_ptr<pkcs11::Module> module, const Authority* after_restore = nullptr);
  /// Nothing is released before it is under a signed head. Throws StorageError where 'init' has not
  /// ended.
  void require_signed_trail() const;
  /// Has the vault look for the storage keys that the settings name. Throws TokenUnavailable naming
  /// one that is not as it must be.
  void use_storage_keys();
  /// Those that the newest has replaced, with how many keys are under each.
  [[nodiscard]] std::vector<StorageUse> older_storage_keys(std::string_view setting);
  /// Keys under one storage key, in order, behind `after`.
  [[nodiscard]] std::vector<Key> sealed_under(const KeyId& storage, const std::optional<Key>& after,
                                              std::size_t most);
  /// Throws StorageError where new keys are to be sealed and 'init' has not made the storage keys.
  void require_storage_keys() const;
  /// The last head goes into the token. False: it does not take it.
  bool anchor_in_token();
  /// Tells the host, if it listens.
  void log(const LogEvent& event) const {
    if (callbacks.log) callbacks.log(event);
  }
  /// A transaction for a change and its records.
  [[nodiscard]] sqlite::Transaction begin();
  /// Ends a transaction: everything recorded is durable, and under a signed head where the token is
  /// connected.
  void commit(sqlite::Transaction& transaction, SignCheckpoint sealed = SignCheckpoint::now);
  /// Runs `change` in one durable transaction. A refusal is recorded, in the same transaction, in
  /// the place of whatever `change` had begun, and passed on.
  template <class Change>
  auto in_transaction(const trail::AuditContext& act, std::optional<DeviceId> device,
                      Change&& change, SignCheckpoint sealed = SignCheckpoint::now);
  /// Writes a refusal: the act, the device it named, the rule. The first is part of the caller's
  /// transaction.
  void append_refusal(const trail::AuditContext& act, std::optional<DeviceId> device,
                      const Refused& refusal);
  void commit_refusal(const trail::AuditContext& act, std::optional<DeviceId> device,
                      const Refused& refusal);
  void set_state(Key& key, KeyState to) const;
  /// After a destruction: secure_delete overwrites pages, and the write-ahead log that holds their
  /// old content is emptied too.
  void empty_log();
  [[nodiscard]] Device device(DeviceId id);
  [[nodiscard]] Key key(const KeyRef& ref);
  [[nodiscard]] vault::KeyName name(const Key& key, SecuritySuite suite) const;
  /// An operation id that the caller gave, checked, or a new one.
  [[nodiscard]] std::string operation_id(const std::string& given) const;
  /// True if this very request was done under this id before. Throws Refused if the id was used for
  /// another one.
  [[nodiscard]] bool is_repeat(const std::string& id, std::string_view kind,
                               const registry::Hash& digest);
};

template <class Change>
auto Context::in_transaction(const trail::AuditContext& act, std::optional<DeviceId> device,
                             Change&& change, SignCheckpoint sealed) {
  const std::lock_guard lock_registry(registry_mutex);
  try {
    sqlite::Transaction transaction = begin();
    if constexpr (std::is_void_v<decltype(change())>) {
      change();
      commit(transaction, sealed);
    } else {
      auto result = change();
      commit(transaction, sealed);
      return result;
    }
  } catch (const Refused& refusal) {
    commit_refusal(act, device, refusal);
    throw;
  }
}

}  // namespace smets1kms::lifecycle
