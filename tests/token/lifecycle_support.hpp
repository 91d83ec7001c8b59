// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "audit/record.hpp"
#include "lifecycle/context.hpp"
#include "pkcs11/pool.hpp"
#include "smets1kms/enrolment.hpp"
#include "smets1kms/key_manager.hpp"
#include "support/expect.hpp"
#include "support/test_fleet.hpp"
#include "vault/templates.hpp"

namespace test {

using audit_field = smets1kms::audit::Field;

/// A key manager on a token of this process, and the world around it. Each test case opens it anew
/// over the same registry, one for each way of enrolment, and has meters of its own.
class Service {
 public:
  explicit Service(smets1kms::EnrolmentMode mode = smets1kms::EnrolmentMode::plain,
                   smets1kms::VaultKind keep = smets1kms::VaultKind::token);
  Service(const Service&) = delete;

  /// New meters, imported with their KEKs. Models: NOW (immediate), LATER (next association).
  /// Enrolment is apart from the service: the key manager is closed for it, and opened again.
  std::vector<Meter> commission_fleet(const std::vector<Order>& orders);
  /// The officer admits what waits for him. How many.
  std::size_t admit_waiting();
  Meter commission(const Order& order = {}) { return commission_fleet(std::vector{order}).front(); }

  /// What the trail says, oldest first, each checked against its leaf hash.
  [[nodiscard]] std::vector<smets1kms::audit::Record> trail(DeviceId device) const;
  /// The whole trail of the registry.
  [[nodiscard]] std::vector<smets1kms::TrailEntry> records() const;
  [[nodiscard]] smets1kms::Key key(DeviceId device, KeyRole role, std::uint32_t generation) const;
  /// "active confirmed": state and delivery of a key.
  [[nodiscard]] std::string standing(DeviceId device, KeyRole role, std::uint32_t generation) const;
  [[nodiscard]] std::size_t count(DeviceId device, KeyRole role) const;
  /// The same challenge to both sides.
  [[nodiscard]] bool same_key(const Meter& meter, KeyRole role, std::uint32_t generation);

  /// Rotates one role and has the meter take it: generation and answer `success`.
  smets1kms::KeyTransfer rotate_one(Meter& meter, KeyRole role);
  /// One role, and no answer recorded.
  smets1kms::KeyTransfer release_one(const Meter& meter, KeyRole role);

  /// As an attacker with the PIN, or an auditor, sees the token: a pool beside the key manager's.
  [[nodiscard]] static std::unique_ptr<pkcs11::Pool> pool(
      smets1kms::EnrolmentMode mode = smets1kms::EnrolmentMode::plain,
      smets1kms::VaultKind keep = smets1kms::VaultKind::token);
  /// Objects with this key's id, of any class.
  [[nodiscard]] std::size_t objects(const smets1kms::KeyId& id) const;
  /// Whether these bytes stand in a file of the registry.
  [[nodiscard]] bool registry_holds(const Bytes& bytes) const;
  [[nodiscard]] const smets1kms::Config& config() const { return config_; }
  /// From now on new keys go there; the key manager is closed and opened again.
  void keep_in(smets1kms::VaultKind keep);
  /// Apart from the service, which has to be closed (`kms.reset()`) meanwhile.
  [[nodiscard]] smets1kms::Enrolment enrolment(const smets1kms::Authority& authority) const;
  [[nodiscard]] Manufacturer& manufacturer() const;
  [[nodiscard]] smets1kms::Callbacks callbacks();
  void open() { kms.emplace(smets1kms::KeyManager::open(config(), callbacks())); }

  static smets1kms::Time now;  ///< what the injected clock says
  smets1kms::EnrolmentMode mode;
  std::vector<std::string> log;
  std::optional<smets1kms::KeyManager> kms;

 private:
  smets1kms::VaultKind kept_;  ///< by which the token was chosen
  smets1kms::Config config_;
};

inline const smets1kms::Authority both{
    .requested_by = "s1sp:ops-1", .authorised_by = "dco:ops-7", .reference = "CHG-1234"};

/// Writes to the registry and its log as a process did that then died; nobody else has it open.
void as_one_that_died(const smets1kms::Config& config, const smets1kms::Callbacks& callbacks,
                      const std::function<void(smets1kms::lifecycle::Context&)>& work);
/// The same, with the key manager closed first.
inline void as_one_that_died(Service& service,
                             const std::function<void(smets1kms::lifecycle::Context&)>& work) {
  service.kms.reset();
  as_one_that_died(service.config(), service.callbacks(), work);
}

/// The ways of enrolment that the test token has.
[[nodiscard]] std::vector<smets1kms::EnrolmentMode> modes();
/// On what terms the test token is used.
[[nodiscard]] smets1kms::vault::TokenProfile token_profile(smets1kms::EnrolmentMode mode);
[[nodiscard]] smets1kms::RotationRequest request(const Meter& meter, std::vector<KeyRole> roles,
                                                 std::string operation_id = {});
/// A wrapped key from the request of a transfer of one.
[[nodiscard]] Bytes wrapped_in(const smets1kms::KeyTransfer& transfer);

}  // namespace test
