// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>

#include "lifecycle/context.hpp"
#include "pkcs11/session.hpp"

namespace smets1kms::lifecycle {

/// The session of a ceremony. Officer's enrolment: it begins with the security officer logged in;
/// `switch_to_user` logs him out and the service's user in. Plain enrolment: it is the user's from
/// the start.
class CeremonySession {
 public:
  explicit CeremonySession(Context& context);
  ~CeremonySession();
  CeremonySession(const CeremonySession&) = delete;
  [[nodiscard]] pkcs11::Session& session() { return *session_; }
  [[nodiscard]] const vault::TokenProfile& token_profile() const { return *token_profile_; }
  /// Makes the session the user's: connects the context and recovers unfinished operations.
  void switch_to_user();

 private:
  Context& context_;
  std::shared_ptr<pkcs11::Module> module_;
  std::optional<vault::TokenProfile> token_profile_;
  std::unique_ptr<pkcs11::Session> session_;
  bool officer_ = false;
};

}  // namespace smets1kms::lifecycle
