// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <set>

#include "lifecycle/group_commit.hpp"
#include "policy/policy.hpp"
#include "registry/handover_tables.hpp"
#include "smets1kms/key_manager.hpp"
#include "trail/checkpoint_log.hpp"
#include "trail/record_writer.hpp"
#include "vault/token_connection.hpp"
#include "vault/vault.hpp"

namespace smets1kms::lifecycle {

namespace op = audit::op;
namespace setting = registry::setting;

using audit::Field;
using Phase = trail::RecordWriter::Phase;

/// Kind of the operations that end a former storage key; their detail is the key's CKA_ID.
inline constexpr std::string_view token_key_destruction = "token-key.destroy";

/// Runs a part of an operation: errors of the library get its id.
template <class Part>
auto under_operation(const std::string& id, Part&& part) -> decltype(part()) {
  try {
    return part();
  } catch (Error& error) {
    error.set_operation_id(id);
    throw;
  }
}

/// State that all operations share. The registry and the trail are used under `registry_mutex`, the
/// token outside of it.
struct Context {
  Context(Config config, Callbacks callbacks, vault::Pins pins, registry::Registry opened);
  /// Anchors the last head in the token.
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
  std::atomic<bool> log_is_full = false;  ///< a reader prevented `empty_log`
  /// Unfinished markings of a suspected token's keys; nothing is wrapped meanwhile.
  std::atomic<int> token_suspected = 0;

  /// Rotations that this process began, and a fault left open; under `registry_mutex`.
  std::set<std::string> left_open;

  std::vector<registry::Target> targets;  ///< every handover target, by name and generation
  std::string target_fault;  ///< in what one of them differs from the trail; empty: in nothing

  /// Marks a batch's name, or a single rotation's id, whose results its caller is about to get,
  /// until the returned object is destroyed. Waits for no transaction. `claim_batch` throws Refused
  /// (operation_open) for a name that is marked.
  [[nodiscard]] std::shared_ptr<void> claim(const std::string& name);
  [[nodiscard]] std::shared_ptr<void> claim_batch(const std::string& name);
  /// True if `is_meant` holds for a marked name.
  [[nodiscard]] bool is_running(const std::function<bool(const std::string& name)>& is_meant);

  /// Returns what `work` returns, which reads the registry outside of a transaction.
  template <class Work>
  auto locked(Work&& work) {
    const std::lock_guard lock_registry(registry_mutex);
    return work();
  }
  /// Puts the last head into the token; false where the token does not take it.
  bool anchor_in_token();
  /// Passes an event to the host, if it listens.
  void log(const LogEvent& event) const {
    if (callbacks.log) callbacks.log(event);
  }
  /// Reports to the host how far a call has come; `total` 0: not known.
  void report(std::string_view what, std::uint64_t done, std::uint64_t total = 0) const {
    if (callbacks.progress)
      callbacks.progress({.what = std::string(what), .done = done, .total = total});
  }
  /// Runs `change` in a durable transaction, which changes of other threads may share, and whose
  /// records come under a head that is signed within it: before a token call follows an intent, and
  /// before a result is released. An exception undoes `change`, and is thrown here; `on_refusal`
  /// records a refusal in the place of what was undone.
  void transact(std::function<void()> change, std::function<void(const Refused&)> on_refusal = {}) {
    group_.run({.change = std::move(change), .on_refusal = std::move(on_refusal)});
  }
  /// Does the same for one operation. A refusal is recorded in the place of what `change` had
  /// begun, of the device that `device` is by then, and passed on; every error gets the operation's
  /// id.
  template <class Change>
  auto in_transaction(const trail::AuditContext& act, const std::optional<DeviceId>& device,
                      Change&& change);
  /// Completes a record with these facts, without empty ones, and appends it in the caller's
  /// transaction, as of `moment` where one is given. Returns its index.
  std::int64_t append(audit::Record record, const std::optional<DeviceId>& device,
                      std::initializer_list<std::pair<Field, std::string_view>> facts,
                      const std::optional<Instant>& moment = std::nullopt);
  /// Writes a refusal into the transaction under way: the act, the device it named, the reason.
  void append_refusal(const trail::AuditContext& act, std::optional<DeviceId> device,
                      const Refused& refusal);
  void set_state(Key& key, KeyState to) const;
  /// Empties the write-ahead log after a destruction: secure_delete overwrites pages, but the log
  /// holds their old content.
  void empty_log();
  [[nodiscard]] Device device(DeviceId id);
  [[nodiscard]] Key key(const KeyRef& ref);
  [[nodiscard]] vault::KeyName name(const Key& key, SecuritySuite suite) const;
  /// Returns the operation id that the caller gave, checked, or a new one.
  [[nodiscard]] std::string operation_id(const std::string& given) const;
  /// Returns the context of an operation under the id that the caller gave, or a new one.
  [[nodiscard]] trail::AuditContext act(std::string_view name, const Authority& authority = {},
                                        const std::string& given_id = {}) const {
    return {.name = name, .operation_id = operation_id(given_id), .authority = authority};
  }
  /// Stores an operation under its context's id and name, whose first record has the index
  /// `intent`; one that is done ended by the last record of the caller's transaction.
  void put_operation(const trail::AuditContext& act, std::int64_t intent,
                     registry::Operation operation, std::span<const KeyRef> keys = {});
  /// Ends an operation by the last record of the caller's transaction.
  void end_operation(const std::string& id, OperationState state) {
    registry.end_operation(id, state, static_cast<std::uint64_t>(trail.last_index()));
  }
  /// True if this very request was done under this id before. Throws Refused if the id was used for
  /// another one.
  [[nodiscard]] bool is_repeat(const std::string& id, std::string_view kind,
                               const registry::Hash& digest);

 private:
  std::shared_ptr<void> add_running(const std::string& name);
  std::mutex running_mutex_;
  std::multiset<std::string> running_;
  void commit_group(const std::vector<GroupCommit::Member*>& group);
  GroupCommit group_{[this](const auto& group) { commit_group(group); }};
};

template <class Change>
auto Context::in_transaction(const trail::AuditContext& act, const std::optional<DeviceId>& device,
                             Change&& change) {
  constexpr bool is_void = std::is_void_v<decltype(change())>;
  std::conditional_t<is_void, char, std::optional<decltype(change())>> result{};
  under_operation(act.operation_id, [&] {
    transact(
        [&] {
          if constexpr (is_void)
            change();
          else
            result = change();
        },
        [&](const Refused& refusal) { append_refusal(act, device, refusal); });
  });
  if constexpr (!is_void) return *std::move(result);
}

}  // namespace smets1kms::lifecycle
