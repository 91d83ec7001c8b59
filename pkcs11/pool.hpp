// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "pkcs11/pin_source.hpp"
#include "pkcs11/session.hpp"

namespace pkcs11 {

/// Whether a call that failed half-way may be repeated. Session objects: yes. Creating a token
/// object: no, as a lost reply leaves an orphan; look for its CKA_ID first.
enum class Repeat { safe, never };

/// A refusal of the login: by the token, or here because another try could lock it.
struct LoginRefused : TokenUnavailable {
  using TokenUnavailable::TokenUnavailable;
};

struct PoolOptions {
  /// Upper limit, the logged-in one included; lowered to what CK_TOKEN_INFO allows.
  std::size_t max_sessions = 8;
  std::function<void(std::chrono::milliseconds)> sleep;  ///< empty: std::this_thread::sleep_for
};

/// Counts of how often each Reaction was applied in one call of Pool::run.
class RetryBudget {
 public:
  /// Counts a reaction. Returns its count, 1 for the first time.
  int count(Reaction reaction) { return ++counts_.at(static_cast<std::size_t>(reaction)); }
  /// True if the work may be retried because another thread has recovered; a limited number of
  /// times.
  bool recovered_by_others() { return ++by_others_ <= 8; }

 private:
  int by_others_ = 0;
  std::array<int, static_cast<std::size_t>(Reaction::not_retryable) + 1> counts_{};
};

/// Sessions on one token under the user's login. One session stays open and logged in for the
/// pool's life (closing the last session of a process logs it out); the sessions that are leased
/// are opened beside it. Never calls C_Logout.
class Pool {
 public:
  /// Finds the token, refuses if CKF_USER_PIN_FINAL_TRY or CKF_USER_PIN_LOCKED is set, logs in with
  /// one attempt. Throws TokenUnavailable or BadConfiguration.
  Pool(std::shared_ptr<Module> module, Uri uri, PinSource pin, Prompt prompt,
       PoolOptions options = {});
  ~Pool();

  /// A session for one caller, given back on destruction, or closed if it saw a session error.
  class Lease {
   public:
    Lease(Pool& pool, std::unique_ptr<Session> session, std::uint64_t epoch)
        : pool_(&pool), session_(std::move(session)), epoch_(epoch) {}
    Lease(Lease&&) = default;
    ~Lease();
    Session& operator*() { return *session_; }
    Session* operator->() { return session_.get(); }
    void mark_broken() { broken_ = true; }
    /// Returns the pool's epoch at the time of the lease.
    [[nodiscard]] std::uint64_t epoch() const { return epoch_; }

   private:
    Pool* pool_;
    std::unique_ptr<Session> session_;
    std::uint64_t epoch_;
    bool broken_ = false;
  };
  /// Leases a session. Blocks while all are leased or the token is being recovered. Throws Error
  /// where none can be opened.
  [[nodiscard]] Lease lease();

  /// Runs `work` with a session and applies the table of error.cpp: once more after a lost session,
  /// login or handle; back-off for a passing fault; reopen; re-initialise; then TokenUnavailable.
  /// Passes on a fault that stays while the token answers other calls (SoftHSM answers
  /// CKR_GENERAL_ERROR for a corrupt blob). With Repeat::never passes the error on after it has
  /// recovered the session, login or module, so that the next call works.
  template <class Work>
  auto run(Work&& work, Repeat repeat = Repeat::safe) -> decltype(work(std::declval<Session&>()));

  /// True if the token is there. To be asked before a search that found nothing is believed:
  /// SoftHSM whose directory is gone finds nothing and answers CKR_OK. (Work that then throws
  /// Error("C_FindObjects", CKR_TOKEN_NOT_PRESENT) makes `run` recover the token.)
  [[nodiscard]] bool answers();

  /// Returns a number that changes whenever object handles resolved earlier have become void.
  [[nodiscard]] std::uint64_t epoch() const { return epoch_.load(); }
  /// Returns the token as it was when the pool was made; `slot` may have moved since.
  [[nodiscard]] const TokenInfo& token() const { return token_; }
  [[nodiscard]] Module& module() { return *module_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  /// Waits, longer each time (1 for the first), with jitter; for work that retries a part of
  /// itself.
  void back_off(int time);
  /// Returns how often a call waited because of a passing fault: a token that throttles makes it
  /// grow.
  [[nodiscard]] std::uint64_t passing_faults() const { return passing_faults_.load(); }

 private:
  void give_back(std::unique_ptr<Session> session, bool broken, std::uint64_t epoch);
  std::unique_ptr<Session> open_beside(CK_SLOT_ID slot, std::uint64_t generation);
  /// Opens the session that stays open, and logs in where nobody in this process has logged in
  /// (always when `at_start`).
  void open_and_login(bool at_start);
  void login(Session& session, const TokenInfo& now);
  [[nodiscard]] std::size_t fit_capacity() const;
  void invalidate_handles();
  [[nodiscard]] bool has_login();

  /// Repairs what `error` broke; true if the work may be tried again.
  bool recover(const Error& error, RetryBudget& tries, std::uint64_t seen_epoch);
  void recover_only(const Error& error, std::uint64_t seen_epoch) noexcept;
  bool retry_with_backoff(const Error& error, int time, std::uint64_t seen_epoch);
  void resolve(const Error& error, std::uint64_t seen_epoch);
  void reopen(std::uint64_t seen_epoch);
  void forget_login();
  void reinitialise(const Error& error, std::uint64_t seen_epoch);
  [[nodiscard]] std::string name() const;

  std::shared_ptr<Module> module_;
  Uri uri_;
  PinSource pin_source_;
  Prompt prompt_;
  PoolOptions options_;
  std::optional<std::string> pin_refused_;  ///< set for good once the token has refused the PIN
  TokenInfo token_;
  std::size_t capacity_ = 1;
  std::atomic<std::uint64_t> epoch_{1}, passing_faults_{0};
  class Recovery;
  std::mutex recovery_mutex_;  ///< held by the one thread that recovers; taken before mutex_
  std::mutex mutex_;           ///< guards everything below
  std::condition_variable returned_;
  CK_SLOT_ID slot_ = 0;
  std::unique_ptr<Session> logged_in_;  ///< nullptr while the token is lost
  std::vector<std::unique_ptr<Session>> idle_;
  std::size_t leased_ = 0;
  bool closed_for_recovery_ = false;
};

template <class Work>
auto Pool::run(Work&& work, Repeat repeat) -> decltype(work(std::declval<Session&>())) {
  for (RetryBudget tries;;) {
    std::uint64_t seen = epoch();
    std::optional<Error> failure;
    bool begun = false;
    try {
      Lease session = lease();
      begun = true;
      seen = session.epoch();  // waiting for it may have taken long
      try {
        return work(*session);
      } catch (const Error& error) {
        if (error.reaction() != Reaction::not_retryable) session.mark_broken();
        throw;
      }
    } catch (const Error& error) {
      if (error.reaction() == Reaction::not_retryable) throw;
      failure = error;
    }
    if (begun && repeat == Repeat::never) {
      recover_only(*failure, seen);
      throw *failure;
    }
    if (!recover(*failure, tries, seen)) throw *failure;
  }
}

}  // namespace pkcs11
