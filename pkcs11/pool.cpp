// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/pool.hpp"

#include <algorithm>
#include <utility>

namespace pkcs11 {

namespace {

bool is_user(CK_STATE state) {
  return state == CKS_RW_USER_FUNCTIONS || state == CKS_RO_USER_FUNCTIONS;
}

/// Flags of CK_TOKEN_INFO (PKCS#11 2.40 section 3.2) with which one more wrong PIN would do harm,
/// or no PIN can be right.
constexpr std::pair<CK_FLAGS, const char*> refusals[] = {
    {CKF_USER_PIN_LOCKED, "its user PIN is locked; the security officer has to reset it"},
    {CKF_USER_PIN_FINAL_TRY,
     "one more wrong PIN would lock it, so none is tried; log in by hand with the vendor's tool, "
     "which resets the count"},
    {CKF_USER_PIN_TO_BE_CHANGED, "its user PIN has to be changed first, with the vendor's tool"},
};

}  // namespace

Pool::Pool(std::shared_ptr<Module> module, Uri uri, PinSource pin, Prompt prompt,
           PoolOptions options)
    : module_(std::move(module)),
      uri_(std::move(uri)),
      pin_source_(std::move(pin)),
      prompt_(std::move(prompt)),
      options_(std::move(options)) {
  try {
    token_ = module_->find_token(uri_);
    capacity_ = fit_capacity();
    open_and_login(true);
  } catch (const Error& error) {
    throw TokenUnavailable(name() + " can't be used: " + error.what());
  }
}

Pool::~Pool() = default;

std::string Pool::name() const {
  return "token \"" + token_.label + "\" (" + uri_.printable() + ")";
}

/// Returns how many sessions may be leased beside the one that stays open.
std::size_t Pool::fit_capacity() const {
  std::size_t sessions = std::max<std::size_t>(options_.max_sessions, 2);
  for (const auto& limit : {token_.max_sessions, token_.max_rw_sessions})
    if (limit) sessions = std::min(sessions, *limit);
  if (sessions < 2) throw TokenUnavailable(name() + " allows one session only; two are needed");
  return sessions - 1;
}

Pool::Lease::~Lease() {
  if (!session_) return;
  const bool broken = broken_ || session_->operation_active();
  pool_->give_back(std::move(session_), broken, epoch_);
}

Pool::Lease Pool::lease() {
  module_->check_process();  // before a lock that another thread may have held when this process
                             // was forked
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [this] { return leased_ < capacity_ && !closed_for_recovery_; });
  if (!logged_in_) throw Error("C_OpenSession", CKR_TOKEN_NOT_PRESENT, name());
  const std::uint64_t epoch = epoch_;
  ++leased_;
  if (!idle_.empty()) {
    std::unique_ptr<Session> session = std::move(idle_.back());
    idle_.pop_back();
    return {*this, std::move(session), epoch};
  }
  const CK_SLOT_ID slot = slot_;
  const std::uint64_t generation = logged_in_->generation();
  lock.unlock();
  return {*this, open_beside(slot, generation), epoch};
}

/// Opens a session to lease. Another initialisation of the module gives the numbers of sessions and
/// objects anew, which makes the known ones void: `generation` then makes it a lost session.
std::unique_ptr<Session> Pool::open_beside(CK_SLOT_ID slot, std::uint64_t generation) {
  try {
    auto session = std::make_unique<Session>(module_, slot, generation);
    // A search without a login finds no private object, and does not say why.
    if (!is_user(session->state())) throw Error("C_OpenSession", CKR_USER_NOT_LOGGED_IN, name());
    return session;
  } catch (const Error& error) {
    give_back(nullptr, true, 0);
    // The slot was found by its token, so it is the token that has gone.
    if (error.rv() == CKR_SLOT_ID_INVALID)
      throw Error("C_OpenSession", CKR_TOKEN_NOT_PRESENT, name());
    throw;
  } catch (...) {
    give_back(nullptr, true, 0);
    throw;
  }
}

void Pool::give_back(std::unique_ptr<Session> session, bool broken, std::uint64_t epoch) {
  {
    const std::lock_guard lock(mutex_);
    --leased_;
    if (!broken && epoch == epoch_) idle_.push_back(std::move(session));
  }
  returned_.notify_one();
}  // a session that was not kept is closed here, outside the lock

void Pool::open_and_login(bool at_start) {
  const TokenInfo now = module_->find_token(uri_);  // slots move, flags change
  auto session = std::make_unique<Session>(module_, now.slot);
  if (at_start || !is_user(session->state())) login(*session, now);
  const std::lock_guard lock(mutex_);
  slot_ = now.slot;
  logged_in_.swap(session);
}  // closes the earlier one after the new one is open: the last session to close would log out

/// Tries a PIN once. The token answers CKR_USER_ALREADY_LOGGED_IN, whatever the PIN, when this
/// process is logged in; that login is then used as it is.
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
  if (!is_user(session.state()))
    throw LoginRefused(name() + ": somebody else than the user is logged in, in this process");
}

void Pool::invalidate_handles() {
  std::vector<std::unique_ptr<Session>> closing;
  const std::lock_guard lock(mutex_);
  ++epoch_;
  closing.swap(idle_);
}

}  // namespace pkcs11
