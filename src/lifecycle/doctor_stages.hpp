// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>

#include "registry/registry.hpp"
#include "smets1kms/doctor.hpp"
#include "vault/token_connection.hpp"

namespace smets1kms::lifecycle {

/// The stages of a diagnosis, a function each. Each adds its checks and leaves out those that an
/// earlier failure made impossible.
class Examination {
 public:
  Examination(const Config& config, const Callbacks& callbacks)
      : config_(config), callbacks_(callbacks) {}
  Examination(const Examination&) = delete;
  ~Examination();

  [[nodiscard]] Diagnosis run();

 private:
  using enum Check::Verdict;
  /// Adds a check; one that is ok needs no remedy.
  void add(Check::Verdict verdict, std::string subject, std::string finding,
           std::string remedy = {}) {
    if (verdict == ok) remedy.clear();
    result_.checks.push_back({verdict, std::move(subject), std::move(finding), std::move(remedy)});
  }
  void configuration();
  void pin_source();
  /// Judges the PIN file as the login will, without opening it.
  void pin_file(const std::string& path);
  void module();
  /// Looks for p11-kit's log-calls, which prints the PIN and every wrapped key in clear: nobody
  /// logs in then.
  void p11_kit();
  void profile();
  void token();
  void mechanisms();
  /// Tries whether the token wraps for handover targets.
  void handover();
  /// Compares the handover targets' public keys with their admissions, and names certificates that
  /// end soon.
  void targets(registry::Registry& registry);
  /// Tries what must fail, each time: a token's firmware may have changed since the first use.
  void protections();
  void registry();
  /// Reports whether this is the registry whose heads are kept elsewhere, as the next command that
  /// opens it will judge.
  void anchors();
  void anchor_time();
  /// Names devices that share a system title or a KEK, which an import refuses.
  void sharing(registry::Registry& registry);
  /// Reports what the sealed vault gives up, and whether it can take keys.
  void vault(registry::Registry& registry, bool holds_keys);
  [[nodiscard]] std::string first_command() const {
    return config_.token.enrolment == EnrolmentMode::officer ? "enrol" : "init";
  }
  /// Looks for keys that were made after the backup which the registry was restored from.
  void orphans();
  /// Reports whether the device-head map, which states that a device has no other records, is due.
  void device_map(registry::Registry& registry);
  /// Compares how many keys the token holds with how many it can.
  void keys(registry::Registry& registry);
  /// Reports by which rules the site judges, and what it changed of them.
  void policy();
  /// Reports who may send KEKs.
  void manufacturers();
  void disk();
  void clock();
  [[nodiscard]] std::string next() const;

  const Config& config_;
  const Callbacks& callbacks_;
  Diagnosis result_;
  std::shared_ptr<pkcs11::Module> module_;
  std::optional<vault::TokenProfile> token_profile_;
  std::shared_ptr<vault::TokenConnection> link_;
  bool logs_calls_ = false, no_registry_ = false;
  bool must_mend_ = false;  ///< a file is there that is no registry, or a damaged one
  bool has_device_keys_ = false;
  std::uint64_t devices_ = 0, waiting_ = 0;
};

}  // namespace smets1kms::lifecycle
