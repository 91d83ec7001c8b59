// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <p11-kit/pkcs11.h>

#include <cstdint>
#include <map>
#include <mutex>

namespace shim {

/// The sessions that are open through this shim, for a cap on them.
class OpenSessions {
 public:
  /// C_OpenSession with at most `cap` per slot. `attempt` asks the real token and says which
  /// session it gave.
  template <class Attempt>
  CK_RV open(CK_SLOT_ID slot, std::uint64_t cap, Attempt attempt) {
    const std::lock_guard lock(mutex_);
    if (count_of(slot) >= cap) return CKR_SESSION_COUNT;
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    const CK_RV rv = attempt(session);
    if (rv == CKR_OK) slots_[session] = slot;
    return rv;
  }
  void closed(CK_SESSION_HANDLE session) {
    const std::lock_guard lock(mutex_);
    slots_.erase(session);
  }
  void all_closed(CK_SLOT_ID slot) {
    const std::lock_guard lock(mutex_);
    std::erase_if(slots_, [&](const auto& each) { return each.second == slot; });
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    slots_.clear();
  }
  [[nodiscard]] CK_ULONG count(CK_SLOT_ID slot) const {
    const std::lock_guard lock(mutex_);
    return count_of(slot);
  }

 private:
  [[nodiscard]] CK_ULONG count_of(CK_SLOT_ID slot) const {
    CK_ULONG count = 0;
    for (const auto& [session, its_slot] : slots_) count += its_slot == slot ? 1 : 0;
    return count;
  }
  mutable std::mutex mutex_;
  std::map<CK_SESSION_HANDLE, CK_SLOT_ID> slots_;
};

}  // namespace shim
