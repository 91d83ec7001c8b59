// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <thread>

#include "pkcs11/pool.hpp"

namespace pkcs11 {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_wait{50};
constexpr int waits = 3;  ///< number of them, each three times as long as the one before
constexpr int reinitialise_after = waits + 1;

/// Adds jitter, so that callers that failed together do not come back together.
milliseconds with_jitter(milliseconds wait) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return milliseconds(std::uniform_int_distribution<milliseconds::rep>(
      wait.count() / 2, wait.count() * 3 / 2)(random));
}

}  // namespace

/// Scope in which one thread recovers and no session is leased.
class Pool::Recovery {
 public:
  explicit Recovery(Pool& pool) : pool_(pool), alone_(pool.recovery_mutex_) { close(true); }
  Recovery(const Recovery&) = delete;
  Recovery& operator=(const Recovery&) = delete;
  ~Recovery() {
    close(false);
    pool_.returned_.notify_all();
  }

 private:
  void close(bool closed) {
    const std::lock_guard lock(pool_.mutex_);
    pool_.closed_for_recovery_ = closed;
  }
  Pool& pool_;
  std::lock_guard<std::mutex> alone_;
};

void Pool::back_off(int time) {
  ++passing_faults_;
  milliseconds wait = first_wait;
  for (int i = 1; i < time; ++i) wait *= 3;
  wait = with_jitter(wait);
  if (options_.sleep)
    options_.sleep(wait);
  else
    std::this_thread::sleep_for(wait);
}

/// Applies the table of error.cpp, each remedy once in a call of `run`.
bool Pool::recover(const Error& error, RetryBudget& tries, std::uint64_t seen_epoch) {
  const Reaction reaction = error.reaction();
  if (reaction < Reaction::resource_exhausted && epoch() != seen_epoch &&
      tries.recovered_by_others())
    return true;
  const int time = tries.count(reaction);
  switch (reaction) {
    case Reaction::reopen_session:
    case Reaction::login_again: {
      // Where no session could be opened, the work has not been tried at all.
      const bool again = time <= (error.function() == "C_OpenSession" ? 3 : 1);
      if (again) reopen(seen_epoch);
      return again;
    }
    case Reaction::resolve_again:
      if (time == 1) resolve(error, seen_epoch);
      return time == 1;
    case Reaction::initialise_again:
      if (time == 1) reinitialise(error, seen_epoch);
      return time == 1;
    case Reaction::back_off: return retry_with_backoff(error, time, seen_epoch);
    case Reaction::close_session:  // its lease has closed it
      return time == 1;
    case Reaction::resource_exhausted:
    case Reaction::never_retry:
    case Reaction::not_retryable: return false;
  }
  return false;
}

/// Recovers after work that may not be repeated. Its caller gets the token's error, whether or not
/// the token could be recovered.
void Pool::recover_only(const Error& error, std::uint64_t seen_epoch) noexcept {
  try {
    if (error.reaction() == Reaction::back_off) {
      back_off(1);
      if (!answers()) reinitialise(error, seen_epoch);
      return;
    }
    RetryBudget tries;
    (void)recover(error, tries, seen_epoch);
  } catch (...) {  // the next call meets the fault again
  }
}

bool Pool::retry_with_backoff(const Error& error, int time, std::uint64_t seen_epoch) {
  if (time > reinitialise_after)
    throw TokenUnavailable(name() + " is lost: " + error.what() +
                           "; waiting, new sessions and a new initialisation did not help. Check "
                           "the token and its network.");
  if (time < reinitialise_after) {
    back_off(time);
    if (time == waits || !has_login()) reopen(seen_epoch);
    return true;
  }
  if (answers()) return false;  // then the token refuses this one call only
  reinitialise(error, seen_epoch);
  return true;
}

bool Pool::has_login() {
  const std::lock_guard lock(mutex_);
  return logged_in_ != nullptr;
}

bool Pool::answers() {
  CK_SLOT_ID slot = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!logged_in_) return false;
    slot = slot_;
  }
  try {
    (void)module_->find_token(uri_);
    Session probe(module_, slot);
    (void)probe.random(8);  // cheap, and not answered by the host's half of a network HSM
    return true;
  } catch (const Error& error) {
    return error.reaction() == Reaction::resource_exhausted;
  } catch (const TokenUnavailable&) {
    return false;
  }
}

/// Recovers from a stale handle, or from the loss of the token, for which a token may have the same
/// code.
void Pool::resolve(const Error& error, std::uint64_t seen_epoch) {
  if (!answers()) return reinitialise(error, seen_epoch);
  const Recovery recovering(*this);
  if (epoch() == seen_epoch) invalidate_handles();
}

/// Opens the session that stays open anew, in one thread; the others find the epoch changed and try
/// again. A failure is not reported here, as the next call finds no login and goes on to the next
/// remedy; a refused PIN is.
void Pool::reopen(std::uint64_t seen_epoch) {
  const Recovery recovering(*this);
  if (epoch() != seen_epoch) return;
  invalidate_handles();
  try {
    open_and_login(false);
    return;
  } catch (const LoginRefused&) {
    forget_login();
    throw;
  } catch (const Error&) {
  } catch (const TokenUnavailable&) {
  }
  forget_login();
}

void Pool::forget_login() {
  std::unique_ptr<Session> closing;
  const std::lock_guard lock(mutex_);
  closing.swap(logged_in_);
}

void Pool::reinitialise(const Error& error, std::uint64_t seen_epoch) {
  const Recovery recovering(*this);
  if (epoch() != seen_epoch) return;
  // After another pool's initialisation of the module its sessions are left alone.
  const std::uint64_t generation = logged_in_ ? logged_in_->generation() : module_->generation();
  forget_login();
  invalidate_handles();
  std::string failure;
  try {
    module_->reinitialize(generation);
    open_and_login(false);
  } catch (const LoginRefused&) {
    throw;
  } catch (const Error& again) {
    failure = again.what();
  } catch (const TokenUnavailable& again) {
    failure = again.what();
  }
  invalidate_handles();  // callers that came meanwhile try again
  if (!failure.empty())
    throw TokenUnavailable(name() + " is lost: " + error.what() +
                           "; after a new initialisation: " + failure);
}

}  // namespace pkcs11
