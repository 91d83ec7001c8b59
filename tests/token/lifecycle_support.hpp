#pragma once
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "audit/record.hpp"
#include "pkcs11/pool.hpp"
#include "smets1kms/key_manager.hpp"
#include "support/expect.hpp"
#include "support/test_fleet.hpp"

namespace test {

using audit_field = smets1kms::audit::Field;

/// A key manager on the token "fleet" of this process, and the world around it. Each test case opens it
/// anew over the same registry and has meters of its own.
class Service {
 public:
  Service();
  Service(const Service&) = delete;

  /// New meters, imported with their KEKs. Models: NOW (immediate), LATER (next association).
  std::vector<Meter> commission_fleet(const std::vector<Order>& orders);
  Meter commission(const Order& order = {}) { return commission_fleet(std::vector{order}).front(); }

  /// What the trail says, oldest first, each checked against its leaf hash.
  [[nodiscard]] std::vector<smets1kms::audit::Record> trail(DeviceId device) const;
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

  /// As an attacker with the PIN, or an auditor, sees it: a pool beside the key manager's.
  [[nodiscard]] static std::unique_ptr<pkcs11::Pool> pool();
  /// Objects with this key's id, of any class.
  [[nodiscard]] static std::size_t objects(const smets1kms::KeyId& id);
  /// Whether these bytes stand in a file of the registry.
  [[nodiscard]] static bool registry_holds(const Bytes& bytes);
  [[nodiscard]] static const smets1kms::Config& config();
  [[nodiscard]] static const std::string& import_key_pem();
  [[nodiscard]] static Manufacturer& manufacturer();

  static smets1kms::Time now;  ///< what the injected clock says
  std::vector<std::string> log;
  smets1kms::KeyManager kms;
};

inline const smets1kms::Authority both{.requested_by = "s1sp:ops-1", .authorised_by = "dco:ops-7", .reference = "CHG-1234"};

[[nodiscard]] smets1kms::RotationRequest request(const Meter& meter, std::vector<KeyRole> roles, std::string operation_id = {});
/// A wrapped key from the request of a transfer of one.
[[nodiscard]] Bytes wrapped_in(const smets1kms::KeyTransfer& transfer);

}  // namespace test
