// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tokens.hpp"

namespace attack {

/// A key manager as its attacker meets it: it uses the token's objects and the database's rows.
class Service {
 public:
  struct Released {
    std::string device, role;
    Bytes blob;
  };
  struct Answer {
    std::vector<Released> transfers;
    std::string said;  ///< "" where it did as asked; else the refusal
  };
  virtual ~Service() = default;
  virtual Answer rotate(const std::vector<std::string>& devices,
                        const std::vector<std::string>& roles,
                        const std::string& operation = {}) = 0;
  /// Proof of the device's active key over a challenge; empty where refused.
  virtual std::pair<Bytes, std::string> prove(const std::string& device, const std::string& role,
                                              const Bytes& challenge) = 0;
  /// What was released last goes to the meters, and their answers back. False where a meter
  /// refused.
  virtual bool deliver() = 0;
  /// The object that the service means by a device's newest key.
  [[nodiscard]] virtual Handle object(Session& session, const std::string& device,
                                      const std::string& role) = 0;
  /// Database: the released blob of one row put into another; the ids of two keys exchanged.
  virtual void copy_blob(const std::string& from_device, const std::string& from_role,
                         int from_generation, const std::string& to_device,
                         const std::string& to_role, int to_generation) = 0;
  virtual void swap_ids(const std::string& device, const std::string& other,
                        const std::string& role) = 0;
  /// Database: a KEK that waits for the officer is replaced; the officer then holds his ceremony.
  /// Empty: not this one's.
  virtual std::string plant_and_enrol(const Bytes& blob) = 0;
  /// Database: the KEKs of two devices that wait for the officer exchanged; he then holds his
  /// ceremony.
  virtual std::string swap_waiting_and_enrol(const std::string& device,
                                             const std::string& other) = 0;
  /// The modulus of the key that the service gives manufacturers, asked for anew; a refusal where
  /// it gives none.
  virtual std::pair<Bytes, std::string> import_modulus() = 0;
  /// A device's line of the fleet file with another KEK, under the thief's own transport key; ""
  /// where it was taken.
  virtual std::string import_own(const std::string& device, const Bytes& kek,
                                 const Bytes& import_modulus) = 0;
  [[nodiscard]] virtual const std::vector<std::string>& devices() const = 0;
};

/// smets1-kms, by its commands; meters by the simulator.
[[nodiscard]] std::unique_ptr<Service> commands(const Place& place);
/// A key manager that trusts labels and rows.
[[nodiscard]] std::unique_ptr<Service> naive_service(std::shared_ptr<pkcs11::Module> module,
                                                     CK_SLOT_ID slot, Judge& judge);

/// An attack on what a key manager does with the token: it uses both.
struct ServiceAttack {
  const char* name;
  const char* source;
  void (*run)(Attacker&, Service&);
  const char* impossible = nullptr;
  const char* open_in_plain = nullptr;
  const char* not_in_plain = nullptr;  ///< why there is nothing to attack in plain mode
  const char* remains = nullptr;
  const char* open_in_sealed = nullptr;
};
[[nodiscard]] std::vector<ServiceAttack> service_attacks();

}  // namespace attack
