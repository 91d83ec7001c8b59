#pragma once
#include <memory>
#include <optional>
#include <string>

#include "lifecycle/core.hpp"
#include "pkcs11/session.hpp"

namespace smets1kms::lifecycle {

/// The session of a ceremony. Officer's enrolment: it begins with the security officer logged in; `step_down`
/// logs him out and the service's user in. Plain: the user from the start.
class CeremonySession {
 public:
  explicit CeremonySession(Core& core);
  ~CeremonySession();
  CeremonySession(const CeremonySession&) = delete;
  [[nodiscard]] pkcs11::Session& session() { return *session_; }
  [[nodiscard]] const vault::Terms& terms() const { return *terms_; }
  /// From now on the user's: the core is connected, and unfinished operations are settled.
  void step_down();

 private:
  Core& core_;
  std::shared_ptr<pkcs11::Module> module_;
  std::optional<vault::Terms> terms_;
  std::unique_ptr<pkcs11::Session> session_;
  bool officer_ = false;
};

}  // namespace smets1kms::lifecycle
